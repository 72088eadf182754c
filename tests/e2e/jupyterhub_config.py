"""The Hub that is shipped, with a home of its own for each user.

The model is tiny (ADAPTERY_BASE_MODEL), but keeps the name that the shipped configuration gives.
"""

import os
from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub provides it
os.environ["ADAPTERY_EMBEDDING_MODEL"] = "/nowhere"  # its conversion would compete with the tests
load_subconfig(str(Path(__file__).resolve().parents[2] / "jupyterhub_config.py"))  # noqa: F821

state = os.environ["ADAPTERY_STATE_DIR"]
c.SimpleLocalProcessSpawner.home_dir_template = f"{state}/home/{{username}}"
if singleuser := os.environ.get("ADAPTERY_TEST_SINGLEUSER"):
    c.Spawner.cmd = [singleuser]
