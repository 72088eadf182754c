"""The service's own page, the built views and the end of the login.

The page is a shell: who is here, where else to go, and a place for the views, which its one script
loads from `views/` and which ask the API as anyone does. It holds nothing that anybody owns.

Invariants:

- No script and no style is inside the document; values travel in escaped attributes.
- Only scripts, styles and answers of this origin are used; nobody may frame the page.
- The only handlers that redirect are here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.template import Template

from adaptery.errors import (
    AdapteryError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    from_problem,
)
from adaptery.ids import new_id
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.not_found import NotFoundHandler
from adaptery_hub.identity import SCOPE_PREFIX
from adaptery_hub.routes import Operation, Route

_TEMPLATES = files("adaptery_hub") / "templates"
_PAGE = Template((_TEMPLATES / "page.html").read_text(encoding="utf-8"))
_ERROR = Template((_TEMPLATES / "error.html").read_text(encoding="utf-8"))
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_VIEWS = files("adaptery") / "views"
_VIEW_NAME = re.compile(r"[a-z0-9_-]+\.(js|css)")
_VIEW_MEDIA = {"js": "text/javascript", "css": "text/css"}
_HTML = "text/html; charset=utf-8"


class _HtmlHandler(Handler):
    """Answers documents to browsers, also where something is wrong."""

    def render_error(self, error: AdapteryError) -> None:
        """Answer a browser in HTML, anyone else as every other route."""
        if "text/html" not in self.request.headers.get("Accept", ""):
            super().render_error(error)
            return
        self.answer_html(
            _ERROR.generate(
                base=self.services.settings.prefix,
                message=error.message,
                hint=error.hint,
                request_id=self.request_id,
                missing=isinstance(error, NotFoundError),
            )
        )

    def answer_html(self, document: bytes) -> None:
        """Finish with a document of ours."""
        self.set_header("Content-Type", _HTML)
        self.set_header("Content-Security-Policy", PAGE_POLICY)
        self.finish(document)


class PageNotFoundHandler(_HtmlHandler, NotFoundHandler):
    """Answers every path that no route knows; a browser finds the way back from there."""


class PageHandler(_HtmlHandler):
    """The shell that the views are shown in."""

    is_page = True

    async def authenticate(self) -> None:
        """Send a browser without a session to the login; the page itself is for who may read."""
        try:
            await super().authenticate()
            if "read" not in self.identity.scopes:
                raise NotAllowedError(
                    f"This needs the scope {SCOPE_PREFIX}read.", hint="Use a token that has it."
                )
        except NotAuthenticatedError:
            # Only a page load may follow a redirect to the login; a script gets its 401.
            if self.request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
                raise
            self.redirect(self.get_login_url())

    async def get(self) -> None:
        """Answer the page."""
        if self.identity.token_kind == "session":  # noqa: S105 - a word, not a secret
            _ = self.xsrf_token  # reading it sets the cookie that the views need for their calls
        hub = _hub_url(os.environ)
        self.answer_html(
            _PAGE.generate(
                identity=self.identity,
                base=self.services.settings.prefix,
                lab_url=f"{hub}user-redirect/lab",
                logout_url=f"{hub}logout",
            )
        )


class ViewHandler(Handler):
    """The built views: public, static, the same for everyone."""

    async def get(self, file: str) -> None:
        """Answer one file; tornado adds the ETag of its content, and 304 to who has it."""
        match = _VIEW_NAME.fullmatch(file)
        path = _VIEWS / file
        if match is None or not path.is_file():
            raise NotFoundError("There is no such view.")
        self.set_header("Content-Type", f"{_VIEW_MEDIA[match[1]]}; charset=utf-8")
        # Kept, but asked for each time: a new release has the same names.
        self.set_header("Cache-Control", "no-cache")
        self.finish(path.read_bytes())


class LoginEndHandler(HubOAuthCallbackHandler):
    """Takes a browser back from the Hub's login."""

    async def prepare(self) -> None:
        """Ask the Hub without blocking, so that the parent finds the answer; called by tornado."""
        await self.hub_auth.get_user(self, sync=False)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Render an error as every other route does; called by tornado."""
        error = from_problem({"status": status_code})
        self.set_header("Content-Type", "application/problem+json")
        self.finish(json.dumps(error.to_problem(new_id("rq"))))


def _hub_url(environment: Mapping[str, str]) -> str:
    """Return where the Hub's own pages are; on another host than this one if it uses subdomains."""
    host = environment.get("JUPYTERHUB_HOST", "")
    return f"{host}{environment.get('JUPYTERHUB_BASE_URL', '/')}hub/"


ROUTES = [
    Route(
        "",
        PageHandler,
        {"GET": Operation("session", "The service's own page.", media="text/html")},
    ),
    Route(
        "views/{file}",
        ViewHandler,
        {"GET": Operation("open", "A built view.", media="text/javascript")},
    ),
]
