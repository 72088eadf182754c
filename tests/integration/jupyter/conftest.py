"""Real Jupyter servers with the extension, and a service that writes down what reaches it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from local_hub import free_ports
from support.plain_http import is_up
from support.waiting import eventually_sync

#: Tokens of this server (for the browser) and of the service (for the server).
LOGIN, SERVICE_TOKEN = "login-token", "service-token"


@dataclass
class Arrival:
    """One request as the service got it."""

    method: str
    path: str
    headers: dict[str, str]
    body_bytes: int


@dataclass
class NotingService:
    """Answers everything with 200 and remembers it; breaks off where a path ends in `cut`."""

    url: str
    arrivals: list[Arrival] = field(default_factory=list)


@dataclass
class JupyterServer:
    """A Jupyter server, seen as a browser without a session sees it."""

    url: str

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """Log in as a browser does: cookies, no token."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            client.get("/login")  # sets the XSRF cookie
            client.get("/login", params={"token": LOGIN})  # sets the session's
            yield client


@pytest.fixture(scope="module")
def service() -> Iterator[NotingService]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            noted.arrivals.append(Arrival(self.command, self.path, headers, len(body)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Set-Cookie", "of=the-service")
            if self.path.endswith("cut"):
                self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        noted = NotingService(f"http://127.0.0.1:{server.server_port}/services/adaptery/")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield noted
        server.shutdown()


@contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator[JupyterServer]:
    """Run a Jupyter server with the extension as an install enables it."""
    port = free_ports(1)
    command = ["-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    options = [f"--port={port}", "--port-retries=0", f"--ServerApp.root_dir={folder}"]
    inherited = {name: value for name, value in os.environ.items() if "ADAPTERY" not in name}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, *options, f"--IdentityProvider.token={LOGIN}"],
            env={**inherited, "HOME": str(folder), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = JupyterServer(f"http://127.0.0.1:{port}")

    def up() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text()
        return is_up(f"{server.url}/api")

    try:
        eventually_sync(up, timeout_seconds=60)
        yield server
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def server(
    service: NotingService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JupyterServer]:
    known = {"ADAPTERY_URL": service.url, "JUPYTERHUB_API_TOKEN": SERVICE_TOKEN}
    with running(tmp_path_factory.mktemp("jupyter"), known) as server:
        yield server


@pytest.fixture(scope="module")
def lonely_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A server that knows no service."""
    with running(tmp_path_factory.mktemp("lonely"), {}) as server:
        yield server


@pytest.fixture
def browser(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.browser() as client:
        yield client
