"""The files that describe base models: tokenizer, chat template, sizes; never weights.

The first agent that holds a base model hands them over, once for each digest of weights. They lie
in the state folder, `base-models/<digest>.<agent>/`.

What the agent says is believed: the digest is of weights, not of these files. So all that users are
told by them goes with an agent that is struck off, and the next one describes its base models anew.

Invariants:
- A folder is whole or not there; it never changes, and no other has its name.
- What an agent sends is bounded before it is kept, and read only in processes of their own.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from adaptery.base_models import DESCRIPTION_FILES, PIECE_BYTES
from adaptery.errors import AdapteryError, IntegrityError, NotFoundError
from adaptery.files import rename_atomic
from adaptery.ids import new_id
from adaptery_hub import logs

logger = logging.getLogger(__name__)

#: After a failure, how long no agent is asked again for the same files.
PAUSE_SECONDS = 60.0
#: Without these a base model is not described.
_NEEDED = ("config.json", "tokenizer.json")

#: Asks an agent for a piece of a file: its name and an offset.
ReadPiece = Callable[[str, int], Awaitable[Mapping[str, object]]]


class BaseModelFiles:
    """What is known here of base models beside their names."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob(".*"):  # of a process that died
            shutil.rmtree(left, ignore_errors=True)
        self._folder = folder
        self._clock = clock
        #: By the name of a digest; earlier releases did not write down whose a folder is.
        self._held = {path.name.partition(".")[0]: path for path in folder.iterdir()}
        self._not_before: dict[str, float] = {}
        #: Returns the weights that a name is bound to; the computing half knows.
        self.digest_of: Callable[[str], str | None] = lambda _: None

    def find_named(self, model: str) -> Path | None:
        """Return the folder that describes the base model of that name; None if there is none."""
        return self.find(self.digest_of(model))

    def find(self, weight_digest: str | None) -> Path | None:
        """Return the folder that describes a base model; None if no agent handed it over yet."""
        return self._held.get(_name(weight_digest or ""))

    def wants(self, weight_digest: str) -> bool:
        """Whether an agent should be asked now."""
        name = _name(weight_digest)
        return name not in self._held and self._clock() >= self._not_before.get(name, 0.0)

    async def collect(self, weight_digest: str, agent_id: str, read: ReadPiece) -> None:
        """Fetch the files of a base model, unless somebody does already; a failure is logged.

        Args:
            weight_digest: its weights.
            agent_id: who is asked.
            read: asks.
        """
        name = _name(weight_digest)
        if not self.wants(weight_digest):
            return
        self._not_before[name] = float("inf")
        unfinished = self._folder / f".{new_id('op')}"
        try:
            files = {file: await _whole(file, read) for file in DESCRIPTION_FILES}
            folder = self._folder / f"{name}.{agent_id}"
            await asyncio.to_thread(_keep, unfinished, folder, files)
            self._held[name] = folder
        except (AdapteryError, OSError) as error:
            code = error.code if isinstance(error, AdapteryError) else type(error).__name__
            logs.log(logger, logging.WARNING, "base_model_files_missing", code=code)
        finally:
            self._not_before[name] = self._clock() + PAUSE_SECONDS

    def forget(self, agent_id: str) -> None:
        """Drop what an agent said of base models; blocking."""
        for name, folder in list(self._held.items()):
            if folder.name.partition(".")[2] == agent_id:
                del self._held[name]
                self._not_before.pop(name, None)
                shutil.rmtree(folder, ignore_errors=True)


async def _whole(name: str, read: ReadPiece) -> bytes | None:
    """Return a file; None if the base model has none of that name."""
    data = bytearray()
    while True:
        try:
            size, piece = _piece(await read(name, len(data)))
        except NotFoundError:
            if data or name in _NEEDED:
                raise
            return None
        data += piece
        if size > DESCRIPTION_FILES[name] or len(data) > size or (not piece and len(data) < size):
            raise IntegrityError("An agent's file of a base model is not as long as it says.")
        if len(data) == size:
            return bytes(data)


def _piece(answer: Mapping[str, object]) -> tuple[int, bytes]:
    size, text = answer.get("bytes"), answer.get("data")
    try:
        piece = base64.b64decode(str(text), validate=True)
    except ValueError:
        piece = None
    if not isinstance(size, int) or size < 0 or piece is None or len(piece) > PIECE_BYTES:
        raise IntegrityError("An agent's piece of a base model's file cannot be read.")
    return size, piece


def _keep(unfinished: Path, folder: Path, files: Mapping[str, bytes | None]) -> None:
    try:
        unfinished.mkdir(mode=0o700)
        for name, data in files.items():
            if data is not None:
                (unfinished / name).write_bytes(data)
        if not folder.exists():
            rename_atomic(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _name(weight_digest: str) -> str:
    return weight_digest.removeprefix("sha256:")
