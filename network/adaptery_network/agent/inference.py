"""Answers sealed inference requests: the right adapter, the engine's stream, frames back.

The request arrives opened and with a checked grant. Not here: sealing frames, cancelling (the
server of sealed requests closes our iterator, which closes the engine's request and frees its row).

Invariants:
- the adapter and the base model are those of the grant, by id and by weight digest;
- the engine gets a request rebuilt from typed fields, never the caller's;
- of a request that a client has sealed, model and salt are those of the grant's terms;
- nothing of a request or an answer is logged, counted by content, or put into an error.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Annotated, Literal, cast

from pydantic import Field, JsonValue

from adaptery.errors import (
    ContextLengthError,
    EngineBusyError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from adaptery.schemas.common import DigestText, Model, parse
from adaptery.schemas.openai import ANSWERS_LIMIT, ChatRequest, CompletionRequest
from adaptery.schemas.spec import BaseModelRef
from adaptery.sealed import Grant, JsonObject
from adaptery_network.agent.coalescing import WINDOW_SECONDS, coalesce
from adaptery_network.agent.engine import Engine
from adaptery_network.agent.engine_client import EngineClient
from adaptery_network.agent.lines import Line
from adaptery_network.agent.orders import SessionKey
from adaptery_network.agent.residents import Held, Residents
from adaptery_network.sealed_server import Item

logger = logging.getLogger(__name__)

#: Before the first token nothing is lost by asking an engine that has come back once more.
_TRIES = 2
SALT_CHARACTERS = 64


class AdapterRef(Model):
    """The adapter that is asked for, and the session to fetch it over if it is not here."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    weight_digest: DigestText
    session: SessionKey


class InferRequest(Model):
    """The body of an ``infer`` request."""

    path: Literal["chat/completions", "completions"]
    request: dict[str, JsonValue]
    base_model: BaseModelRef
    adapter: AdapterRef | None = None
    #: In the terms of a grant: the salt of a caller who writes ``request`` itself.
    cache_salt: Annotated[str, Field(max_length=SALT_CHARACTERS)] | None = None

    @property
    def names_length(self) -> bool:
        """Whether the caller says how long the answer may be."""
        named = (self.request.get(name) for name in ("max_tokens", "max_completion_tokens"))
        return any(value is not None for value in named)


class EngineSeat:
    """One base model's engine with the adapters that it holds."""

    def __init__(self, engine: Engine, residents: Residents) -> None:
        self.engine = engine
        self.residents = residents


class InferenceServer:
    """Answers requests with the engines of this host."""

    def __init__(
        self,
        find_seat: Callable[[str, str], EngineSeat],
        open_line: Callable[[SessionKey], Line],
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        """Make a server.

        Args:
            find_seat: returns the seat of a base model by name and weight digest.
            open_line: opens the session that a request hands over.
            window_seconds: within which tokens are joined.
        """
        self._find_seat = find_seat
        self._open_line = open_line
        self._window_seconds = window_seconds

    async def answer(self, grant: Grant, body: JsonObject) -> AsyncGenerator[Item, None]:
        """Yield the frames of an answer; closing it frees the engine's row.

        Raises:
            AdapteryError: what to tell the caller instead, or in the middle.
        """
        asked = parse(InferRequest, body)
        _check_grant(asked, grant)
        seat = self._find_seat(asked.base_model.name, asked.base_model.weight_digest)
        for tries_left in reversed(range(_TRIES)):
            started = False
            try:
                async with aclosing(self._stream(seat, asked, grant)) as items:
                    async for item in items:
                        started = True
                        yield item
                return
            except (NotFoundError, UnavailableError) as error:
                # The engine died, or dropped the adapter, after we looked.
                if started or not tries_left or isinstance(error, EngineBusyError):
                    raise
                if asked.adapter is not None:
                    seat.residents.forget(asked.adapter.weight_digest)
                await seat.engine.doubt()

    async def _stream(
        self, seat: EngineSeat, asked: InferRequest, grant: Grant
    ) -> AsyncGenerator[Item, None]:
        async with self._hold(seat, asked) as held:
            body = _engine_request(asked, held.name, grant.limits)
            made = _Made()
            async with (
                aclosing(_chunks(held.client, asked, body)) as chunks,
                aclosing(coalesce(made.count(chunks), self._window_seconds)) as joined,
            ):
                async for chunk in joined:
                    if grant.terms is not None:
                        yield "tally", {"completion_tokens": made.tokens}
                    for item in _items_of(chunk, made.tokens):
                        yield item

    def _hold(self, seat: EngineSeat, asked: InferRequest) -> AbstractAsyncContextManager[Held]:
        adapter = asked.adapter
        if adapter is None:
            return _hold_base(seat.engine)
        return seat.residents.hold(adapter.weight_digest, lambda: self._open_line(adapter.session))


async def _chunks(
    client: EngineClient, asked: InferRequest, body: Mapping[str, object]
) -> AsyncGenerator[dict[str, object], None]:
    """Yield what the engine makes; an answer of a length that nobody named ends with the context.

    Then the context has room for less than the grant allows, so that without a length the engine
    makes no more than it.
    """
    try:
        async with aclosing(client.stream(asked.path, body)) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    except ContextLengthError:
        if asked.names_length:
            raise
    shorter = {name: value for name, value in body.items() if name != "max_tokens"}
    async with aclosing(client.stream(asked.path, shorter)) as chunks:
        async for chunk in chunks:
            yield chunk


@asynccontextmanager
async def _hold_base(engine: Engine) -> AsyncGenerator[Held, None]:
    yield Held(await engine.client(), engine.model.name)


def _check_grant(asked: InferRequest, grant: Grant) -> None:
    """Refuse what the grant does not say in so many words; the reason stays here.

    Raises:
        RefusedError: the grant is for another adapter, other weights or another base model.
    """
    if asked.adapter is None:
        thing, digest = asked.base_model.name, asked.base_model.weight_digest
        granted_digest = grant.weight_digest or digest
    else:
        thing, digest = asked.adapter.id, asked.adapter.weight_digest
        granted_digest = grant.weight_digest
        if asked.adapter.session.id != thing:
            raise RefusedError(reason="session")
    if grant.thing != thing:
        raise RefusedError(reason="thing")
    if granted_digest != digest:
        raise RefusedError(reason="weights")


def _engine_request(
    asked: InferRequest, model: str, limits: Mapping[str, int | float]
) -> dict[str, object]:
    schema = ChatRequest if asked.path == "chat/completions" else CompletionRequest
    request = parse(schema, asked.request)
    if request.made_count() > limits.get("answers", ANSWERS_LIMIT):
        raise RefusedError(reason="answers")
    body: dict[str, object] = dict(request.engine_request(model))
    if (most := limits.get("max_tokens")) is not None:
        wanted = body.get("max_tokens")
        body["max_tokens"] = int(most if not isinstance(wanted, int) else min(wanted, most))
    # The service's, one per tenant: an engine with a prefix cache shares nothing between two.
    salt = asked.cache_salt or asked.request.get("cache_salt")
    if isinstance(salt, str):
        body["cache_salt"] = salt[:SALT_CHARACTERS]
    return body


class _Made:
    """Counts what an engine has made: its own counts come last, and not to who leaves early."""

    def __init__(self) -> None:
        self.tokens = 0

    async def count(
        self, chunks: AsyncIterator[dict[str, object]]
    ) -> AsyncGenerator[dict[str, object], None]:
        """Yield the chunks as they come; a choice with text in one is a token."""
        async for chunk in chunks:
            choices = chunk.get("choices")
            if isinstance(choices, list):
                self.tokens += sum(map(_has_text, cast("list[object]", choices)))
            yield chunk


def _has_text(choice: object) -> bool:
    match choice:
        case {"text": str(text)} | {"delta": {"content": str(text)}}:
            return bool(text)
        case {"delta": {"tool_calls": _}}:
            return True
        case _:
            return False


def _items_of(chunk: JsonObject, made: int) -> list[Item]:
    usage = chunk.get("usage")
    # With the tokens so far: the gateway has to know what it cost when its caller leaves early.
    items: list[Item] = [("data", {**chunk, "made": made})] if chunk.get("choices") else []
    if isinstance(usage, dict):
        items.append(("usage", cast("JsonObject", usage)))
    return items
