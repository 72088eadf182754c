"""Starts and ends the HTTP server: the ``serve`` command.

SIGTERM and SIGINT drain: nothing new is taken, what waits is refused, what runs may finish within
``drain_seconds``. The ready file appears once requests are answered and goes when they are not.
"""

import asyncio
import logging
import time

from tornado.httpserver import HTTPServer
from tornado.web import Application

from adaptery_inference.build import build_engine
from adaptery_inference.config import MIB, ServeConfig, read_token
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
from adaptery_inference.server.listening import listen_until_stopped, stop_on_signals

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
    stopped = stop_on_signals()  # also while the model is loaded
    built = await asyncio.to_thread(build_engine, config)
    service = EngineService(built)
    service.start()
    server = HTTPServer(make_app(service, token), max_body_size=MAX_BODY_BYTES)
    try:
        await listen_until_stopped(
            server,
            host=config.host,
            port=config.port,
            ready_file=config.ready_file,
            drain=lambda server: _drain(server, service, config.drain_seconds),
            stopped=stopped,
        )
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
