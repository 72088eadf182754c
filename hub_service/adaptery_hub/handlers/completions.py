"""`v1/chat/completions` and `v1/completions`: inference as OpenAI has it, plain and streamed.

An error before the first token is a proper HTTP error. One after it is `data: {"error": …}` in the
stream, which OpenAI's clients raise; the stream then ends without `[DONE]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import aclosing

from sqlalchemy.engine import Connection

from adaptery.errors import AdapteryError, NotOfferedError
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery_hub.database import tables
from adaptery_hub.gateway import OpenAnswer
from adaptery_hub.handlers.admission import while_admitted
from adaptery_hub.handlers.base import Handler, OpenAIHandler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.sse import EventStream
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import Operation, Route


class CompletionsHandler(OpenAIHandler):
    """Text completions."""

    schema: type[ChatRequest] | type[CompletionRequest] = CompletionRequest

    async def post(self) -> None:
        """Answer a prompt."""
        self.hold(self.services.answers)
        await until_closed(self, self._serve(self.body(self.schema)))

    async def _serve(self, request: ChatRequest | CompletionRequest) -> None:
        gateway = compute_of(self).gateway
        answer = await gateway.open(self.identity, request, self.request_id)
        try:
            if request.stream:
                await self._stream(answer)
            else:
                await self._while_admitted(self._whole(answer), answer)
        finally:
            await asyncio.shield(answer.close())

    async def _whole(self, answer: OpenAnswer) -> None:
        self.answer_json(await answer.whole())

    async def _stream(self, answer: OpenAnswer) -> None:
        stream = EventStream(self)
        async with aclosing(answer.chunks()) as chunks:
            await stream.open()
            try:
                await self._while_admitted(_send_all(stream, chunks), answer)
            except AdapteryError as error:
                self.services.metrics.errors.labels(error.code).inc()
                await stream.send(error.to_openai())
                return
        await stream.send("[DONE]")

    async def _while_admitted(self, work: Awaitable[None], answer: OpenAnswer) -> None:
        adapter_id = answer.adapter_id

        def check(connection: Connection, identity: Identity) -> None:
            if adapter_id is not None:  # a base model is there for everyone
                fetch(connection, tables.adapters, identity, adapter_id, Right.USE)

        await while_admitted(self, work, adapter_id, check)


class ChatCompletionsHandler(CompletionsHandler):
    """Chat completions."""

    schema = ChatRequest


class NotOfferedHandler(OpenAIHandler):
    """Parts of OpenAI's API that clients ask for and that are not offered yet."""

    async def post(self) -> None:
        """Say so.

        Raises:
            NotOfferedError: Always.
        """
        raise NotOfferedError(
            "This part of OpenAI's API is not offered yet.", hint="use v1/chat/completions"
        )


async def _send_all(stream: EventStream, chunks: AsyncIterator[Mapping[str, object]]) -> None:
    async for chunk in chunks:
        await stream.send(chunk)


async def until_closed(handler: Handler, work: Awaitable[None]) -> None:
    """Does the work, and drops it when the client leaves."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(handler.closed.wait())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


ROUTES = [
    Route(
        "v1/chat/completions",
        ChatCompletionsHandler,
        {"POST": Operation("infer", "Answer a chat, plain or as a stream.", request=ChatRequest)},
    ),
    Route(
        "v1/completions",
        CompletionsHandler,
        {
            "POST": Operation(
                "infer", "Complete a text, plain or as a stream.", request=CompletionRequest
            )
        },
    ),
    Route(
        "v1/embeddings",
        NotOfferedHandler,
        {"POST": Operation("infer", "Not offered yet: answers the error `not_offered`.")},
    ),
    Route(
        "v1/responses",
        NotOfferedHandler,
        {"POST": Operation("infer", "Not offered yet: answers the error `not_offered`.")},
    ),
]
