"""Registers the forwarding handler in a Jupyter server."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.utils import url_path_join

from adaptery_jupyter.forward import ForwardHandler


def load_jupyter_server_extension(server: Any) -> None:
    """Add the handler; without `ADAPTERY_URL` the extension stays silent and answers 503."""
    web = server.web_app
    pattern = url_path_join(web.settings["base_url"], "adaptery", r"((?:api|v1)/.*)")
    target = {
        "url": os.environ.get("ADAPTERY_URL", ""),
        "token": os.environ.get("JUPYTERHUB_API_TOKEN", ""),
    }
    web.add_handlers(".*$", [(pattern, ForwardHandler, target)])
