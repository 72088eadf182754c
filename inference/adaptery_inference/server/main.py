"""Starts and ends the HTTP server: the ``serve`` command.

SIGTERM and SIGINT drain: nothing new is taken, what waits is refused, what runs may finish within
``drain_seconds``. The ready file appears once requests are answered and goes when they are not.
"""

import asyncio
import logging
import os
import signal
import time

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from adaptery.files import write_atomic
from adaptery_inference.build import build_engine
from adaptery_inference.config import MIB, ServeConfig, read_token, ready_text
from adaptery_inference.server.completions import ChatCompletionsHandler, CompletionsHandler
from adaptery_inference.server.generation import EngineService
from adaptery_inference.server.handlers import (
    HealthHandler,
    LoadAdapterHandler,
    LoadHandler,
    ModelHandler,
    ModelsHandler,
    UnknownHandler,
    UnloadAdapterHandler,
)

log = logging.getLogger(__name__)
#: The longest request body; far above any context, far below what would hurt.
MAX_BODY_BYTES = 8 * MIB
#: How often a draining server looks whether the last answer is out.
DRAIN_POLL_SECONDS = 0.05


def make_app(service: EngineService, token: str) -> Application:
    """All routes."""
    shared = {"engine": service, "token": token, "created": int(time.time())}
    return Application(
        [
            (r"/health", HealthHandler, shared),
            (r"/v1/load", LoadHandler, shared),
            (r"/v1/models", ModelsHandler, shared),
            (r"/v1/models/(.+)", ModelHandler, shared),
            (r"/v1/load_lora_adapter", LoadAdapterHandler, shared),
            (r"/v1/unload_lora_adapter", UnloadAdapterHandler, shared),
            (r"/v1/chat/completions", ChatCompletionsHandler, shared),
            (r"/v1/completions", CompletionsHandler, shared),
        ],
        default_handler_class=UnknownHandler,
        default_handler_args=shared,
    )


def serve(config: ServeConfig) -> int:
    """Serve until a signal ends it.

    Raises:
        AdapteryError: the token or the base model cannot be read.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Each request would be a line; the gateway's audit is the record of who asked what.
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    token = read_token(config.token_file)
    asyncio.run(_serve(config, token))
    return 0


async def _serve(config: ServeConfig, token: str) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    built = await asyncio.to_thread(build_engine, config)
    service = EngineService(built)
    service.start()
    server = HTTPServer(make_app(service, token), max_body_size=MAX_BODY_BYTES)
    sockets = bind_sockets(config.port, config.host)
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    if config.ready_file is not None:
        write_atomic(config.ready_file, ready_text(port, os.getpid()))
    log.info("serving port=%d", port)
    try:
        await stopped.wait()
        if config.ready_file is not None:
            config.ready_file.unlink(missing_ok=True)
        await _drain(server, service, config.drain_seconds)
    finally:
        service.stop()
    log.info("stopped")


async def _drain(server: HTTPServer, service: EngineService, seconds: float) -> None:
    server.stop()
    await service.drain()
    deadline = time.monotonic() + seconds
    while (await service.load()).running and time.monotonic() < deadline:
        await asyncio.sleep(DRAIN_POLL_SECONDS)
    await server.close_all_connections()
