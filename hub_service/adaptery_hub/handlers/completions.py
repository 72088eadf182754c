"""`v1/chat/completions` and `v1/completions`: inference as OpenAI has it, plain and streamed.

An error before the first token is a proper HTTP error. One after it is `data: {"error": …}` in the
stream, which OpenAI's clients raise; the stream then ends without `[DONE]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing

from adaptery.errors import AdapteryError, NotOfferedError
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery_hub.gateway import OpenAnswer
from adaptery_hub.handlers.base import Handler, OpenAIHandler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.sse import EventStream
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
        if request.stream:
            await self._stream(answer)
        else:
            self.answer_json(await answer.whole())

    async def _stream(self, answer: OpenAnswer) -> None:
        stream = EventStream(self)
        async with aclosing(answer.chunks()) as chunks:
            await stream.open()
            try:
                async for chunk in chunks:
                    await stream.send(chunk)
            except AdapteryError as error:
                self.services.metrics.errors.labels(error.code).inc()
                await stream.send(error.to_openai())
                return
        await stream.send("[DONE]")


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
