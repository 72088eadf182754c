"""The sealed channel: lets a request in that the service cannot read.

    offer: resolve -> route -> grant for the caller's own key
    send:  the grant is ours, the caller's and unused -> may it still? -> relay -> account

Invariants:
- What answers is decided when the grant is made, and looked at again when the request comes.
- A grant of another caller, an ended, used or forged one end in the same error.
- Only what the agent has signed counts as usage; without it all that was granted does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from adaptery import base64url
from adaptery.errors import (
    AdapteryError,
    FieldProblem,
    IntegrityError,
    InvalidInputError,
    NoAgentError,
    NotFoundError,
    RefusedError,
)
from adaptery.ids import is_id
from adaptery.schemas.sealed import SealedOffer, SealedOfferCreate, SealedSend
from adaptery.sealed import Grant, Once, Receipt
from adaptery.times import Clock, now
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.gateway.gateway import need_of, no_answer
from adaptery_hub.gateway.rebuild import DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT, CacheSalts
from adaptery_hub.gateway.resolution import Resolver, Target
from adaptery_hub.gateway.routing import choose
from adaptery_hub.identity import Identity
from adaptery_hub.usage import UsageEntry, UsageLog

#: How a reply ended whose agent did not sign what it cost.
UNCOUNTED = "uncounted"
REFUSED = "refused"
#: What an agent must understand to be asked over this channel.
FEATURE = "sealed"


@dataclass(frozen=True)
class Asked:
    """What is granted to whom."""

    caller: str  # tenant id
    caller_key: str
    target: Target
    path: str
    cache_salt: str
    limits: Mapping[str, int]


@dataclass(frozen=True)
class Granted:
    """What the caller gets for it."""

    card: Mapping[str, Any]
    issuer: str
    subject: str
    reply: str
    grant: str
    expires_at: datetime


class Wire(Protocol):
    """One sealed reply on its way; see `adaptery_network.relay.Relay`."""

    refused: bool

    async def open(self, payload: bytes) -> None:
        """Send the request on."""
        ...

    def messages(self) -> AsyncGenerator[bytes, None]:
        """Yield what the agent sends."""
        ...

    async def close(self) -> Receipt | None:
        """End the reply; return what it cost, if its agent says so."""
        ...


class Desk(Protocol):
    """The port to the network."""

    def grant(self, agent_id: str, asked: Asked) -> Granted:
        """Returns what a caller needs to seal one request to this agent.

        Raises:
            NoAgentError: There is no such agent any more.
        """
        ...

    def read(self, token: str) -> Grant:
        """Returns a grant that this service made and that has not ended.

        Raises:
            RefusedError: It is none.
        """
        ...

    def relay(self, grant: Grant) -> Wire:
        """Returns the way to the agent of a grant and back.

        Raises:
            NoAgentError: There is no such agent any more.
        """
        ...


class SealedFleet(Protocol):
    """The agents, and the desk where there is a network."""

    def views(self) -> Iterable[AgentView]:
        """Returns every agent as it was last heard."""
        ...

    def sealed_desk(self) -> Desk:
        """Returns the desk.

        Raises:
            NoAgentError: There is no network.
        """
        ...


@dataclass(frozen=True)
class Accepted:
    """A request whose grant is good, and that its caller may still make."""

    grant: Grant
    target: Target
    path: str
    payload: bytes

    @property
    def adapter_id(self) -> str | None:
        """The adapter that answers, if one does."""
        return self.target.adapter.id if self.target.adapter else None

    @property
    def max_tokens(self) -> int:
        """The most tokens of one answer."""
        return int(self.grant.limits["max_tokens"])

    @property
    def answers(self) -> int:
        """How many answers the request may make."""
        return int(self.grant.limits["answers"])


class SealedChannel:
    """Makes offers, and relays what is sealed to them."""

    def __init__(
        self,
        resolver: Resolver,
        fleet: SealedFleet,
        usage: UsageLog,
        salts: CacheSalts,
        clock: Clock = now,
    ) -> None:
        self._resolver = resolver
        self._fleet = fleet
        self._usage = usage
        self._salts = salts
        self._clock = clock
        self._used = Once()

    async def offer(
        self, identity: Identity, wanted: SealedOfferCreate, limit: int | None
    ) -> SealedOffer:
        """Returns what the caller needs to seal one request.

        Args:
            identity: The caller.
            wanted: What is going to be asked.
            limit: The most tokens of one answer that the caller has left.

        Raises:
            NotFoundError: There is no such model, or the caller may not use it.
            NoAgentError: No agent that could answer is connected, but for those that were tried.
        """
        target = await self._resolver.resolve(identity, wanted.model, sealed=True)
        desk = self._fleet.sealed_desk()
        need = replace(need_of(target), feature=FEATURE)
        view = choose(self._fleet.views(), need, wanted.tried)
        if view is None:
            raise no_answer(None)
        most = min(wanted.max_tokens or DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT)
        max_tokens = most if limit is None else min(most, limit)
        asked = Asked(
            caller=identity.tenant_id,
            caller_key=wanted.caller_key,
            target=target,
            path=wanted.path,
            cache_salt=self._salts.of(identity.tenant_id),
            limits={"max_tokens": max_tokens, "answers": wanted.answers},
        )
        granted = desk.grant(view.agent_id, asked)
        return SealedOffer(
            model=target.model,
            base_model=target.base_model,
            sensitivity=target.adapter.sensitivity if target.adapter else None,
            card=dict(granted.card),
            issuer=granted.issuer,
            subject=granted.subject,
            reply=granted.reply,
            grant=granted.grant,
            max_tokens=max_tokens,
            expires_at=granted.expires_at,
            now=self._clock(),
        )

    async def accept(self, identity: Identity, sent: SealedSend) -> Accepted:
        """Returns a request that may go on to its agent; its grant is used up with that.

        Raises:
            NotFoundError: The grant is not good for this caller, or what it is for is not there.
            InvalidInputError: The payload is not base64url.
        """
        payload = _decode(sent.payload)
        try:
            grant = self._fleet.sealed_desk().read(sent.grant)
            if grant.terms is None or grant.caller != identity.tenant_id:
                raise RefusedError(reason="caller")
            target = await self._target(identity, grant)
            self._used.take(grant.nonce, grant.not_after, self._clock())
        except RefusedError:
            raise _no_offer() from None
        return Accepted(grant, target, sent.path, payload)

    async def open(self, identity: Identity, accepted: Accepted, request_id: str) -> SealedAnswer:
        """Sends an accepted request on and returns its answer.

        Raises:
            NoAgentError: The agent is not part of the network any more.
            UnavailableError: The broker cannot be reached.
            InvalidInputError: It is no sealed request.
        """
        wire = self._fleet.sealed_desk().relay(accepted.grant)
        answer = SealedAnswer(wire, accepted, self._usage, identity, request_id)
        await answer.open()
        return answer

    async def _target(self, identity: Identity, grant: Grant) -> Target:
        """Looks again whether the caller may use what was granted."""
        if is_id(grant.thing, "ad"):
            return await self._resolver.adapter(identity, grant.thing)
        target = await self._resolver.resolve(identity, grant.thing, sealed=True)
        if target.adapter is not None:  # to a key, the name of a base model means its adapter
            raise RefusedError(reason="thing")
        return target


class SealedAnswer:
    """An answer that passes through here unread."""

    def __init__(
        self,
        wire: Wire,
        accepted: Accepted,
        usage: UsageLog,
        identity: Identity,
        request_id: str,
    ) -> None:
        self._wire = wire
        self._accepted = accepted
        self._usage = usage
        self._identity = identity
        self._request_id = request_id
        self._started_at = time.monotonic()
        self._failure: AdapteryError | None = None
        self._begun = False
        self._closed = False

    async def open(self) -> None:
        """Sends the request on."""
        try:
            await self._wire.open(self._accepted.payload)
        except IntegrityError as error:
            raise InvalidInputError(error.message) from None
        except BaseException:
            await asyncio.shield(self.close())
            raise

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Yields what the agent sends.

        Raises:
            AdapteryError: It cannot be reached, fell silent, or sends too much.
        """
        try:
            async with aclosing(self._wire.messages()) as messages:
                async for message in messages:
                    self._begun = True
                    yield message
        except AdapteryError as error:
            self._failure = error
            raise

    async def close(self) -> None:
        """Ends the answer, if it still runs, and accounts for it once."""
        if self._closed:
            return
        self._closed = True
        receipt = await self._wire.close()
        outcome, prompt_tokens, completion_tokens = self._cost(receipt)
        target, adapter = self._accepted.target, self._accepted.target.adapter
        await self._usage.add(
            UsageEntry(
                tenant_id=self._identity.tenant_id,
                key_id=self._identity.key.id if self._identity.key else None,
                request_id=self._request_id,
                model=target.model,
                base_model=target.base_model,
                adapter_id=adapter.id if adapter else None,
                digests=(adapter.weight_digest, *adapter.content_digests) if adapter else (),
                agent_id=self._accepted.grant.agent,
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                duration_ms=int((time.monotonic() - self._started_at) * 1000),
                outcome=outcome,
                channel="sealed",
                kind=self._accepted.path.partition("/")[0],
                job_id=adapter.job_id if adapter else None,
            )
        )

    def _cost(self, receipt: Receipt | None) -> tuple[str, int, int]:
        """Returns the outcome, the tokens of the prompt, and those of the answer."""
        granted = self._accepted.max_tokens * self._accepted.answers
        if receipt is not None:
            made = min(receipt.completion_tokens, granted)
            return receipt.outcome, receipt.prompt_tokens, made
        if self._wire.refused:
            return REFUSED, 0, 0
        if isinstance(self._failure, NoAgentError) and not self._begun:
            return self._failure.code, 0, 0
        return UNCOUNTED, 0, granted


def _decode(payload: str) -> bytes:
    try:
        return base64url.decode(payload)
    except ValueError:
        raise InvalidInputError(
            errors=[FieldProblem("payload", "is not base64url.", "Send the envelope so.")]
        ) from None


def _no_offer() -> NotFoundError:
    return NotFoundError(
        "There is no such offer: it has ended, was used, or is another caller's.",
        hint="ask sealed/offer for another one",
    )
