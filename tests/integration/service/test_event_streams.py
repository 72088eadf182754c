"""Event streams byte by byte: what a client gets of them, however slowly it reads."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.sse import EventStream
from adaptery_hub.routes import Operation, Route
from support.service import Service

EVENTS, EVENT_BYTES = 200, 32 * 1024
SMALL_BUFFER_BYTES = 4096


def text(number: int) -> str:
    return f"{number:05}" + "x" * EVENT_BYTES


class Pour(Handler):
    """Sends more than any socket takes at once."""

    async def get(self) -> None:
        stream = EventStream(self)
        await stream.open(at_once=False)
        for number in range(EVENTS):
            await stream.send(text(number))


class Hurry(Handler):
    """Tells whether what it sends waits for the client's word about what came before."""

    async def get(self) -> None:
        stream = EventStream(self)
        await stream.open()
        connection = self.request.connection
        small = getattr(connection, "stream").socket  # noqa: B009 - tornado's type does not name it
        at_once = small.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await stream.send("at once" if at_once else "later")


@pytest.fixture
async def url(service: Service) -> AsyncIterator[str]:
    def rule(path: str, handler: type[Handler]) -> tuple[str, type[Handler], dict[str, object]]:
        route = Route(path, handler, {"GET": Operation("read", "Send events.")})
        return f"/{path}", handler, {"services": service.services, "route": route}

    listening, port = bind_unused_port()
    server = HTTPServer(Application([rule("pour", Pour), rule("hurry", Hurry)]))
    server.add_socket(listening)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


async def ask(port: int, path: str, token: str, version: str) -> bytes:
    """Read an answer through a small window, until the connection is closed."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    made.setblocking(False)
    with closing(made):
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=made)
        writer.write(
            f"GET {path} HTTP/{version}\r\nHost: here\r\nAuthorization: {token}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
    return answer


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_slow_reader_gets_every_byte_in_order_and_the_end(
    service: Service, url: str, version: str
) -> None:
    token = service.client("demo").headers["Authorization"]
    answer = await ask(httpx.URL(url).port or 0, "/pour", token, version)
    head, _, body = answer.partition(b"\r\n\r\n")
    events = [f"data: {text(number)}\n\n".encode() for number in range(EVENTS)]
    if version == "1.0":
        assert body == b"".join(events)
    else:
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"".join(b"%x\r\n%b\r\n" % (len(e), e) for e in events) + b"0\r\n\r\n"


async def test_a_token_is_sent_at_once(service: Service, url: str) -> None:
    answer = await service.client("demo").get(f"{url}/hurry")
    assert answer.text == "data: at once\n\n"
