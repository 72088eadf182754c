"""`v1/chat/completions` and `v1/completions`: inference as OpenAI has it, plain and streamed.

An error before the first token is a proper HTTP error. One after it, whatever it is, is
`data: {"error": …}` in the stream, which OpenAI's clients raise; the stream then ends without
`[DONE]`. Only a client that has left, or does not read, finds the connection cut.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace

from adaptery.errors import AdapteryError
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery_hub.gateway import OpenAnswer
from adaptery_hub.gateway.rebuild import answer_count, most_tokens
from adaptery_hub.handlers.admission import may_use, until_closed, while_admitted
from adaptery_hub.handlers.base import OpenAIHandler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.sse import SSE_MEDIA, Event, EventStream
from adaptery_hub.routes import Operation, Route


class CompletionsHandler(OpenAIHandler):
    """Text completions."""

    schema: type[ChatRequest] | type[CompletionRequest] = CompletionRequest
    #: What a stream that is whole ends with.
    last_event: str | None = "[DONE]"

    async def post(self, tenant: str = "", adapter: str = "") -> None:
        """Answer a prompt; below `a/<tenant>/<adapter>/`, with that adapter."""
        bound = f"{tenant}/{adapter}" if tenant else None
        await self.serve(self.body(self.schema), bound)

    async def serve(
        self, request: ChatRequest | CompletionRequest, bound: str | None = None
    ) -> None:
        """Answer a request, until its client leaves."""
        self.hold(self.services.answers)
        await until_closed(self, self._serve(request, bound))

    async def _serve(self, request: ChatRequest | CompletionRequest, bound: str | None) -> None:
        async with self._reserved(request) as limit:
            await self._answer(request, bound, limit)

    def _reserved(
        self, request: ChatRequest | CompletionRequest
    ) -> AbstractAsyncContextManager[int | None]:
        """Hold what the request may make of its key's tokens, if it came with a key."""
        key = self.identity.key
        if key is None:
            return nullcontext()
        return self.services.key_limits.reserved(
            key, self.request_id, most_tokens(request), answer_count(request), self.tell_limits
        )

    async def _answer(
        self, request: ChatRequest | CompletionRequest, bound: str | None, limit: int | None
    ) -> None:
        gateway = compute_of(self).gateway
        answer = await gateway.open(
            self.identity,
            request,
            self.request_id,
            bound=bound,
            limit=limit,
            tell=self.tell_limits,
        )
        try:
            if request.stream:
                await self._stream(answer)
            else:
                await self._while_admitted(self.send_whole(answer), answer)
        finally:
            await answer.close()

    async def send_whole(self, answer: OpenAnswer) -> None:
        """Answer plainly."""
        self.answer_json(await answer.whole())

    def events(self, answer: OpenAnswer) -> AsyncGenerator[Event, None]:
        """Return what is sent of a streamed answer."""
        return answer.chunks()

    def error_event(self, error: AdapteryError) -> Mapping[str, object]:
        """Return what is sent where a streamed answer breaks off."""
        return error.to_openai()

    async def _stream(self, answer: OpenAnswer) -> None:
        stream = EventStream(self)
        async with aclosing(self.events(answer)) as events:
            await stream.open(has_end=True, at_once=False)
            try:
                await self._while_admitted(_send_all(stream, events), answer)
            except Exception as error:
                await stream.send(self.error_event(self.break_off(error)))
                return
        if self.last_event is not None:
            await stream.send(self.last_event)
        if not self.closed.is_set():
            self.finish()  # what is left to do cannot spoil it

    async def _while_admitted(self, work: Awaitable[None], answer: OpenAnswer) -> None:
        await while_admitted(self, work, answer.adapter_id, may_use(answer.adapter_id))


class ChatCompletionsHandler(CompletionsHandler):
    """Chat completions."""

    schema = ChatRequest


async def _send_all(stream: EventStream, chunks: AsyncIterator[Event]) -> None:
    async for chunk in chunks:
        await stream.send(chunk)


_BOUND = "a/{tenant}/{adapter}/"
_CHAT = Operation(
    "infer",
    "Answer a chat, plain or as a stream.",
    request=ChatRequest,
    or_media=(SSE_MEDIA,),
    keys=True,
)
_COMPLETE = replace(
    _CHAT, summary="Complete a text, plain or as a stream.", request=CompletionRequest
)
_BOUND_TEXT = "The same, bound to one adapter: `model` may be empty, its base model or its name."

ROUTES = [
    Route("v1/chat/completions", ChatCompletionsHandler, {"POST": _CHAT}),
    Route("v1/completions", CompletionsHandler, {"POST": _COMPLETE}),
    Route(
        f"{_BOUND}v1/chat/completions",
        ChatCompletionsHandler,
        {"POST": replace(_CHAT, summary=_BOUND_TEXT)},
    ),
    Route(
        f"{_BOUND}v1/completions",
        CompletionsHandler,
        {"POST": replace(_COMPLETE, summary=_BOUND_TEXT)},
    ),
]
