"""Registers the handlers in a Jupyter server."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.utils import url_path_join

from adaptery_jupyter.forward import ForwardHandler, Service
from adaptery_jupyter.views import AboutHandler, ViewsHandler


def load_jupyter_server_extension(server: Any) -> None:
    """Add the handlers; without `ADAPTERY_URL` nothing is forwarded, and the Lab panel says so."""
    web = server.web_app
    service = Service(
        os.environ.get("ADAPTERY_URL", ""), os.environ.get("JUPYTERHUB_API_TOKEN", "")
    )

    def below(pattern: str) -> str:
        return url_path_join(web.settings["base_url"], "adaptery", pattern)

    web.add_handlers(
        ".*$",
        [
            (below("about"), AboutHandler, {"url": service.url}),
            (below(r"views/([^/]+)"), ViewsHandler),
            (below(r"((?:api|v1)/.*)"), ForwardHandler, {"service": service}),
        ],
    )
