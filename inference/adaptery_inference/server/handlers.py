"""The routes about the engine itself: health, load, models and adapters."""

from collections.abc import Awaitable
from pathlib import Path
from urllib.parse import unquote

from adaptery.errors import ConflictError, NotFoundError
from adaptery_inference.engine.adapters import Adapter
from adaptery_inference.server.generation import EngineService
from adaptery_inference.server.loopback import LoopbackHandler
from adaptery_inference.server.requests import LoadAdapter, UnloadAdapter, parse


class Handler(LoopbackHandler):
    """Knows the engine."""

    engine: EngineService

    def initialize(self, engine: EngineService, token: str, created: int) -> None:
        """Take what the application was made with."""
        self.engine = engine
        self.created = created
        self.token = token


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
