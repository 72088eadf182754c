"""The Hub of the integration tests: like the repository's own, but tiny and impatient."""

import os
from pathlib import Path

from jupyterhub.spawner import SimpleLocalProcessSpawner

import adaptery_hub
import adaptery_spawner
from adaptery_hub.demo_login import DemoAuthenticator, demo_passwords

c = get_config()  # noqa: F821 - JupyterHub provides it

state = Path(os.environ["ADAPTERY_STATE_DIR"])
port = int(os.environ["ADAPTERY_PORT"])
base_url = f"http://127.0.0.1:{port}"

c.JupyterHub.bind_url = f"{base_url}/"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port + 2}"
c.JupyterHub.db_url = f"sqlite:///{state}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "jupyterhub_cookie_secret")
adaptery_hub.configure_proxy(c, state_dir=state, api_port=port + 1)

c.JupyterHub.authenticator_class = DemoAuthenticator
c.DemoAuthenticator.passwords = demo_passwords(
    state / "demo-passwords.json", ("demo", "guest", "admin", "colleague", "unlucky")
)
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"admin"}
c.JupyterHub.load_groups = {"radiology": {"users": ["demo", "colleague"]}}

embedder = os.environ.get("ADAPTERY_EMBEDDING_MODEL")

adaptery_hub.configure(
    c,
    state_dir=state,
    service_port=port + 3,
    broker_port=port + 4,
    admin_users={"admin"},
    base_models={"tiny/tiny-llama": os.environ["ADAPTERY_BASE_MODEL"]},
    embedding_models={"tiny/tiny-embedder": embedder} if embedder else None,
    max_upload_bytes=2 * 1024**2,
    lease_seconds=8,
    engine_threads=1,
)


class UnluckySpawner(SimpleLocalProcessSpawner):
    """The simple spawner, except that the server of the user `unlucky` fails in mid-start."""

    async def start(self):
        if self.user.name == "unlucky":
            (state / "unlucky-key").write_text(self.get_env()["OPENAI_API_KEY"])
            raise RuntimeError("the disk of this server is full")
        return await super().start()


adaptery_spawner.configure(c, url_for_servers=base_url, spawner_class=UnluckySpawner)
c.Spawner.notebook_dir = str(state)
# A plain service whose upstream is a test: it shows whether the proxy passes chunks on one by one.
c.JupyterHub.services.append({"name": "gate", "url": f"http://127.0.0.1:{port + 5}"})
c.SimpleLocalProcessSpawner.home_dir_template = f"{state}/home/{{username}}"
if os.geteuid() == 0:
    c.Spawner.args = ["--allow-root"]
