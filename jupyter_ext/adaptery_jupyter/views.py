"""What the Lab extension asks of this server itself: is there a service, and the built views.

Invariants:
1. Only who is logged in gets an answer, and never a redirect.
2. Only built modules are served: a name is one word, and nothing else lies where it leads.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files

from jupyter_server.base.handlers import APIHandler
from tornado import web

from adaptery.errors import NotFoundError
from adaptery_jupyter.problems import refuse

_NAME = re.compile(r"[a-z][a-z0-9_-]*\.js")


class _OwnHandler(APIHandler):
    """Looking here says nothing about whether somebody works on this server."""

    _track_activity = False


class AboutHandler(_OwnHandler):
    """Whether there is a service to forward to."""

    def initialize(self, url: str) -> None:  # type: ignore[override]
        """Take the service's address from the extension."""
        self._url = url

    @web.authenticated
    async def get(self) -> None:
        """Answer whether a service is known; its address stays here."""
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps({"service": bool(self._url)}))


class ViewsHandler(_OwnHandler):
    """The built views, as they lie in the package."""

    @web.authenticated
    async def get(self, file: str) -> None:
        """Answer one module; tornado adds the ETag and answers 304 to who has it."""
        path = files("adaptery") / "views" / file
        if not _NAME.fullmatch(file) or not path.is_file():
            refuse(
                self,
                NotFoundError("This view is not installed here.", hint="Install adaptery again."),
            )
            return
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(path.read_bytes(), set_content_type="text/javascript; charset=utf-8")
