"""Which adapters one engine holds, and how one that is asked for gets there.

    on disk? else fetched over its session -> room in the engine -> loaded under its digest name

Not here: the files (`adapter_cache`), the process (`engine`). Invariants:
- an adapter is known to the engine by its weight digest and by nothing else, so equal weights are
  held once and a name can never mean other weights;
- an adapter in use is not unloaded;
- what an earlier engine process held counts for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adaptery.errors import DeadlineError, EngineBusyError, UnavailableError
from adaptery.files import is_full
from adaptery_network.agent.adapter_cache import AdapterCache, KeyedLocks
from adaptery_network.agent.engine import Engine
from adaptery_network.agent.engine_client import EngineClient
from adaptery_network.agent.folders import digest_name
from adaptery_network.agent.lines import Line, PatientLine
from adaptery_network.agent.transfers import fetch_folder

logger = logging.getLogger(__name__)

#: An adapter has some ten megabytes; who asks for it is waiting.
FETCH_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Held:
    """An adapter that the engine holds for as long as somebody uses it."""

    client: EngineClient
    #: What the engine calls it.
    name: str


class Residents:
    """The adapters of one engine."""

    def __init__(self, engine: Engine, cache: AdapterCache, limit: int) -> None:
        self._engine = engine
        self._cache = cache
        self._limit = limit
        self._locks = KeyedLocks()
        self._room = asyncio.Lock()
        self._loaded: dict[str, None] = {}  # by use, the least recent first
        self._uses: Counter[str] = Counter()
        self._generation = 0

    @property
    def digests(self) -> tuple[str, ...]:
        """The weight digests that the engine holds now."""
        return tuple(self._loaded) if self._generation == self._engine.generation else ()

    @asynccontextmanager
    async def hold(
        self, weight_digest: str, open_line: Callable[[], Line]
    ) -> AsyncGenerator[Held, None]:
        """Have an adapter in the engine while the block runs.

        Raises:
            AdapteryError: it cannot be fetched or loaded, or the engine has no room.
        """
        self._uses[weight_digest] += 1
        try:
            async with self._locks.of(weight_digest):
                client = await self._ensure(weight_digest, open_line)
            yield Held(client, digest_name(weight_digest))
        finally:
            self._uses[weight_digest] -= 1
            if not self._uses[weight_digest]:
                del self._uses[weight_digest]

    def forget(self, weight_digest: str) -> None:
        """Stop believing that the engine holds an adapter: it said that it does not."""
        self._loaded.pop(weight_digest, None)

    async def _ensure(self, weight_digest: str, open_line: Callable[[], Line]) -> EngineClient:
        if weight_digest not in self.digests:  # otherwise its files need not be looked for
            await self._folder(weight_digest, open_line)
        client = await self._engine.client()
        if self._generation != self._engine.generation:
            self._generation = self._engine.generation
            self._loaded.clear()
        if weight_digest not in self._loaded:
            folder = await self._folder(weight_digest, open_line)
            async with self._room:
                await self._make_room(client)
                await client.load_adapter(digest_name(weight_digest), folder)
                logger.info("adapter loaded digest=%s", weight_digest)
        self._loaded.pop(weight_digest, None)
        self._loaded[weight_digest] = None
        return client

    async def _folder(self, weight_digest: str, open_line: Callable[[], Line]) -> Path:
        return self._cache.find(weight_digest) or await self._fetch(weight_digest, open_line)

    async def _make_room(self, client: EngineClient) -> None:
        while len(self._loaded) >= self._limit:
            idle = next((digest for digest in self._loaded if not self._uses[digest]), None)
            if idle is None:
                raise EngineBusyError("Every adapter that the engine has room for is in use.")
            del self._loaded[idle]
            self._cache.find(idle)  # on disk it was last used now
            await client.unload_adapter(digest_name(idle))
            logger.info("adapter unloaded digest=%s", idle)

    async def _fetch(self, weight_digest: str, open_line: Callable[[], Line]) -> Path:
        try:
            staging = self._cache.staging(weight_digest)
            async with asyncio.timeout(FETCH_SECONDS):
                await fetch_folder(PatientLine(open_line()), staging, _place)
        except TimeoutError:
            raise DeadlineError("The adapter could not be fetched in time.") from None
        except OSError as error:
            if not is_full(error):
                raise
            self._cache.give_up(weight_digest)  # as much room is wanted by others
            raise UnavailableError("The agent's disk has no room for this adapter.") from error
        keep = {*self.digests, *self._uses}
        return await asyncio.to_thread(self._cache.admit, weight_digest, keep=keep)


def _place(path: str) -> str | None:
    head, _, rest = path.partition("/")
    return rest if head == "adapter" and rest else None
