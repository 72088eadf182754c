"""Has each configured model converted once, and knows the weights of each.

Converting needs torch, so it is a command of the engine's package. Not here: deciding which
models there are, or fetching any. Invariants:
- two agents that share a models folder convert a model once (a file lock decides);
- ``base_model.json`` (of an embedding model: ``embedding_model.json``) is the last file the
  converter writes: where it is, the model is whole.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from adaptery.base_models import BASE_MODEL_NAME, read_base_model
from adaptery.embedding_models import EMBEDDING_MODEL_NAME, read_embedding_model
from adaptery.errors import AdapteryError, NotFoundError, UnavailableError
from adaptery_network.agent.folders import model_slug
from adaptery_network.agent.processes import ChildProcess, clean_environment

logger = logging.getLogger(__name__)

#: How often a waiting agent looks whether the other has finished converting.
_LOCK_POLL_SECONDS = 0.2
_CONVERT_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class BaseModel:
    """A base model that this host can train on and serve."""

    name: str
    weight_digest: str
    folder: Path


@dataclass(frozen=True)
class EmbeddingModel(BaseModel):
    """An embedding model that this host can serve."""

    #: Numbers in one vector.
    dimensions: int
    #: Of a longer text only so many tokens are read.
    max_tokens: int


M = TypeVar("M", bound=BaseModel)


class _Models(Generic[M]):
    """Models of one kind."""

    kind: ClassVar[str]
    #: The file that says what is in a folder; the last that the converter writes.
    marker: ClassVar[str]

    def __init__(
        self, sources: Mapping[str, str], folder: Path, command: Sequence[str], threads: int
    ) -> None:
        self._sources = dict(sources)
        self._folder = folder
        self._command = tuple(command)
        self._threads = threads
        self._ready: dict[str, M] = {}
        self._awaited = set(sources)
        self._failed: set[str] = set()

    @property
    def ready(self) -> tuple[M, ...]:
        """The models that can be used now."""
        return tuple(self._ready.values())

    @property
    def awaited(self) -> tuple[str, ...]:
        """The names of the models that will be there once they are converted."""
        return tuple(sorted(self._awaited))

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the models that could not be converted or read; the log says why."""
        return tuple(sorted(self._failed))

    def find(self, name: str, weight_digest: str) -> M:
        """Return a model by name and weights: a name alone is never trusted.

        Raises:
            NotFoundError: this host has no such model, or one with other weights.
        """
        model = self._ready.get(name)
        if model is None or model.weight_digest != weight_digest:
            raise NotFoundError(
                f"This agent does not have the {self.kind} {name!r} with those weights."
            )
        return model

    async def prepare(self) -> None:
        """Convert what is not converted yet; a model that fails is left out and logged."""
        for name, source in self._sources.items():
            try:
                self._ready[name] = await self._prepare(name, source)
            except AdapteryError as error:
                logger.error("%s %s cannot be used: %s", self.kind, name, error)
                self._failed.add(name)
            finally:
                self._awaited.discard(name)

    def read(self, name: str, folder: Path) -> M:
        """Return the model in a converted folder.

        Raises:
            AdapteryError: there is none.
        """
        raise NotImplementedError

    async def _prepare(self, name: str, source: str) -> M:
        folder = self._folder / model_slug(name)
        self._folder.mkdir(parents=True, exist_ok=True)
        async with exclusive(self._folder / f"{folder.name}.lock"):
            if not (folder / self.marker).exists():
                await self._convert(name, source, folder)
        model = self.read(name, folder)
        logger.info("%s %s ready digest=%s", self.kind, name, model.weight_digest)
        return model

    async def _convert(self, name: str, source: str, folder: Path) -> None:
        log = self._folder / f"{folder.name}.log"
        words = ("--source", source, "--name", name, "--out", str(folder))
        logger.info("%s %s is being converted", self.kind, name)
        try:
            child = await ChildProcess.start(
                (*self._command, *words),
                cwd=self._folder,
                environment=clean_environment(Path.home(), self._threads, {}),
                log=log,
            )
        except OSError as error:
            raise UnavailableError("The converter cannot be started.") from error
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            await child.stop(_CONVERT_GRACE_SECONDS)
            raise
        if code != 0 or not (folder / self.marker).exists():
            raise UnavailableError(
                f"The converter ended with {code}.", hint=f"Its output is in {log}."
            )


class BaseModels(_Models[BaseModel]):
    """The base models of one agent."""

    kind = "base model"
    marker = BASE_MODEL_NAME

    def read(self, name: str, folder: Path) -> BaseModel:
        """See `_Models.read`."""
        return BaseModel(name, read_base_model(folder).weight_digest, folder)


class EmbeddingModels(_Models[EmbeddingModel]):
    """The embedding models of one agent."""

    kind = "embedding model"
    marker = EMBEDDING_MODEL_NAME

    def read(self, name: str, folder: Path) -> EmbeddingModel:
        """See `_Models.read`."""
        info = read_embedding_model(folder)
        return EmbeddingModel(name, info.weight_digest, folder, info.dimensions, info.max_tokens)


@asynccontextmanager
async def exclusive(path: Path) -> AsyncIterator[None]:
    """Hold a file lock that other processes respect; freed by the kernel if this one dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not try_lock(descriptor):
            await asyncio.sleep(_LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
