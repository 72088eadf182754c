"""`configure(c, ...)`: adds the Adaptery service to a `jupyterhub_config.py`.

Typed keyword arguments, so that a misspelt option is a `TypeError` and stops the start; so does a
value that cannot work. What the service needs is written to `<state_dir>/service.json` and what the
local agent needs to `<state_dir>/agent/agent.json`, both without secrets; the supervisor hands them
over. Nothing here touches options that belong to the admin, except by adding to them.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: What the scopes of Adaptery mean, as the Hub shows them to a user.
CUSTOM_SCOPES: dict[str, dict[str, Any]] = {
    "custom:adaptery:read": {"description": "See your datasets, jobs and adapters in Adaptery."},
    "custom:adaptery:write": {
        "description": "Change datasets, start jobs and share adapters in Adaptery.",
        "subscopes": ["custom:adaptery:read"],
    },
    "custom:adaptery:infer": {"description": "Talk to the adapters that you may use."},
    "custom:adaptery:admin": {"description": "Run Adaptery: agents, limits, usage and audit."},
}

#: What every user of the Hub may do by default.
USER_SCOPES = ("custom:adaptery:write", "custom:adaptery:infer")


def configure(
    c: Any,
    *,
    state_dir: str | Path,
    base_models: Mapping[str, str | Path],
    service_name: str = "adaptery",
    service_port: int = 10101,
    broker_port: int = 10102,
    admin_users: Iterable[str] = (),
    admin_groups: Iterable[str] = (),
    local_agent: bool = True,
    worker_slots: int = 1,
    engine_threads: int | None = None,
    embedding_models: Mapping[str, str | Path] | None = None,
    default_base_model: str | None = None,
    pinned_digests: Mapping[str, str] | None = None,
    tasks_dir: str | Path | None = None,
    max_upload_bytes: int = 2 * 1024**3,
    lease_seconds: int = 60,
    max_attempts: int = 5,
    save_models_in: str | Path | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Add the service, its scopes and its roles to the Hub.

    Args:
        c: the config object of `jupyterhub_config.py`.
        state_dir: folder for the database, objects, keys and logs; made with mode 0700.
        base_models: name (`organisation/model`) to source: a folder, a GGUF file, or `hf:org/name`
            for an entry of the local Hugging Face cache. Never fetched from a network. With a
            local agent it must be there, until the model was converted.
        service_name: name of the Hub service; it appears in its address.
        service_port: loopback port of the service.
        broker_port: loopback port of the broker.
        admin_users: Hub users who may run Adaptery.
        admin_groups: Hub groups whose members may run Adaptery.
        local_agent: whether this machine trains and serves; otherwise only agents that join do.
        worker_slots: jobs that the local agent runs at a time.
        engine_threads: threads of the local engine and embedder; None lets them choose.
        embedding_models: name to source, as of `base_models`: a folder that sentence-transformers
            saved, or `hf:org/name`; the first is the default. The local agent needs the extra
            `embeddings`.
        default_base_model: what an empty model name means; the first of `base_models` if None.
        pinned_digests: name of a model to the only weight digest that is accepted for it.
        tasks_dir: folder with task files (YAML) that add to the shipped ones or replace them.
        max_upload_bytes: largest file that a user may upload.
        lease_seconds: how long an agent may be silent about a job before the job goes to another.
        max_attempts: how many attempts at a job may be lost in a row, without a checkpoint of a
            later step, before the job fails.
        save_models_in: folder for converted base models; `<state_dir>/models` if None.
        more: further options of the service by name, for example `{"database_url": ...}`; the
            reference page lists them.

    Raises:
        TypeError: `more` names an option that the service does not have.
        ValueError: a value cannot work; the message says which.
    """
    # Here, for the supervisor imports this package too and shall stay small.
    from adaptery_hub import misconfiguration

    state = Path(state_dir).resolve()
    models = {name: _source(source) for name, source in base_models.items()}
    pinned = dict(pinned_digests or {})
    embedding = {name: _source(source) for name, source in (embedding_models or {}).items()}
    converted = Path(save_models_in or state / "models").absolute()
    misconfiguration.check_models(models, embedding, default_base_model, pinned)
    service: dict[str, Any] = {
        "state_dir": str(state),
        "broker_url": f"nats://127.0.0.1:{broker_port}",
        "base_models": models,
        "embedding_models": embedding,
        "pinned_digests": pinned,
        "default_base_model": default_base_model or next(iter(models)),
        "max_upload_bytes": max_upload_bytes,
        "lease_seconds": lease_seconds,
        "max_attempts": max_attempts,
        **(more or {}),
    }
    if tasks_dir:
        service["tasks_dir"] = str(Path(tasks_dir).absolute())
        misconfiguration.check_tasks(Path(tasks_dir))
    misconfiguration.check_options(service)
    misconfiguration.check_store(service)
    misconfiguration.check_links(service)
    if local_agent:
        misconfiguration.check_agent(worker_slots, engine_threads)
        misconfiguration.check_sources(models, embedding, converted)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    state.chmod(0o700)
    command = [sys.executable, "-m", "adaptery_hub", "--broker-port", str(broker_port)]
    if local_agent:
        folder = state / "agent"
        service["local_agent_token_file"] = str(folder / "join.token")
        agent = {
            "base_models": models,
            "embedding_models": embedding,
            "models_dir": str(converted),
            "worker_slots": worker_slots,
            **({"engine_threads": engine_threads} if engine_threads else {}),
        }
        _write(folder / "agent.json", agent)
        command += ["--agent-dir", str(folder)]
    _write(state / "service.json", {"ServiceSettings": service})
    command += ["--config", str(state / "service.json")]
    _add_service(c, service_name, service_port, command)
    _add_roles(c, service_name, list(admin_users), list(admin_groups))


def configure_proxy(c: Any, *, state_dir: str | Path, api_port: int) -> None:
    """Choose a proxy that streams: node's configurable-http-proxy if it is there, else traefik.

    The PyPI package `configurable-http-proxy` is never used: it buffers whole answers, so streamed
    tokens would arrive in one lump.

    Args:
        c: the config object of `jupyterhub_config.py`.
        state_dir: folder for what the proxy keeps; the one given to `configure` is fine.
        api_port: loopback port on which the Hub tells the proxy its routes.
    """
    if _node_proxy() is not None:
        c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{api_port}"
        c.ConfigurableHTTPProxy.command = [str(_node_proxy())]
        c.ConfigurableHTTPProxy.pid_file = str(Path(state_dir) / "proxy.pid")
        return
    folder = Path(state_dir) / "proxy"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    c.JupyterHub.proxy_class = "adaptery_hub.proxy.HubTraefikProxy"
    c.TraefikProxy.traefik_api_url = f"http://127.0.0.1:{api_port}"
    c.TraefikProxy.traefik_api_username = "hub"
    c.TraefikProxy.traefik_api_password = secrets.token_urlsafe(24)
    c.TraefikFileProviderProxy.static_config_file = str(folder / "traefik.toml")
    c.TraefikFileProviderProxy.dynamic_config_file = str(folder / "rules.toml")


def _source(given: str | Path) -> str:
    """Return a source as the agent can use it, which works in a folder of its own."""
    source = str(given)
    return source if source.startswith("hf:") else str(Path(source).expanduser().absolute())


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _add_service(c: Any, name: str, port: int, command: list[str]) -> None:
    service = {
        "name": name,
        "url": f"http://127.0.0.1:{port}",
        "command": command,
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": list(CUSTOM_SCOPES),
        "display": True,
    }
    c.JupyterHub.services.append(service)


def _add_roles(c: Any, name: str, users: list[str], groups: list[str]) -> None:
    c.JupyterHub.custom_scopes.update(CUSTOM_SCOPES)
    c.JupyterHub.extra_user_scopes.update({f"access:services!service={name}", *USER_SCOPES})
    c.JupyterHub.load_roles.extend(
        [
            {
                "name": f"{name}-service",
                "description": "Lets Adaptery see who its users and groups are.",
                "scopes": ["read:users", "read:groups"],
                "services": [name],
            },
            {
                "name": f"{name}-admin",
                "description": "Runs Adaptery.",
                "scopes": ["custom:adaptery:admin"],
                "users": users,
                "groups": groups,
            },
        ]
    )


def _node_proxy() -> Path | None:
    """Return node's configurable-http-proxy, telling it from the Python package of that name."""
    found = shutil.which("configurable-http-proxy")
    if found is None or shutil.which("node") is None:
        return None
    with Path(found).open("rb") as file:
        first = file.readline(200)
    return Path(found) if b"node" in first else None
