"""Starts and ends the embedder: the ``serve-embedder`` command.

SIGTERM and SIGINT drain: nothing new is taken, and what runs may finish within ``drain_seconds``.
"""

import asyncio
import logging
import time

from tornado.httpserver import HTTPServer
from tornado.web import Application

from adaptery.embedding_models import EmbeddingModelInfo, read_embedding_model
from adaptery.errors import IntegrityError
from adaptery_inference.config import MIB, EmbedderConfig, read_token
from adaptery_inference.embedder.embedder import Embedder
from adaptery_inference.embedder.handlers import (
    EmbeddingsHandler,
    HealthHandler,
    LoadHandler,
    ModelsHandler,
    UnknownHandler,
)
from adaptery_inference.embedder.model import EmbeddingModel
from adaptery_inference.server.listening import listen_until_stopped

log = logging.getLogger(__name__)
#: What an agent passes on came in one sealed message, which is smaller.
MAX_BODY_BYTES = 8 * MIB
#: How often a draining server looks whether the last answer is out.
DRAIN_POLL_SECONDS = 0.05


def make_app(embedder: Embedder, info: EmbeddingModelInfo, token: str) -> Application:
    """All routes."""
    shared = {"embedder": embedder, "info": info, "token": token}
    return Application(
        [
            (r"/health", HealthHandler, shared),
            (r"/v1/load", LoadHandler, shared),
            (r"/v1/models", ModelsHandler, shared),
            (r"/v1/embeddings", EmbeddingsHandler, shared),
        ],
        default_handler_class=UnknownHandler,
        default_handler_args=shared,
    )


def serve_embedder(config: EmbedderConfig) -> int:
    """Serve until a signal ends it.

    Raises:
        AdapteryError: the token or the model cannot be read.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("tornado.access").setLevel(logging.WARNING)  # each request would be a line
    token = read_token(config.token_file)
    info = read_embedding_model(config.model)
    if config.threads is not None:
        import torch

        torch.set_num_threads(config.threads)
    model = EmbeddingModel.load(config.model, config.device, config.dtype)
    if (model.dimensions, model.max_tokens) != (info.dimensions, info.max_tokens):
        raise IntegrityError("The model is not what it was when it was converted.")
    asyncio.run(_serve(config, Embedder(model, config.batch_tokens), info, token))
    return 0


async def _serve(
    config: EmbedderConfig, embedder: Embedder, info: EmbeddingModelInfo, token: str
) -> None:
    async def drain(server: HTTPServer) -> None:
        server.stop()
        deadline = time.monotonic() + config.drain_seconds
        while embedder.running and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_POLL_SECONDS)
        await server.close_all_connections()

    server = HTTPServer(make_app(embedder, info, token), max_body_size=MAX_BODY_BYTES)
    try:
        await listen_until_stopped(
            server, host=config.host, port=config.port, ready_file=config.ready_file, drain=drain
        )
    finally:
        await asyncio.to_thread(embedder.close)
    log.info("stopped")
