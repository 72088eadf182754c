"""The routes of the embedder; all but ``/health`` need the bearer token.

Errors have OpenAI's shape. Nothing of a text is logged or repeated.
"""

import asyncio
import base64
from collections.abc import Awaitable

from adaptery.embedding_models import EmbeddingModelInfo
from adaptery.errors import NotFoundError
from adaptery.schemas.common import parse_json
from adaptery.schemas.embeddings import EmbeddingRequest
from adaptery_inference.embedder.embedder import Embedded, Embedder
from adaptery_inference.errors import BadRequestError
from adaptery_inference.server.loopback import LoopbackHandler


class EmbedderHandler(LoopbackHandler):
    """Knows the embedder."""

    def initialize(self, embedder: Embedder, info: EmbeddingModelInfo, token: str) -> None:
        """Take what the application was made with."""
        self.embedder = embedder
        self.info = info
        self.token = token


class HealthHandler(EmbedderHandler):
    """``GET /health``: alive, and nothing else."""

    open_to_all = True

    def get(self) -> None:
        """Answer while the process lives."""
        self.answer({"status": "ok"})


class LoadHandler(EmbedderHandler):
    """``GET /v1/load``, with the fields of an engine."""

    def get(self) -> None:
        """Answer how many requests are under way."""
        running = self.embedder.running
        self.answer({"running": running, "waiting": 0, "adapters": [], "tokens_per_second": 0.0})


class ModelsHandler(EmbedderHandler):
    """``GET /v1/models``: the one model."""

    def get(self) -> None:
        """Answer the list."""
        info = self.info
        model = {"id": info.name, "object": "model", "owned_by": "adaptery"}
        self.answer({"object": "list", "data": [{**model, "dimensions": info.dimensions}]})


class EmbeddingsHandler(EmbedderHandler):
    """``POST /v1/embeddings``."""

    _working: asyncio.Task[Embedded] | None = None

    async def post(self) -> None:
        """Embed all texts; with more texts than fit into one batch, in several."""
        wanted = parse_json(EmbeddingRequest, self.request.body, BadRequestError)
        self._check(wanted)
        self._working = asyncio.ensure_future(self.embedder.embed(wanted.input))
        try:
            embedded = await self._working
        except asyncio.CancelledError:
            if self._working.cancelled():
                return  # the caller has left
            raise
        self.answer(_answer(embedded, self.info.name, wanted.encoding_format))

    def on_connection_close(self) -> None:
        """Compute nothing more for a caller who has left."""
        if self._working is not None:
            self._working.cancel()

    def _check(self, wanted: EmbeddingRequest) -> None:
        if wanted.model not in ("", self.info.name):
            raise NotFoundError("The embedder has no such model.")
        if wanted.dimensions not in (None, self.info.dimensions):
            raise BadRequestError.for_field("dimensions", "is not what the model has.")


class UnknownHandler(EmbedderHandler):
    """Every other address."""

    def prepare(self) -> Awaitable[None] | None:
        """Ask for the token first: without it nothing can be learnt."""
        super().prepare()
        raise NotFoundError("The embedder has no such route.")


def _answer(embedded: Embedded, model: str, encoding_format: str) -> dict[str, object]:
    vectors: list[object] = (
        [base64.b64encode(vector.tobytes()).decode() for vector in embedded.vectors]
        if encoding_format == "base64"
        else embedded.vectors.tolist()
    )
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
        "truncated_texts": embedded.truncated,
    }
