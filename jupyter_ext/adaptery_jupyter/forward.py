"""Forwards a browser's request to the service with the server's own token.

Invariants:
1. Only `api/` and `v1/` are forwarded, and no path leaves them, however it is percent-encoded: the
   service reads exactly the path that was checked here.
2. No header of the browser travels except content type and range headers; no cookie ever does, and
   no token that the Jupyter server takes in a query. No cookie of the service is kept.
3. Answers are streamed as they come, so that server-sent events arrive one by one; one that breaks
   off breaks off here too, and a browser that leaves leaves the service at once.
4. What is asked of a restricted adapter is sealed here (`adaptery.client.sealing`): only this
   server and the agent read it.
5. Of a body no more than `BODY_LIMIT_BYTES` is kept in memory, and a larger one goes nowhere.
"""

from __future__ import annotations

import asyncio
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import httpx
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from adaptery.client.sealing import AsyncSealingClient
from adaptery.errors import NotFoundError, TooLargeError, UnavailableError
from adaptery.schemas.exports import EXPORT_REPORT_HEADER
from adaptery_jupyter.problems import refuse

_TO_SERVICE = ("Content-Type", "Content-Range", "Last-Event-ID", "Accept")
#: What is passed on as it came must not be compressed on the way by a proxy.
_AS_IT_IS = {b"Accept-Encoding": b"identity"}
_TO_BROWSER = (
    *("Content-Type", "X-Request-Id", "Retry-After", "Content-Disposition"),
    EXPORT_REPORT_HEADER,
)
#: Query parameters by which a browser shows the Jupyter server who it is.
_OWN_QUERY = frozenset({"token", "_xsrf"})
#: No answer for this long means that the service is away. Streams may pause for longer.
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 300.0
#: Twice what the views send at once: files go in parts of 4 MiB.
BODY_LIMIT_BYTES = 8 * 1024 * 1024
_TOO_LARGE = f"What was sent is over the limit of {BODY_LIMIT_BYTES} bytes."
_SET_URL = "Set ADAPTERY_URL and JUPYTERHUB_API_TOKEN and start Jupyter again."


class Service:
    """The service that is forwarded to, and the connections to it, which all requests share.

    Making a client reads every certificate of the machine: some 30 ms that no request should wait.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._client: AsyncSealingClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """The one client, made where it is first needed: it belongs to the loop that runs there."""
        if self._client is None:
            self._client = AsyncSealingClient(
                timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
                # Streams keep their connections; a limit would make other requests wait for them.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        return self._client


@web.stream_request_body
class ForwardHandler(APIHandler):
    """One handler for all forwarded paths and verbs."""

    def initialize(self, service: Service) -> None:  # type: ignore[override]
        """Take the service from the extension."""
        self._service = service
        self._body = bytearray()
        self._received_bytes = 0
        self._relaying: asyncio.Task[None] | None = None

    def on_connection_close(self) -> None:
        """End the request at the service: the browser has gone, whether or not more comes."""
        if self._relaying is not None:
            self._relaying.cancel()
        super().on_connection_close()

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body. Too much is read to its end, so that the answer arrives."""
        self._received_bytes += len(chunk)
        if self._received_bytes <= BODY_LIMIT_BYTES:
            self._body += chunk

    @web.authenticated
    async def get(self, path: str) -> None:
        """Forward a GET."""
        await self._forward(path)

    @web.authenticated
    async def post(self, path: str) -> None:
        """Forward a POST."""
        await self._forward(path)

    @web.authenticated
    async def put(self, path: str) -> None:
        """Forward a PUT."""
        await self._forward(path)

    @web.authenticated
    async def patch(self, path: str) -> None:
        """Forward a PATCH."""
        await self._forward(path)

    @web.authenticated
    async def delete(self, path: str) -> None:
        """Forward a DELETE."""
        await self._forward(path)

    async def _forward(self, path: str) -> None:
        if not self._service.url:
            refuse(self, UnavailableError("No service is known here.", hint=_SET_URL))
            return
        if self._received_bytes > BODY_LIMIT_BYTES:
            refuse(self, TooLargeError(_TOO_LARGE, hint="Send a file in parts, by Content-Range."))
            return
        target = target_of(self._service.url, path, self.request.query)
        if target is None:
            refuse(self, NotFoundError())
            return
        self._relaying = asyncio.create_task(self._relay(target))
        try:
            await asyncio.wait({self._relaying})
            if not self._relaying.cancelled():
                self._relaying.result()
        except httpx.HTTPError:
            if self._headers_written:
                self._cut()
            else:
                refuse(self, UnavailableError("The service does not answer; try again."), 502)
        except httpx.InvalidURL:
            refuse(self, NotFoundError())  # too long once it is encoded
        except StreamClosedError:
            return  # the browser went away; leaving the stream ends it at the service

    async def _relay(self, target: str) -> None:
        sent = {k: self.request.headers[k] for k in _TO_SERVICE if k in self.request.headers}
        # Bytes, because nobody promises that a browser's headers are ASCII; as tornado read them.
        headers = {name.encode(): value.encode("latin-1") for name, value in sent.items()}
        headers |= {b"Authorization": f"Bearer {self._service.token}".encode(), **_AS_IT_IS}
        async with self._service.client.stream(
            self.request.method or "GET",
            target,
            content=bytes(self._body) or None,
            headers=headers,
        ) as answer:
            self.set_status(answer.status_code)
            for name in _TO_BROWSER:
                if name in answer.headers:
                    self.set_header(name, answer.headers[name])
            async for chunk in answer.aiter_bytes():
                self.write(chunk)
                await self.flush()
        await self.finish()

    def _cut(self) -> None:
        """End the connection: a proper end would make half an answer look whole."""
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.close()

    def finish(self, *args: Any, **kwargs: Any) -> Any:
        """Finish without the JSON content type that `APIHandler` would force on the answer."""
        return web.RequestHandler.finish(self, *args, **kwargs)


def target_of(service_url: str, path: str, query: str) -> str | None:
    """Return the address at the service of a decoded path and a raw query; None if it has none."""
    if any(part in ("", ".", "..") for part in path.split("/")):
        return None
    # Encoded again: a "?", "#" or "%" in a name must not become the end, or other letters, of it.
    address = f"{service_url.rstrip('/')}/{quote(path, safe='/')}"
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = urlencode([(name, value) for name, value in pairs if name not in _OWN_QUERY])
    return f"{address}?{kept}" if kept else address
