"""Adaptery: curate, train, share and talk to language-model adapters, safely.

    import adaptery
    hub = adaptery.connect()

Importing this package loads nothing else; the public names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptery.adapter_manifests import verify_adapter
    from adaptery.client import Hub, connect
    from adaptery.client.magics import MagicShell
    from adaptery.client.sealing import AsyncSealingClient, SealingClient
    from adaptery.errors import AdapteryError

__version__ = "0.1.0.dev0"

__all__ = [
    "AdapteryError",
    "AsyncSealingClient",
    "Hub",
    "SealingClient",
    "__version__",
    "connect",
    "verify_adapter",
]

_HOMES = {
    "connect": "adaptery.client",
    "Hub": "adaptery.client",
    "AdapteryError": "adaptery.errors",
    "SealingClient": "adaptery.client.sealing",
    "AsyncSealingClient": "adaptery.client.sealing",
    "verify_adapter": "adaptery.adapter_manifests",
}


def load_ipython_extension(shell: MagicShell) -> None:
    """Give IPython the magics `%adaptery` and `%%chat`; it calls this for `%load_ext adaptery`."""
    from adaptery.client.magics import register

    register(shell)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adaptery' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
