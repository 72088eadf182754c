"""`v1/embeddings`: vectors of texts, as OpenAI has it.

The whole answer is here before the first byte of it is sent, so an answer with a good status has a
vector for each text. It is written piece by piece: no long step keeps other requests waiting.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Literal

from sqlalchemy.engine import Connection

from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.json_values import has_many_values
from adaptery.schemas.embeddings import TOKENS_PROBLEM, EmbeddingRequest
from adaptery_hub.gateway.embedding import Vectors, numbers
from adaptery_hub.handlers.admission import until_closed, while_admitted
from adaptery_hub.handlers.base import OpenAIHandler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.identity import Identity
from adaptery_hub.routes import Operation, Route

#: Says of how many texts the model has read the beginning only.
TRUNCATED_HEADER = "X-Adaptery-Truncated-Texts"
#: Vectors that are written in one step: some milliseconds of work.
_WRITE_VECTORS = 64


class EmbeddingsHandler(OpenAIHandler):
    """Embeddings."""

    async def post(self) -> None:
        """Answer one vector for each text."""
        self.hold(self.services.answers)
        await until_closed(self, self._serve(self._request()))

    def _request(self) -> EmbeddingRequest:
        """Return the body; one of more values than any number of texts has is of token ids.

        Raises:
            InvalidInputError: it is not valid.
        """
        if has_many_values(bytes(self._body)):
            raise InvalidInputError(errors=[TOKENS_PROBLEM])
        return self.body(EmbeddingRequest)

    async def _serve(self, request: EmbeddingRequest) -> None:
        async with self._reserved(request):
            # An embedding model is there for everyone: only the token is looked at again.
            await while_admitted(self, self._answer(request), None, _nothing_to_check)

    def _reserved(self, request: EmbeddingRequest) -> AbstractAsyncContextManager[object]:
        """Hold what the request may read of its key's tokens, if it came with a key.

        Limits of users are the gateway's.
        """
        key = self.identity.key
        if key is None:
            return nullcontext()
        most = _most_tokens(request)
        return self.services.key_limits.reserved(key, self.request_id, most, 1, self.tell_limits)

    async def _answer(self, request: EmbeddingRequest) -> None:
        gateway = compute_of(self).embeddings
        vectors = await gateway.embed(self.identity, request, self.request_id, self.tell_limits)
        if vectors.truncated:
            self.set_header(TRUNCATED_HEADER, str(vectors.truncated))
        self.set_header("Content-Type", "application/json")
        for piece in render(vectors, request.encoding_format):
            self.write(piece)
            await self.flush()
            await asyncio.sleep(0)  # what is flushed at once gives nobody else a turn
        self.finish()


def _most_tokens(request: EmbeddingRequest) -> int:
    return sum(len(text) + 2 for text in request.input)  # a token is a character or more


class BoundEmbeddingsHandler(OpenAIHandler):
    """The address of an adapter, where clients that are set to it ask for embeddings too."""

    async def post(self, tenant: str, adapter: str) -> None:
        """Say that there are none; nothing is looked up, so nothing is told.

        Raises:
            NotFoundError: always.
        """
        raise NotFoundError(
            "An adapter makes no embeddings.", hint="ask an embedding model at v1/embeddings"
        )


def render(vectors: Vectors, encoding: Literal["float", "base64"]) -> Iterator[str]:
    """Yields the pieces of OpenAI's answer."""
    name = json.dumps(vectors.model, ensure_ascii=False)
    yield f'{{"object":"list","model":{name},"data":['
    for start in range(0, len(vectors.packed), _WRITE_VECTORS):
        some = vectors.packed[start : start + _WRITE_VECTORS]
        entries = (
            f'{{"object":"embedding","index":{start + place},"embedding":{_spell(one, encoding)}}}'
            for place, one in enumerate(some)
        )
        yield ("," if start else "") + ",".join(entries)
    tokens = vectors.prompt_tokens
    yield f'],"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}'


def _spell(packed: bytes, encoding: Literal["float", "base64"]) -> str:
    if encoding == "base64":
        return f'"{base64.b64encode(packed).decode()}"'
    # Nine digits tell one float32 from every other.
    return f"[{','.join([f'{number:.9g}' for number in numbers(packed)])}]"


def _nothing_to_check(connection: Connection, identity: Identity) -> None:
    return None


ROUTES = [
    Route(
        "v1/embeddings",
        EmbeddingsHandler,
        {
            "POST": Operation(
                "infer",
                "One vector for each text.",
                request=EmbeddingRequest,
                keys=True,
                key_verb="embed",
            )
        },
    ),
    Route(
        "a/{tenant}/{adapter}/v1/embeddings",
        BoundEmbeddingsHandler,
        {"POST": Operation("infer", "Always 404: an adapter makes no embeddings.", keys=True)},
    ),
]
