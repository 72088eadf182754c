"""Answers sealed embedding requests: texts in, vectors out, in frames of bounded size.

The request arrives opened and with a checked grant. An embedder is a process like an engine, with
one embedding model; it starts when it is first asked. Not here: batching (the embedder does), which
texts are asked together (the service says).

Invariants:
- the model is the one of the grant, by name and by digest;
- there are as many vectors as texts, in their order and of the model's length, or there is an
  error;
- nothing of a text or a vector is logged or put into an error.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from adaptery.errors import (
    EngineBusyError,
    IntegrityError,
    RefusedError,
    UnavailableError,
)
from adaptery.schemas.common import Model, parse
from adaptery.schemas.embeddings import TEXT_CHARACTERS, TEXTS_LIMIT
from adaptery.schemas.spec import BaseModelRef
from adaptery.sealed import Grant, JsonObject
from adaptery_network.agent.base_models import EmbeddingModel
from adaptery_network.agent.engine import Engine
from adaptery_network.sealed_server import Item

#: What the embedder is asked at a time: enough to fill a forward pass on a CPU, where more texts
#: are no faster, and little enough that even a slow and busy machine soon has vectors to show.
GROUP_TEXTS: Final = 64
#: Of vectors in one frame; as text they are a third longer, and still far below one message.
FRAME_BYTES: Final = 512 * 1024
#: An embedder that has died is asked again, once it is back: vectors come out the same.
_TRIES: Final = 2
NUMBER_BYTES: Final = 4  # float32


class EmbedRequest(Model):
    """The body of an ``embed`` request."""

    model: BaseModelRef
    input: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS)], ...],
        Field(min_length=1, max_length=TEXTS_LIMIT),
    ]


@dataclass(frozen=True)
class EmbedderSeat:
    """One embedding model with the process that serves it."""

    model: EmbeddingModel
    engine: Engine


class EmbeddingServer:
    """Answers requests with the embedders of this host."""

    def __init__(self, find_seat: Callable[[str, str], EmbedderSeat]) -> None:
        """Make a server.

        Args:
            find_seat: returns the seat of an embedding model by name and weight digest.
        """
        self._find_seat = find_seat

    async def answer(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        """Yield frames of vectors, each with the place of its first, and the usage at the end.

        Raises:
            AdapteryError: what to tell the caller instead, or in the middle.
        """
        asked = parse(EmbedRequest, body)
        _check_grant(asked, grant)
        seat = self._find_seat(asked.model.name, asked.model.weight_digest)
        tokens = truncated = 0
        for start in range(0, len(asked.input), GROUP_TEXTS):
            vectors, more_tokens, more_truncated = await _embed(
                seat, asked.input[start : start + GROUP_TEXTS]
            )
            tokens, truncated = tokens + more_tokens, truncated + more_truncated
            for place, packed in _packed(vectors):
                yield "data", {"start": start + place, "vectors": packed}
        yield "usage", {"prompt_tokens": tokens, "truncated": truncated}


async def _embed(seat: EmbedderSeat, texts: Sequence[str]) -> tuple[list[bytes], int, int]:
    for tries_left in reversed(range(_TRIES)):
        client = await seat.engine.client()
        try:
            vectors, tokens, truncated = await client.embed(texts)
        except UnavailableError as error:
            if not tries_left or isinstance(error, EngineBusyError):
                raise
            await seat.engine.doubt()
        else:
            _check_vectors(vectors, len(texts), seat.model.dimensions)
            return vectors, tokens, truncated
    raise AssertionError("the last try returns or raises")


def _check_vectors(vectors: Sequence[bytes], count: int, dimensions: int) -> None:
    if len(vectors) != count or any(len(v) != dimensions * NUMBER_BYTES for v in vectors):
        raise IntegrityError("The embedder's answer is not one whole vector for each text.")


def _packed(vectors: Sequence[bytes]) -> list[tuple[int, str]]:
    """Return the vectors as texts that fit into a frame, each with the place of its first."""
    each = max(1, FRAME_BYTES // len(vectors[0]))
    return [
        (place, base64.b64encode(b"".join(vectors[place : place + each])).decode())
        for place in range(0, len(vectors), each)
    ]


def _check_grant(asked: EmbedRequest, grant: Grant) -> None:
    """Refuse what the grant does not say in so many words; the reason stays here.

    Raises:
        RefusedError: the grant is for another model, or for other weights.
    """
    if grant.thing != asked.model.name:
        raise RefusedError(reason="thing")
    if grant.weight_digest != asked.model.weight_digest:
        raise RefusedError(reason="weights")
