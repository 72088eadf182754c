"""Streams arrive piece by piece through the proxy, and end where the reader ends."""

import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from local_hub import HubProcess, HubUser
from support.api import Api, Journey, submit, wait_for_job
from support.waiting import eventually_sync


class GatedUpstream:
    """An HTTP server that withholds its second chunk until the first has been received."""

    def __init__(self, port: int) -> None:
        self.received = threading.Event()
        self.in_time: bool | None = None
        self._socket = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self.in_time is None:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        if b"/services/gate/stream" not in connection.recv(65536):
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"data: 1\n\n")
        )
        self.in_time = self.received.wait(20)
        connection.sendall(chunk(b"data: 2\n\n") + b"0\r\n\r\n")

    def close(self) -> None:
        self._socket.close()
        self._thread.join(5)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


@pytest.fixture
def upstream(hub: HubProcess) -> Iterator[GatedUpstream]:
    upstream = GatedUpstream(hub.port + 5)
    yield upstream
    upstream.close()


def test_the_proxy_passes_events_on_one_by_one(hub: HubProcess, upstream: GatedUpstream) -> None:
    seen = b""
    with httpx.stream("GET", f"{hub.url}/services/gate/stream", timeout=30) as answer:
        for piece in answer.iter_raw():
            seen += piece
            if b"data: 1" in seen:
                upstream.received.set()
    assert upstream.in_time is True, "chunk 1 came only after chunk 2 was sent"
    assert b"data: 2" in seen


def test_job_events_come_while_the_job_runs(demo_api: Api, journey: Journey) -> None:
    job = submit(demo_api, "live", journey.version["id"], max_steps=30)["id"]
    with demo_api.stream("GET", f"api/jobs/{job}/events") as answer:
        first = next(line for line in answer.iter_lines() if line.startswith("data: "))
        assert json.loads(first[6:])["seq"] >= 1
        assert demo_api.json("GET", f"api/jobs/{job}")["state"] != "completed"
    wait_for_job(demo_api, job)


def test_the_engine_stops_when_the_reader_goes_away(
    demo_api: Api, admin: HubUser, journey: Journey
) -> None:
    scopes = ["access:services!service=adaptery", "custom:adaptery:admin", "custom:adaptery:read"]
    admin_api = Api.of(admin, scopes)

    def running() -> int:
        (agent,) = [a for a in admin_api.json("GET", "api/agents")["items"] if a["state"] == "live"]
        return int(agent["load"]["engine"]["running"])

    eventually_sync(lambda: running() == 0)
    body = {
        "model": journey.adapter["full_name"],
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 200,
        "stream": True,
    }
    with demo_api.stream("POST", "v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        next(answer.iter_lines())
    eventually_sync(lambda: running() == 0, timeout_seconds=10)


def test_the_narrow_token_of_a_failed_start_is_dead(hub: HubProcess) -> None:
    unlucky = HubUser(hub, "unlucky")
    unlucky.hub_api("POST", f"users/{unlucky.name}/server", json={})
    path = hub.state / "unlucky-key"
    eventually_sync(path.exists)

    def status() -> int:
        headers = {"Authorization": f"Bearer {path.read_text()}"}
        return httpx.get(f"{hub.url}/hub/api/user", headers=headers).status_code

    assert eventually_sync(lambda: status() == 403)
