"""The routes about the engine itself: health, load, models and adapters.

Every route but ``/health`` needs the bearer token. Errors have OpenAI's shape, also those that
tornado raises. Nothing of a request's body is logged or repeated.
"""

import hmac
import json
import logging
from collections.abc import Awaitable, Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar
from urllib.parse import unquote

from tornado.web import HTTPError, RequestHandler

from adaptery.errors import (
    AdapteryError,
    ConflictError,
    InternalError,
    MethodNotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
)
from adaptery_inference.engine.adapters import Adapter
from adaptery_inference.errors import BadRequestError
from adaptery_inference.server.generation import EngineService
from adaptery_inference.server.requests import LoadAdapter, UnloadAdapter, parse

log = logging.getLogger(__name__)
_BY_STATUS: Mapping[int, type[AdapteryError]] = {
    404: NotFoundError,
    405: MethodNotAllowedError,
}


class Handler(RequestHandler):
    """Checks the token and answers errors in one shape."""

    open_to_all: ClassVar[bool] = False
    engine: EngineService

    def initialize(self, engine: EngineService, token: str, created: int) -> None:
        """Take what the application was made with."""
        self.engine = engine
        self.created = created
        self._token = token

    def prepare(self) -> Awaitable[None] | None:
        """Refuse callers without the token, in constant time."""
        if not self.open_to_all and not self._has_token():
            raise NotAuthenticatedError("Send the engine's token as a bearer token.")
        return None

    def answer(self, body: object) -> None:
        """Send JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body))

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Answer any exception as an error of ours, in OpenAI's shape."""
        error = self.known_error(kwargs.get("exc_info"), status_code)
        self.set_status(error.status)
        if error.retry_after_seconds is not None:
            self.set_header("Retry-After", str(round(error.retry_after_seconds)))
        self.answer(error.to_openai())

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log bugs with their traceback; errors of ours are answers, not events."""
        if value is not None and not isinstance(value, AdapteryError | HTTPError):
            log.error("unhandled error on %s", self.request.path, exc_info=value)

    @staticmethod
    def known_error(exc_info: object, status: int) -> AdapteryError:
        """The error of ours behind an exception that ended a request."""
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        if isinstance(error, AdapteryError):
            return error
        if status in _BY_STATUS:
            return _BY_STATUS[status]()
        return BadRequestError() if status < InternalError.status else InternalError()

    def _has_token(self) -> bool:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self._token.encode())


class HealthHandler(Handler):
    """``GET /health``: alive, and nothing else."""

    open_to_all = True

    def get(self) -> None:
        """Answer while the process lives."""
        self.answer({"status": "draining" if self.engine.draining else "ok"})


class LoadHandler(Handler):
    """``GET /v1/load``: how busy the engine is."""

    async def get(self) -> None:
        """Answer counts and the names of the loaded adapters."""
        load, adapters = await self.engine.load(), await self.engine.adapters()
        self.answer(
            {
                "running": load.running,
                "waiting": load.waiting,
                "adapters": sorted(adapters),
                "tokens_per_second": load.tokens_per_second,
                "kv_blocks_free": load.kv_blocks_free,
                "kv_blocks_total": load.kv_blocks_total,
            }
        )


class ModelsHandler(Handler):
    """``GET /v1/models``: the base model and every loaded adapter."""

    async def get(self) -> None:
        """Answer the list."""
        adapters = await self.engine.adapters()
        names = [self.engine.base_name, *sorted(adapters)]
        models = [_model(self, name, adapters.get(name)) for name in names]
        self.answer({"object": "list", "data": models})


class ModelHandler(Handler):
    """``GET /v1/models/{name}``."""

    async def get(self, quoted: str) -> None:
        """Answer one model."""
        name = unquote(quoted)  # clients send a slash in a name as %2F
        adapter = await self.engine.adapter(name)
        self.answer(_model(self, name, adapter))


class LoadAdapterHandler(Handler):
    """``POST /v1/load_lora_adapter``: validate an adapter and serve it."""

    async def post(self) -> None:
        """Load; loading the same name again points it to the new weights."""
        wanted = parse(LoadAdapter, self.request.body)
        if wanted.lora_name == self.engine.base_name:
            raise ConflictError("The base model has this name.")
        adapter = await self.engine.load_adapter(wanted.lora_name, Path(wanted.lora_path))
        self.answer(
            {
                "lora_name": wanted.lora_name,
                "weight_digest": adapter.digest,
                "rank": adapter.rank,
                "bytes": adapter.size_bytes,
            }
        )


class UnloadAdapterHandler(Handler):
    """``POST /v1/unload_lora_adapter``: stop serving an adapter."""

    async def post(self) -> None:
        """Unload; answers that are being made are finished."""
        wanted = parse(UnloadAdapter, self.request.body)
        await self.engine.unload_adapter(wanted.lora_name)
        self.answer({"lora_name": wanted.lora_name})


class UnknownHandler(Handler):
    """Every other address."""

    def prepare(self) -> Awaitable[None] | None:
        """Ask for the token first: without it nothing can be learnt."""
        super().prepare()
        raise NotFoundError("The engine has no such route.")


def _model(handler: Handler, name: str, adapter: Adapter | None) -> dict[str, object]:
    """An entry as OpenAI has it, with vLLM's ``root`` and ``parent``."""
    return {
        "id": name,
        "object": "model",
        "created": handler.created,
        "owned_by": "adaptery",
        "root": adapter.digest if adapter else name,
        "parent": handler.engine.base_name if adapter else None,
    }
