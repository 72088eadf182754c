"""A service on a real socket that answers by a script, and may stay silent for good."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from adaptery.client import Hub, connect

PREFIX = "/services/adaptery/"
TOKEN = "secret-token"


class ScriptedHttp(ThreadingHTTPServer):
    """Answers each path with the JSON of its script; a path of `silent` is never answered."""

    daemon_threads = True

    def __init__(self, script: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        #: "GET api/jobs" -> what is answered, or a function of the body.
        self.script = script
        #: Paths of which not even the headers come.
        self.mute: set[str] = set()
        self.asked: list[str] = []
        self.left = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{PREFIX}"

    def connect(self) -> Hub:
        return connect(self.url, TOKEN)

    def wait_until_left(self, seconds: float = 10) -> bool:
        """Wait until one client has left an answer that had not come to its end."""
        return self.left.acquire(timeout=seconds)


class Stream:
    """A stream of events that goes on in silence after the first ones, if it is `endless`."""

    def __init__(self, *events: Any, endless: bool = False) -> None:
        self.events, self.endless = events, endless


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedHttp

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = f"{self.command} {self.path.removeprefix(PREFIX).partition('?')[0]}"
        self.server.asked.append(f"{self.command} {self.path.removeprefix(PREFIX)}")
        if path in self.server.mute:
            self._stay_silent()
            return
        answer = self.server.script.get(path)
        answer = answer(body) if isinstance(answer, Callable) else answer
        if isinstance(answer, Stream):
            self._stream(answer)
        else:
            self._json(answer)

    do_GET = do_POST = do_DELETE = do_PATCH = _answer

    def _json(self, answer: Any) -> None:
        problem = {"status": 404, "code": "not_found", "detail": "There is no such thing."}
        content = json.dumps(problem if answer is None else answer).encode()
        self.send_response(404 if answer is None else answer.get("status", 200))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, stream: Stream) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in stream.events:
            text = event if isinstance(event, str) else json.dumps(event)
            self.wfile.write(f"data: {text}\n\n".encode())
        if stream.endless:
            self._stay_silent()

    def _stay_silent(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.recv(1)
        self.server.left.release()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on stderr."""


@contextmanager
def scripted_http(script: dict[str, Any] | None = None) -> Iterator[ScriptedHttp]:
    """Run a scripted service on a free port."""
    server = ScriptedHttp(script or {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.socket.shutdown(socket.SHUT_RDWR)
        server.server_close()
