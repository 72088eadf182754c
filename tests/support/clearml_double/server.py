"""The stand-in as an HTTP server: API and file server on one port, with faults on demand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import unquote

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from support.clearml_double.endpoints import ENDPOINTS
from support.clearml_double.records import Document, Records, Refused

ACCESS_KEY = "DOUBLEACCESSKEY"
SECRET_KEY = "double-secret-key-that-must-not-be-seen"
API_VERSION, SERVER_VERSION = "2.34", "2.3.0"
TOKEN_SECONDS = 3600
#: As a load balancer writes it when the server behind it is gone.
HTML = "<html><body><h1>It works!</h1></body></html>"

Fault = Literal["503", "html", "hang", "reset", "slow", "nonsense"]


class ClearmlDouble:
    """What the server knows, what it was asked, and how it fails."""

    def __init__(self) -> None:
        self.tasks = Records("task")
        self.projects = Records("project")
        self.queues = Records("queue")
        self.files: dict[str, bytes] = {}
        self.events: list[Document] = []
        self.calls: list[str] = []
        self.unknown: list[str] = []
        self.fault: Fault | None = None
        #: With a fault: the endpoint from which on it happens; None: all of them.
        self.fault_at: str | None = None
        self.port = 0
        self.held = asyncio.Event()  # lets go what hangs

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def datasets(self) -> list[Document]:
        """Return every dataset, whole or not."""
        return [t for t in self.tasks.rows.values() if "dataset" in t.get("system_tags", [])]

    def state_of(self, dataset: Document) -> Any:
        """Return the state file of a dataset, which lists its links."""
        artifacts = dataset["execution"]["artifacts"]
        uri = next(a["uri"] for a in artifacts if a["key"] == "state")
        return json.loads(self.files[unquote(uri.removeprefix(self.url))])

    def failing(self, endpoint: str) -> Fault | None:
        """Return how the call of an endpoint fails."""
        if self.fault_at is not None and self.fault_at == endpoint:
            self.fault_at = None
        return self.fault if self.fault_at is None else None


def make_token() -> str:
    """Return a JWT with what the SDK reads of it."""
    claims = {
        "exp": int(time.time()) + TOKEN_SECONDS,
        "api_version": API_VERSION,
        "server_version": SERVER_VERSION,
        "feature_set": "basic",
        "identity": {"user": "double", "company": "double", "role": "user"},
    }
    head, body = (_part(json.dumps(p).encode()) for p in ({"alg": "HS256", "typ": "JWT"}, claims))
    signature = hmac.new(SECRET_KEY.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_part(signature)}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Failing(RequestHandler):
    def initialize(self, double: ClearmlDouble) -> None:
        self.double = double

    async def failed(self, endpoint: str) -> bool:
        """Fail as the double shall; tell whether it was answered."""
        fault = self.double.failing(endpoint)
        if fault == "hang":
            await self.double.held.wait()
        if fault in ("hang", "reset"):
            self._drop()
        elif fault == "503":
            self.set_status(503)
            self.finish("<html>503</html>")
        elif fault == "html":
            self.finish(HTML)
        elif fault == "nonsense":
            self.finish({"data": "tasks", "meta": {"result_code": 200}})
        return fault not in (None, "slow")

    def _drop(self) -> None:
        self.detach().close() if self.request.connection else None


class _ApiHandler(_Failing):
    async def _answer(self, endpoint: str) -> None:
        self.double.calls.append(endpoint)
        if await self.failed(endpoint):
            return
        try:
            data = self._call(endpoint)
        except Refused as refused:
            self.set_status(refused.status)
            self.finish(self._envelope(endpoint, refused.status, refused.subcode, str(refused)))
            return
        self.finish({**self._envelope(endpoint), "data": data})

    get = post = put = _answer

    def _call(self, endpoint: str) -> Document:
        if endpoint == "auth.login":
            given = f"{ACCESS_KEY}:{SECRET_KEY}".encode()
            if self.request.headers.get("Authorization") != "Basic " + _basic(given):
                raise Refused(401, 20, "Unauthorized (invalid credentials)")
            return {"token": make_token()}
        if not self.request.headers.get("Authorization", "").startswith("Bearer "):
            raise Refused(401, 20, "Unauthorized")
        if endpoint not in ENDPOINTS:
            self.double.unknown.append(endpoint)
            raise Refused(404, 0, f"the stand-in knows no endpoint {endpoint}")
        return ENDPOINTS[endpoint](self.double, self._payload())

    def _payload(self) -> Any:
        text = self.request.body.decode() or "{}"
        if self.request.headers.get("Content-Type", "").startswith("application/json-lines"):
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)

    def _envelope(
        self, endpoint: str, code: int = 200, subcode: int = 0, message: str = "OK"
    ) -> Document:
        meta = {
            "id": "0" * 32,
            "trx": "0" * 32,
            "endpoint": {"name": endpoint, "requested_version": API_VERSION},
            "result_code": code,
            "result_subcode": subcode,
            "result_msg": message,
            "error_stack": None,
            "error_data": {},
        }
        return {"meta": meta, "data": {}}


class _FilesHandler(_Failing):
    async def post(self, _: str) -> None:
        if await self.failed("files"):
            return
        for parts in self.request.files.values():
            for part in parts:
                self.double.files[f"/{part['filename'].lstrip('/')}"] = part["body"]
        self.finish("[]")

    async def get(self, path: str) -> None:
        if path not in self.double.files:
            self.set_status(404)
            return
        self.finish(self.double.files[path])

    async def head(self, path: str) -> None:
        self.set_status(200 if path in self.double.files else 404)


def _basic(given: bytes) -> str:
    return base64.b64encode(given).decode()


@asynccontextmanager
async def running_double() -> AsyncIterator[ClearmlDouble]:
    """Run the stand-in on a free port."""
    double = ClearmlDouble()
    given = {"double": double}
    endpoint = r"/(?:v[\d.]+/)?([a-z_]+\.[a-z_]+)"
    application = Application([(endpoint, _ApiHandler, given), (r"(/.*)", _FilesHandler, given)])
    server = HTTPServer(application, max_body_size=64 * 1024 * 1024)
    server.listen(0, "127.0.0.1")
    double.port = next(iter(server._sockets.values())).getsockname()[1]
    try:
        yield double
    finally:
        double.held.set()
        server.stop()
        await server.close_all_connections()
