"""Gives single-user servers what `adaptery` and OpenAI clients need, on any JupyterHub Spawner.

Public names: `configure` for `jupyterhub_config.py`, `AdapterySpawnerMixin` and `with_adaptery`
for admins who build their own Spawner class.
"""

from adaptery_spawner.configuration import configure
from adaptery_spawner.mixin import AdapterySpawnerMixin, with_adaptery

__all__ = ["AdapterySpawnerMixin", "configure", "with_adaptery"]
