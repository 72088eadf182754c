"""A deployment as processes of their own: broker, service, agents; a table of tokens is its Hub.

The real thing but for the Hub, which only answers whose a token is, and the engines, which are
small programs. One adapter belongs to a group that all users are in.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import sqlalchemy as sa

from adaptery.digests import sha256_bytes
from adaptery.files import write_atomic
from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database import Database, tables
from adaptery_hub.database.migrations import migrate
from adaptery_hub.fleet.offers import adapter_prefix
from adaptery_hub.objects import FilesystemStore
from adaptery_network.broker import broker_command
from support.agent_side import program
from support.agent_side.folders import make_adapter
from support.agent_side.specs import BASE_DIGEST
from support.broker import free_port
from support.plain_http import is_up
from support.waiting import eventually_sync

BASE = "tiny/tiny"
GROUP = "readers"
ADAPTER = f"{GROUP}/soap"
PREFIX = "/services/adaptery/"
SERVICE_TOKEN = "token-of-the-service"
SCOPES = ["access:services!service=adaptery", "custom:adaptery:write", "custom:adaptery:infer"]
ADMIN, ADMIN_SCOPE = "boss", "custom:adaptery:admin"
START_SECONDS = 60


def token_of(user: str) -> str:
    """Return the Hub token of a user of the deployment."""
    return f"token-of-{user}"


class _HubServer(ThreadingHTTPServer):
    """Says nothing of clients that did not wait."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """See `socketserver.BaseServer`."""


class _Hub(BaseHTTPRequestHandler):
    """Answers who has a token: whoever it names."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        by_path = re.search(r"/users/(\w+)", self.path)
        asked = by_path or re.search(r"token-of-(\w+)", self.headers.get("Authorization", ""))
        name = asked[1] if asked else ""
        model = {
            "name": name,
            "kind": "user",
            "groups": [GROUP],
            "created": "2026-01-01T00:00:00.000000Z",
            "scopes": [*SCOPES, *([ADMIN_SCOPE] if name == ADMIN else [])],
        }
        body = json.dumps(model if asked else {}).encode()
        self.send_response(200 if asked else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on stderr."""


@dataclass
class Deployment:
    """The processes, and what is needed to reach them."""

    root: Path
    options: Mapping[str, object] = field(default_factory=dict)
    engine: Sequence[str] = program("engine")
    agents: int = 1
    agent_options: Mapping[str, object] = field(default_factory=dict)
    #: What stands before each command, by `service`, `broker` or `agent`: `taskset`, say.
    before: Mapping[str, Sequence[str]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    adapter_id: str = field(default_factory=lambda: new_id("ad"))
    #: What the small programs of the agents do.
    behaviour: str = "finish"

    def __post_init__(self) -> None:
        self.port, self.broker_port, self.hub_port = free_port(), free_port(), free_port()
        self.state = self.root / "hub"
        self.state.mkdir(mode=0o700, exist_ok=True)

    @property
    def url(self) -> str:
        """The address of the service."""
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    @property
    def v1(self) -> str:
        """The address that OpenAI's clients are given."""
        return f"{self.url}v1"

    def database(self) -> Database:
        """Open the service's database; close it after use."""
        return Database(f"sqlite:///{self.state / 'adaptery.sqlite'}")

    def start(self) -> None:
        """Start everything, and wait until an answer comes through."""
        self.start_processes()
        eventually_sync(self._answers, timeout_seconds=START_SECONDS, every_seconds=0.2)

    def start_processes(self) -> None:
        """Start everything."""
        self._prepare()
        self.start_broker()
        self.start_service()
        for number in range(self.agents):
            self._prepare_agent(number)
            self.start_agent(number)

    def start_broker(self) -> None:
        """Start the broker."""
        self._run("broker", broker_command(self.state, self.broker_port))

    def start_service(self) -> None:
        """Start the service and wait until it takes requests."""
        config = self.state / "service.json"
        command = [sys.executable, "-m", "adaptery_hub.app", "--config", str(config)]
        environment = {
            "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN,
            "JUPYTERHUB_API_URL": f"http://127.0.0.1:{self.hub_port}/hub/api",
            "JUPYTERHUB_SERVICE_NAME": "adaptery",
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{self.port}",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": "service-adaptery",
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([SCOPES[0]]),
        }
        self._run("service", command, environment)
        eventually_sync(self.is_up, timeout_seconds=START_SECONDS)

    def start_agent(self, number: int) -> None:
        """Start an agent; it joins by its token if it has not."""
        command = [sys.executable, "-m", "adaptery.commands", "agent", "run", "--state"]
        self._run(f"agent{number}", [*command, str(self.root / f"agent{number}")])

    def is_up(self) -> bool:
        """Whether the service answers."""
        return is_up(f"{self.url}health")

    def kill(self, name: str) -> None:
        """End a process at once."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self, name: str, seconds: float = 20) -> int:
        """Ask a process to end; return its exit status."""
        process = self.processes[name]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        finally:
            if process.poll() is None:
                self.kill(name)

    def log(self, name: str) -> str:
        """Return what a process wrote."""
        return (self.root / f"{name}.log").read_text(errors="replace")

    def engine_events(self, agent: int = 0) -> list[str]:
        """Return what the tiny engine of an agent noted."""
        paths = (self.root / f"agent{agent}" / "engines").glob("*/engine-events")
        return [line for path in paths for line in path.read_text().splitlines()]

    def close(self) -> None:
        """End everything, the agents first."""
        for name in reversed(self.processes):
            self.stop(name)

    def _answers(self) -> bool:
        body = {"model": ADAPTER, "messages": [{"role": "user", "content": "plain"}]}
        headers = {"Authorization": f"Bearer {token_of('first')}"}
        answer = httpx.post(f"{self.v1}/chat/completions", json=body, headers=headers, timeout=60)
        return answer.status_code == 200

    def _run(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        before = self.before.get(name.rstrip("0123456789"), ())
        with (self.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*before, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    def _prepare_agent(self, number: int) -> None:
        folder = self.root / f"agent{number}"
        source = folder / "source"
        source.mkdir(parents=True)
        folder.chmod(0o700)
        (source / "behaviour").write_text(self.behaviour)
        config = {
            "base_models": {BASE: str(source)},
            "engine_command": list(self.engine),
            "convert_command": program("convert"),
            "heartbeat_seconds": 0.5,
            **self.agent_options,
        }
        (folder / "agent.json").write_text(json.dumps(config))
        write_atomic(folder / "join.token", self._mint_token().encode(), 0o600)

    def _mint_token(self) -> str:
        """Mint a join token, once the service has reached the broker."""
        headers = {"Authorization": f"Bearer {token_of(ADMIN)}"}

        def mint() -> str | None:
            answer = httpx.post(f"{self.url}api/agents/tokens", json={}, headers=headers)
            return answer.json()["token"] if answer.is_success else None

        minted = eventually_sync(mint, timeout_seconds=START_SECONDS)
        assert minted is not None
        return minted

    def _prepare(self) -> None:
        options = {
            "state_dir": str(self.state),
            "broker_url": f"nats://127.0.0.1:{self.broker_port}",
            "base_models": {BASE: "hf:tiny/tiny"},
            **self.options,
        }
        (self.state / "service.json").write_text(json.dumps({"ServiceSettings": options}))
        files = self._store_adapter()
        database = self.database()
        migrate(database.engine)
        with database.engine.begin() as connection:
            self._insert_adapter(connection, *files)
        database.close()

    def _store_adapter(self) -> tuple[str, list[dict[str, object]]]:
        folder = self.state / "adapter"
        digest = make_adapter(folder, 0.5)
        files = [
            {
                "path": path.name,
                "bytes": path.stat().st_size,
                "digest": sha256_bytes(path.read_bytes()),
            }
            for path in sorted(folder.iterdir())
        ]
        FilesystemStore(self.state / "objects").put_folder(adapter_prefix(self.adapter_id), folder)
        return digest, files

    def _insert_adapter(
        self, connection: sa.Connection, digest: str, files: list[dict[str, object]]
    ) -> None:
        tenant = new_id("tn")
        given = {"id": tenant, "created_at": now(), "kind": "group", "state": "active"}
        connection.execute(tables.tenants.insert().values(**given, hub_name=GROUP, slug=GROUP))
        row = {
            "id": self.adapter_id,
            "created_at": now(),
            "tenant_id": tenant,
            "creator_id": tenant,
            "name": "soap",
            "number": 1,
            "base_model": BASE,
            "base_weight_digest": BASE_DIGEST,
            "weight_digest": digest,
            "sensitivity": "internal",
            "files": files,
            "content_digests": [BASE_DIGEST],
            "card": {},
            "state": "completed",
        }
        connection.execute(tables.adapters.insert().values(row))


@contextmanager
def hub_of_tokens(port: int) -> Iterator[None]:
    """Answer as the Hub does about tokens, in a thread."""
    server = _HubServer(("127.0.0.1", port), _Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def deployment(root: Path, **given: object) -> Iterator[Deployment]:
    """Run a deployment; it ends with the `with` block."""
    made = Deployment(root, **given)  # type: ignore[arg-type]
    with hub_of_tokens(made.hub_port):
        try:
            made.start()
            yield made
        finally:
            made.close()
