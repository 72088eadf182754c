"""Adaptery in a Jupyter server: forwards what the browser asks to the service.

The browser cannot call the service from Lab (cookies are bound to the service's path), and should
never hold a token. So this server extension forwards an allow-list of paths with the server's own
token.
"""

from adaptery_jupyter.extension import link_jupyter_server_extension, load_jupyter_server_extension

_link_jupyter_server_extension = link_jupyter_server_extension
_load_jupyter_server_extension = load_jupyter_server_extension


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tell the Jupyter server which module to load."""
    return [{"module": "adaptery_jupyter"}]


__all__ = ["link_jupyter_server_extension", "load_jupyter_server_extension"]
