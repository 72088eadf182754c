"""Registers the handlers in a Jupyter server."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.utils import url_path_join

from adaptery_jupyter.forward import ForwardHandler, Service
from adaptery_jupyter.views import AboutHandler, ViewsHandler

#: How Jupyter AI names the persona of `persona.py`.
PERSONA_ID = "jupyter-ai-personas::adaptery_jupyter::AdapteryPersona"


def link_jupyter_server_extension(server: Any) -> None:
    """Let our persona answer in Jupyter AI's chat where nobody else is named.

    What an administrator or the user configured stands. Extensions are linked before any is loaded,
    so Jupyter AI reads this; where it is not installed nobody does.
    """
    if os.environ.get("ADAPTERY_URL"):
        server.config.PersonaManager.setdefault("default_persona_id", PERSONA_ID)


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
