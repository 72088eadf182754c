"""HTTP clients that seal by themselves what is meant for a restricted adapter.

    OpenAI(http_client=adaptery.SealingClient(), base_url=..., api_key=...)

They are httpx clients: whoever sends `v1/chat/completions` or `v1/completions` through one gets
OpenAI's answer, plain or streamed, over whichever channel the model needs (`sealed_flow`); all else
passes as it is. `adaptery.connect()` and the Jupyter server send through them.

Closing an answer early ends it at the agent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from adaptery.client.sealed_flow import (
    Begun,
    Flow,
    Read,
    Sealer,
    Send,
    Target,
    event,
    events,
    first_events,
)
from adaptery.errors import AdapteryError

__all__ = ["AsyncSealingClient", "SealingClient"]

_SSE = {"content-type": "text/event-stream"}


class SealingClient(httpx.Client):
    """`httpx.Client` that seals; see the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sealer = Sealer()

    def send(
        self, request: httpx.Request, *, stream: bool = False, **options: Any
    ) -> httpx.Response:
        """Send a request, sealed if its model needs that; see `httpx.Client.send`."""
        target = Target.of(request)
        if target is None:
            return super().send(request, stream=stream, **options)
        request.read()
        answer = self._follow(request, self._sealer.flow(request, target), options)
        if answer is None:
            return super().send(request, stream=stream, **options)
        if not stream:
            answer.read()
        return answer

    def _follow(
        self, request: httpx.Request, flow: Flow, options: dict[str, Any]
    ) -> httpx.Response | None:
        got: object = None
        opened: httpx.Response | None = None
        rest: Iterator[bytes] = iter(())
        try:
            while True:
                step = flow.send(got)
                got = None
                if isinstance(step, Send):
                    got = response = super().send(step.request, stream=True, **options)
                    if step.streamed and response.is_success:
                        opened, rest = response, response.iter_bytes()
                    else:
                        response.read()
                elif isinstance(step, Read):
                    got = next(rest, b"")
                elif opened is not None:
                    opened.close()
        except StopIteration as end:
            ended = end.value
            if not isinstance(ended, Begun):
                return ended
            assert opened is not None, "an answer begins with an open response"
            tail = _Tail(ended, opened, rest)
            return httpx.Response(200, headers=_SSE, stream=tail, request=request)
        except BaseException:
            if opened is not None:
                opened.close()
            raise


class _Tail(httpx.SyncByteStream):
    """What is still to come of an answer, as events."""

    def __init__(self, begun: Begun, response: httpx.Response, rest: Iterator[bytes]) -> None:
        self._begun = begun
        self._response = response
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        yield first_events(self._begun)
        try:
            while not self._begun.reply.finished:
                yield from events(self._begun.reply, next(self._rest, b""))
        except AdapteryError as error:
            yield event(error.to_openai())
        self.close()

    def close(self) -> None:
        self._response.close()


class AsyncSealingClient(httpx.AsyncClient):
    """`httpx.AsyncClient` that seals; see the module."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sealer = Sealer()

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **options: Any
    ) -> httpx.Response:
        """Send a request, sealed if its model needs that; see `httpx.AsyncClient.send`."""
        target = Target.of(request)
        if target is None:
            return await super().send(request, stream=stream, **options)
        await request.aread()
        answer = await self._follow(request, self._sealer.flow(request, target), options)
        if answer is None:
            return await super().send(request, stream=stream, **options)
        if not stream:
            await answer.aread()
        return answer

    async def _follow(
        self, request: httpx.Request, flow: Flow, options: dict[str, Any]
    ) -> httpx.Response | None:
        got: object = None
        opened: httpx.Response | None = None
        rest = _nothing()
        try:
            while True:
                try:
                    step = flow.send(got)
                except StopIteration as end:
                    ended = end.value
                    if not isinstance(ended, Begun):
                        return ended
                    assert opened is not None, "an answer begins with an open response"
                    tail = _AsyncTail(ended, opened, rest)
                    return httpx.Response(200, headers=_SSE, stream=tail, request=request)
                got = None
                if isinstance(step, Send):
                    got = response = await super().send(step.request, stream=True, **options)
                    if step.streamed and response.is_success:
                        opened, rest = response, response.aiter_bytes()
                    else:
                        await response.aread()
                elif isinstance(step, Read):
                    got = await anext(rest, b"")
                elif opened is not None:
                    await opened.aclose()
        except BaseException:
            if opened is not None:
                await opened.aclose()
            raise


class _AsyncTail(httpx.AsyncByteStream):
    """What is still to come of an answer, as events."""

    def __init__(self, begun: Begun, response: httpx.Response, rest: AsyncIterator[bytes]) -> None:
        self._begun = begun
        self._response = response
        self._rest = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield first_events(self._begun)
        try:
            while not self._begun.reply.finished:
                for some in events(self._begun.reply, await anext(self._rest, b"")):
                    yield some
        except AdapteryError as error:
            yield event(error.to_openai())
        await self.aclose()

    async def aclose(self) -> None:
        await self._response.aclose()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
