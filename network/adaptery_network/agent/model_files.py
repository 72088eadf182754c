"""Hands over the files that describe a base model: its tokenizer, its template, its sizes.

The request arrives opened and with a checked grant. Invariants:
- the model is the one of the grant, by name and by digest;
- only the files of `DESCRIPTION_FILES` have a name here, never weights, and none beyond its limit;
- a piece fits into one message.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from pydantic import Field

from adaptery.base_models import DESCRIPTION_FILES, PIECE_BYTES
from adaptery.errors import NotFoundError, RefusedError, TooLargeError
from adaptery.schemas.common import Model, parse
from adaptery.schemas.spec import BaseModelRef
from adaptery.sealed import Grant, JsonObject
from adaptery_network.agent.base_models import BaseModel
from adaptery_network.sealed_server import Item


class PieceRequest(Model):
    """The body of a ``fetch`` request."""

    model: BaseModelRef
    file: str
    offset: int = Field(ge=0)


class ModelFilesServer:
    """Answers with pieces of the files of this host's base models."""

    def __init__(self, find: Callable[[str, str], BaseModel]) -> None:
        """Make a server.

        Args:
            find: returns a base model by name and weight digest.
        """
        self._find = find

    async def answer(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        """Yield one piece, and how large the whole file is.

        Raises:
            NotFoundError: there is no such model or file.
            TooLargeError: the file is larger than such a file may be.
            RefusedError: the grant is for another model.
        """
        asked = parse(PieceRequest, body)
        if grant.thing != asked.model.name:
            raise RefusedError(reason="thing")
        if grant.weight_digest != asked.model.weight_digest:
            raise RefusedError(reason="weights")
        model = self._find(asked.model.name, asked.model.weight_digest)
        size, piece = await asyncio.to_thread(_read, model.folder, asked.file, asked.offset)
        yield "data", {"bytes": size, "data": base64.b64encode(piece).decode()}


def _read(folder: Path, name: str, offset: int) -> tuple[int, bytes]:
    limit = DESCRIPTION_FILES.get(name)
    if limit is None or not (folder / name).is_file():
        raise NotFoundError("This base model has no such file.")
    with (folder / name).open("rb") as file:
        size = file.seek(0, 2)
        if size > limit:
            raise TooLargeError(f"{name} of this base model is larger than {limit} bytes.")
        file.seek(offset)
        return size, file.read(PIECE_BYTES)
