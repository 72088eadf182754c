"""A real JupyterHub with Adaptery, started from the repository's own `jupyterhub_config.py`.

`HubProcess` starts and ends one; `HubUser` logs in over HTTP as a browser would, without one. The
demo and the integration tests share it. Nothing of Adaptery is imported here.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

#: Public, proxy API, Hub, service and broker; the tests use one more.
PORTS = 6
#: A cold, busy machine takes a minute to import everything.
START_SECONDS = 180
REPOSITORY = Path(__file__).resolve().parents[1]


def free_ports(count: int) -> int:
    """Return a port that starts a row of `count` free ones."""
    # Rows are counted from the process id, so that two that start together do not meet.
    for first in range(10000 + os.getpid() % 3000 * count, 32000, count):
        sockets = []
        try:
            for port in range(first, first + count):
                one = socket.socket()
                sockets.append(one)
                one.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
        return first
    raise RuntimeError("no row of free ports")


def wait_for(
    condition: Callable[[], object], *, timeout_seconds: float, every_seconds: float
) -> None:
    """Return when `condition` is true.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready within {timeout_seconds:.0f} s")
        time.sleep(every_seconds)


@dataclass
class HubProcess:
    """One Hub with everything it starts."""

    state: Path
    config: Path = REPOSITORY / "jupyterhub_config.py"
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The Hub's public address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def service_url(self) -> str:
        """The address of the Adaptery service."""
        return f"{self.url}/services/adaptery/"

    @property
    def log(self) -> str:
        """Everything the Hub and its children wrote."""
        return (self.state / "hub.log").read_text(errors="replace")

    @property
    def passwords(self) -> dict[str, str]:
        """Passwords of the demo users."""
        return json.loads((self.state / "demo-passwords.json").read_text())

    def start(self) -> "HubProcess":
        """Start the Hub and wait until the service answers.

        Raises:
            RuntimeError: the Hub ended; the message holds the end of its log.
            TimeoutError: the service does not answer.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_ports(PORTS)
        environment = {
            **os.environ,
            "ADAPTERY_STATE_DIR": str(self.state),
            "ADAPTERY_PORT": str(self.port),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **self.environment,
        }
        with (self.state / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.config)],
                cwd=self.state,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._is_up, timeout_seconds=START_SECONDS, every_seconds=0.2)
        return self

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"the Hub ended:\n{self.log[-4000:]}")
        try:
            return httpx.get(f"{self.service_url}health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def descendants(self) -> list[psutil.Process]:
        """Return every process that the Hub started."""
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def find(self, *words: str) -> psutil.Process | None:
        """Return the descendant whose command line holds all the words."""
        for process in self.descendants():
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                return process
        return None

    def stop(self) -> list[psutil.Process]:
        """End the Hub with SIGTERM and return the processes it left behind."""
        for client in self.clients:
            client.close()
        if self.process is None:
            return []
        children = self.descendants()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            _, alive = psutil.wait_procs(children, timeout=15)
            for process in alive:
                process.kill()
            if self.process.poll() is None:
                self.process.kill()
        return alive

    def user(self, name: str) -> "HubUser":
        """Log in as a demo user."""
        return HubUser(self, name)


class HubUser:
    """One user's browser session, without a browser."""

    def __init__(self, hub: HubProcess, name: str) -> None:
        self.hub = hub
        self.name = name
        self.client = httpx.Client(base_url=hub.url, follow_redirects=True, timeout=60)
        hub.clients.append(self.client)
        self._login()

    def xsrf(self, path: str) -> str:
        """Return the XSRF token that pages below `path` expect."""
        for cookie in self.client.cookies.jar:
            if cookie.name == "_xsrf" and cookie.path == path:
                return cookie.value or ""
        raise AssertionError(f"no _xsrf cookie for {path}")

    def _login(self) -> None:
        self.client.get("/hub/login")
        answer = self.client.post(
            "/hub/login",
            data={
                "username": self.name,
                "password": self.hub.passwords[self.name],
                "_xsrf": self.xsrf("/hub/"),
            },
            params={"next": "/hub/home"},
        )
        assert answer.status_code == 200, (answer.status_code, answer.text[:300])
        assert re.search(r"/hub/home", str(answer.url)), answer.url

    def hub_api(self, method: str, path: str, **kwargs: object) -> httpx.Response:
        """Call the Hub's own API as this user's browser."""
        return self.client.request(
            method,
            f"/hub/api/{path}",
            headers={"X-XSRFToken": self.xsrf("/hub/")},
            **kwargs,  # type: ignore[arg-type]
        )

    def token(self, scopes: list[str] | None = None) -> str:
        """Make a user token with exactly these scopes, as the Hub's token page does."""
        body: dict[str, object] = {"note": "test"}
        if scopes is not None:
            body["scopes"] = scopes
        answer = self.hub_api("POST", f"users/{self.name}/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def spawn(self, timeout_seconds: float = 60) -> None:
        """Start the user's server and wait until it is ready."""
        answer = self.hub_api("POST", f"users/{self.name}/server", json={})
        assert answer.status_code in (201, 202), answer.text

        def ready() -> bool:
            servers = self.hub_api("GET", f"users/{self.name}").json()["servers"]
            return bool(servers.get("", {}).get("ready"))

        wait_for(ready, timeout_seconds=timeout_seconds, every_seconds=0.3)

    def stop_server(self) -> None:
        """Stop the user's server and wait until it is gone."""
        self.hub_api("DELETE", f"users/{self.name}/server")

        def gone() -> bool:
            return "" not in self.hub_api("GET", f"users/{self.name}").json().get("servers", {})

        wait_for(gone, timeout_seconds=60, every_seconds=0.3)

    def page(self, path: str = "") -> httpx.Response:
        """Open a page of the service as this user's browser."""
        return self.client.get(f"/services/adaptery/{path}")
