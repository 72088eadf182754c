"""Adaptery's control plane: the Hub-managed service with registry, queue and gateway.

Public names: `configure` and `configure_proxy` for `jupyterhub_config.py`.
"""

from adaptery_hub.configuration import configure, configure_proxy

__all__ = ["configure", "configure_proxy"]
