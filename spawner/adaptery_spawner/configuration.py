"""`configure(c, ...)`: adds Adaptery to the Spawner of a `jupyterhub_config.py`.

Typed keyword arguments, so that a misspelt option is a `TypeError` and stops the start.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from traitlets.utils.importstring import import_item

from adaptery_spawner.mixin import with_adaptery

_SHORT_NAMES = {"simple": SimpleLocalProcessSpawner, "localprocess": LocalProcessSpawner}


def configure(
    c: Any,
    *,
    url_for_servers: str,
    spawner_class: str | type[Spawner] = "simple",
    service_name: str = "adaptery",
    narrow_token_days: float = 14,
) -> type:
    """Make every server of this Hub know the Adaptery service.

    Args:
        c: the config object of `jupyterhub_config.py`.
        url_for_servers: the Hub's address as seen from a single-user server, for example
            `https://hub.example.edu` (any path before `/services/` included).
        spawner_class: the Spawner to extend: a class, an import string, `simple` or `localprocess`.
        service_name: name of the Hub service, as given to `adaptery_hub.configure`.
        narrow_token_days: longest life of the inference token inside a server, in days.

    Returns:
        The Spawner class that was set.

    Raises:
        ValueError: `url_for_servers` is no http(s) address.
    """
    if not url_for_servers.startswith(("http://", "https://")):
        raise ValueError(
            f"url_for_servers must start with http:// or https://, got {url_for_servers!r}."
        )
    spawner = with_adaptery(_resolve(spawner_class))
    c.JupyterHub.spawner_class = spawner
    c.AdapterySpawnerMixin.adaptery_url = f"{url_for_servers.rstrip('/')}/services/{service_name}/"
    c.AdapterySpawnerMixin.adaptery_service = service_name
    c.AdapterySpawnerMixin.narrow_token_seconds = int(narrow_token_days * 24 * 3600)
    return spawner


def _resolve(spawner_class: str | type[Spawner]) -> type:
    if isinstance(spawner_class, str):
        return _SHORT_NAMES.get(spawner_class) or import_item(spawner_class)
    return spawner_class
