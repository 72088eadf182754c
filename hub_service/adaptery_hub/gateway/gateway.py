"""The gateway: lets inference in.

authenticate, check the scope (handlers) -> resolve -> rebuild -> route -> seal to the agent ->
stream back -> account and audit.

Invariants:
- The adapter comes from the checked `model` and from nothing else.
- Another agent is asked only before the first frame; what has begun is never begun again.
- No prompt and no output is in any log line, error, metric or row that is written here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from adaptery.answer_shapes import AnswerHead, Usage, shape_of
from adaptery.errors import (
    AdapteryError,
    InternalError,
    InvalidInputError,
    NoAgentError,
    QuotaError,
    TooLargeError,
    UnavailableError,
)
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery.sealed import Frame
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.gateway.answers import CANCELLED, OpenAnswer
from adaptery_hub.gateway.places import Place, Places
from adaptery_hub.gateway.rebuild import (
    CacheSalts,
    check_streamed,
    most_tokens,
    prompt_tokens,
    rebuild,
    turn_cost,
)
from adaptery_hub.gateway.resolution import Resolver, Target
from adaptery_hub.gateway.routing import Need, choose
from adaptery_hub.identity import Identity
from adaptery_hub.limits import Held, Limits, Tell, Wish, wish_of
from adaptery_hub.usage import UsageEntry, UsageLog

logger = logging.getLogger(__name__)

#: The request itself is at fault: no other agent would answer differently.
_FINAL_ERRORS = (InvalidInputError, TooLargeError, QuotaError)
RETRY_AFTER_SECONDS = 2.0
SALT_SECRET_BYTES = 32


@dataclass(frozen=True)
class InferOrder:
    """What one agent is asked, before it is sealed."""

    path: str  # "chat/completions" or "completions"
    request: Mapping[str, object]
    target: Target
    caller: str  # tenant id
    max_tokens: int  # of one answer
    cost: int = 1  # what counts for whose turn it is


class InferenceFleet(Protocol):
    """The port to the agents."""

    def views(self) -> Iterable[AgentView]:
        """Returns every agent as it was last heard."""
        ...

    def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        """Asks one agent and yields its frames; closing it tells the agent to stop.

        Raises:
            AdapteryError: The agent cannot be reached, refuses, or ends the answer with an error.
        """
        ...


class Gateway:
    """Answers chat and completion requests."""

    def __init__(
        self,
        resolver: Resolver,
        fleet: InferenceFleet,
        usage: UsageLog,
        clock: Clock = now,
        salts: CacheSalts | None = None,
        places: Places | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Makes a gateway.

        Args:
            resolver: finds what a model means.
            fleet: the agents.
            usage: where answers are accounted for.
            clock: tells the time.
            salts: of tenants in prefix caches; without, they change with each start.
            places: at the agents, and the line before them.
            limits: of users, owners and adapters; without, there are none.
        """
        self._limits = limits
        self._places = places or Places(fleet.views)
        self._salts = salts or CacheSalts(secrets.token_bytes(SALT_SECRET_BYTES))
        self.resolver = resolver
        self._fleet = fleet
        self._usage = usage
        self._clock = clock

    async def open(
        self,
        identity: Identity,
        request: ChatRequest | CompletionRequest,
        request_id: str,
        *,
        bound: str | None = None,
        limit: int | None = None,
        tell: Tell = lambda headers: None,
    ) -> OpenAnswer:
        """Returns the answer once its first frame is here.

        Args:
            identity: The caller.
            request: What is asked.
            request_id: Of the request.
            bound: The adapter that the address is bound to, if it is to one.
            limit: The most tokens of one answer that the caller has left.
            tell: Takes headers about limits.

        Raises:
            QuotaError: The caller, the adapter or its owner has reached a limit.
            InvalidInputError: What is asked does not go together.
            NotFoundError: There is no such model, or the caller may not use it.
            NotOfferedError: This release does not serve this form of model.
            NoAgentError: No agent that has the base model is connected.
            EngineBusyError: All agents are busy, and the line before them is too long.
            AdapteryError: Every agent that could answer failed to begin.
        """
        check_streamed(request)
        target = await self.resolver.resolve(identity, request.model, bound)
        most, made = most_tokens(request, limit), request.made_count()
        held = await self._hold(wish_of(identity, request_id, most, made, target.adapter), tell)
        limit = held.max_tokens if held is not None else limit
        most, started_at = most_tokens(request, limit), time.monotonic()
        shape = shape_of(request, most)
        kind = shape.kind.partition("/")[0]  # chat or completions
        account = _Account(self._usage, target, identity, request_id, kind)
        if held is not None and self._limits is not None:
            account.leave = partial(self._limits.leave, held, request_id)
        try:
            built = rebuild(request, self._salts.of(identity.tenant_id), limit)
            cost = turn_cost(request, most)
            order = InferOrder(shape.kind, built, target, identity.tenant_id, most, cost)
            first, rest = await self._begin(order, account)
        except BaseException as error:
            duration_ms = int((time.monotonic() - started_at) * 1000)
            left = isinstance(error, asyncio.CancelledError)  # an agent may be reading the prompt
            usage = Usage(prompt_tokens(request)) if left else Usage()
            await asyncio.shield(account(_outcome_of(error), usage, duration_ms))
            raise
        prefix = "chatcmpl" if isinstance(request, ChatRequest) else "cmpl"
        head = AnswerHead(f"{prefix}-{request_id}", int(self._clock().timestamp()), target.model)
        return OpenAnswer(
            head,
            shape,
            first,
            rest,
            account,
            wants_usage=request.wants_usage(),
            prompt_tokens=prompt_tokens(request),
            started_at=started_at,
            adapter_id=target.adapter.id if target.adapter else None,
        )

    def can_answer(self, target: Target) -> bool:
        """Whether there is an agent that could be asked now."""
        known = target.base_weight_digest is not None
        return known and choose(self._fleet.views(), need_of(target)) is not None

    async def _hold(self, wish: Wish, tell: Tell) -> Held | None:
        return await self._limits.enter(wish, tell) if self._limits is not None else None

    async def _begin(
        self, order: InferOrder, account: _Account
    ) -> tuple[Frame | None, AsyncGenerator[Frame, None]]:
        """Asks one agent after the other until one begins to answer."""
        need = need_of(order.target)
        tried: set[str] = set()
        last: AdapteryError | None = None
        while (place := await self._place(order, need, tried)) is not None:
            account.place = place
            agent_id = account.agent_id = place.view.agent_id
            tried.add(agent_id)
            try:
                frames = self._fleet.infer(agent_id, order)
                return await anext(frames, None), frames
            except _FINAL_ERRORS:
                raise
            except AdapteryError as error:
                place.release()
                last = error
                logs.log(
                    logger,
                    logging.WARNING,
                    "agent_did_not_begin",
                    agent=agent_id,
                    code=error.code,
                )
        raise no_answer(last, is_prepared=is_prepared(self._fleet.views(), order.target))

    async def _place(self, order: InferOrder, need: Need, tried: Collection[str]) -> Place | None:
        return await self._places.take(need, order.caller, order.cost, tried)


class _Account:
    """Writes the usage of one request, once."""

    def __init__(
        self, usage: UsageLog, target: Target, identity: Identity, request_id: str, kind: str
    ) -> None:
        self.agent_id: str | None = None
        #: Where it is answered, until then; given back here.
        self.place: Place | None = None
        #: Gives back what the request holds of its limits.
        self.leave: Callable[[], Awaitable[None]] | None = None
        self._usage = usage
        self._target = target
        self._identity = identity
        self._request_id = request_id
        self._kind = kind
        self._done = False

    async def __call__(self, outcome: str, usage: Usage, duration_ms: int) -> None:
        if self._done:
            return
        self._done = True
        if self.place is not None:
            self.place.release()
        if self.agent_id is not None:  # otherwise nobody has done anything
            await self._write(self.agent_id, outcome, usage, duration_ms)
        if self.leave is not None:
            try:
                await self.leave()  # only now: what is written counts before what is held does not
            except Exception as error:  # no reason to spoil an answer: it is given back in time
                logs.log_exception(logger, "limits_not_given_back", error)

    async def _write(self, agent_id: str, outcome: str, usage: Usage, duration_ms: int) -> None:
        adapter = self._target.adapter
        await self._usage.add(
            UsageEntry(
                tenant_id=self._identity.tenant_id,
                key_id=self._identity.key.id if self._identity.key else None,
                request_id=self._request_id,
                model=self._target.model,
                base_model=self._target.base_model,
                adapter_id=adapter.id if adapter else None,
                digests=self._target.digests,
                agent_id=agent_id,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                duration_ms=duration_ms,
                outcome=outcome,
                kind=self._kind,
                job_id=adapter.job_id if adapter else None,
            )
        )


def _outcome_of(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return CANCELLED
    return error.code if isinstance(error, AdapteryError) else InternalError.code


def need_of(target: Target) -> Need:
    """Returns what an agent must have to answer for a target.

    Raises:
        NoAgentError: No agent has ever reported its base model.
    """
    if target.base_weight_digest is None:
        raise no_answer(None)
    adapter = target.adapter
    return Need(target.base_weight_digest, adapter.weight_digest if adapter else None)


def is_prepared(views: Iterable[AgentView], target: Target) -> bool:
    """Returns whether a live agent will have the base model soon."""
    return any(v.state == "live" and target.base_model in v.beat.preparing for v in views)


def no_answer(last: AdapteryError | None, *, is_prepared: bool = False) -> AdapteryError:
    """Returns the error to raise when no agent is left to ask.

    Args:
        last: How the last one ended.
        is_prepared: Whether an agent will have the base model soon.
    """
    if isinstance(last, UnavailableError):
        return last
    message = "The agents that have this base model could not begin to answer."
    if last is None:
        message = "No agent that has this base model is connected."
    if last is None and is_prepared:
        message = "The agent is preparing this base model."
    return NoAgentError(
        message,
        hint="try again in a moment; an agent's first start takes about a minute",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
