"""An engine's HTTP server on loopback, in this process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from adaptery_inference.build import BuiltEngine
from adaptery_inference.server.generation import EngineService
from adaptery_inference.server.main import make_app

TOKEN = "a-token"


@asynccontextmanager
async def serving(built: BuiltEngine) -> AsyncIterator[httpx.AsyncClient]:
    service = EngineService(built)
    service.start()
    server = HTTPServer(make_app(service, TOKEN))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            yield client
    finally:
        server.stop()
        await server.close_all_connections()
        await asyncio.to_thread(service.stop)


async def events(response: httpx.Response) -> AsyncIterator[dict]:
    async for line in response.aiter_lines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line[len("data: ") :])
