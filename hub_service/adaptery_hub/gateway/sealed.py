"""The sealed channel: lets a request in that the service cannot read.

    offer: resolve -> limits -> a place at an agent, in turn -> grant for the caller's own key
    send:  the grant is ours, the caller's and unused -> may it still? -> relay -> account

Nothing of an offer is stored but its turn, for a moment: a grant is its own proof.

Invariants:
- What answers is decided when the grant is made, and looked at again when the request comes.
- A grant of another caller, an ended, used or forged one end in the same error.
- Sealed requests stand in the same line as open ones, take the same places, and keep the same
  limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from adaptery import base64url
from adaptery.errors import (
    EngineBusyError,
    FieldProblem,
    InvalidInputError,
    NotFoundError,
    RateLimitError,
    RefusedError,
)
from adaptery.ids import is_id
from adaptery.schemas.sealed import SealedOffer, SealedOfferCreate, SealedSend
from adaptery.sealed import Grant, Once
from adaptery.times import Clock, now
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.gateway.gateway import is_prepared, need_of, no_answer
from adaptery_hub.gateway.kept_turns import KeptTurns, Turn
from adaptery_hub.gateway.places import Place, Places
from adaptery_hub.gateway.rebuild import DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT, CacheSalts
from adaptery_hub.gateway.resolution import Resolver, Target
from adaptery_hub.gateway.sealed_answers import Accepted, SealedAnswer, Wire
from adaptery_hub.identity import Identity
from adaptery_hub.limits import Limits, Tell, wish_of
from adaptery_hub.usage import UsageLog

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
    nonce: str
    expires_at: datetime


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
    """The network, where there is one."""

    def views(self) -> Iterable[AgentView]:
        """Returns every agent as it was last heard."""
        ...

    def sealed_desk(self) -> Desk:
        """Returns the desk.

        Raises:
            NoAgentError: There is no network.
        """
        ...


class SealedChannel:
    """Makes offers, and relays what is sealed to them."""

    def __init__(
        self,
        resolver: Resolver,
        fleet: SealedFleet,
        usage: UsageLog,
        salts: CacheSalts,
        places: Places,
        limits: Limits,
        clock: Clock = now,
    ) -> None:
        self.turns = KeptTurns()
        self._places = places
        self._limits = limits
        self._resolver = resolver
        self._fleet = fleet
        self._usage = usage
        self._salts = salts
        self._clock = clock
        self._used = Once()

    async def offer(
        self,
        identity: Identity,
        wanted: SealedOfferCreate,
        request_id: str,
        limit: int | None,
        tell: Tell,
    ) -> SealedOffer:
        """Returns what the caller needs to seal one request, when it is its turn.

        Args:
            identity: The caller.
            wanted: What is going to be asked.
            request_id: Of the request.
            limit: The most tokens of one answer that the caller has left.
            tell: Takes headers about limits.

        Raises:
            NotFoundError: There is no such model, or the caller may not use it.
            QuotaError: The caller, the adapter or its owner has reached a limit.
            NoAgentError: No agent that could answer is connected, but for those that were tried.
            EngineBusyError: All agents are busy, and the line before them is too long.
        """
        target = await self._resolver.resolve(identity, wanted.model, sealed=True)
        most = min(wanted.max_tokens or DEFAULT_MAX_TOKENS, MAX_TOKENS_LIMIT)
        most = most if limit is None else min(most, limit)
        wish = wish_of(identity, request_id, most, wanted.answers, target.adapter)
        held = await self._limits.enter(wish, tell)
        leave = partial(self._limits.leave, held, request_id)
        asked = Asked(
            caller=identity.tenant_id,
            caller_key=wanted.caller_key,
            target=target,
            path=wanted.path,
            cache_salt=self._salts.of(identity.tenant_id),
            limits={"max_tokens": held.max_tokens, "answers": wanted.answers},
        )
        try:
            place = await self._place(asked, wanted.tried)
            digest = target.base_weight_digest or ""
            charge = partial(self._places.charge, asked.caller, digest=digest)
            turn = Turn(place, leave, charge)
            granted = self._grant(asked, turn)
        except BaseException:
            await asyncio.shield(leave())
            raise
        self.turns.keep(granted.nonce, turn)
        return self._describe(asked, granted)

    def _grant(self, asked: Asked, turn: Turn) -> Granted:
        try:
            return self._fleet.sealed_desk().grant(turn.place.view.agent_id, asked)
        except BaseException:
            turn.place.release()
            raise

    def _describe(self, asked: Asked, granted: Granted) -> SealedOffer:
        adapter = asked.target.adapter
        return SealedOffer(
            model=asked.target.model,
            base_model=asked.target.base_model,
            sensitivity=adapter.sensitivity if adapter else None,
            card=dict(granted.card),
            issuer=granted.issuer,
            subject=granted.subject,
            reply=granted.reply,
            grant=granted.grant,
            max_tokens=asked.limits["max_tokens"],
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

    async def open(
        self, identity: Identity, accepted: Accepted, request_id: str, tell: Tell
    ) -> SealedAnswer:
        """Sends an accepted request on and returns its answer.

        Raises:
            NoAgentError: The agent is not part of the network any more.
            QuotaError: The turn was not kept, and a limit is reached.
            EngineBusyError: The turn was not kept, and the agent has no place.
            UnavailableError: The broker cannot be reached.
            InvalidInputError: It is no sealed request.
        """
        turn = self.turns.claim(accepted.grant.nonce)
        if turn is None:
            turn = await self._take_turn(identity, accepted, request_id, tell)
        try:
            wire = self._fleet.sealed_desk().relay(accepted.grant)
        except BaseException:
            await asyncio.shield(turn.end())
            raise
        answer = SealedAnswer(wire, accepted, turn, self._usage, identity, request_id)
        await answer.open()
        return answer

    async def _place(self, asked: Asked, tried: Sequence[str]) -> Place:
        """Waits for the caller's turn."""
        need = replace(need_of(asked.target), feature=FEATURE)
        cost = asked.limits["max_tokens"] * asked.limits["answers"]
        place = await self._places.take(need, asked.caller, cost, tried)
        if place is None:
            soon = is_prepared(self._fleet.views(), asked.target)
            raise no_answer(None, is_prepared=soon)
        return place

    async def _take_turn(
        self, identity: Identity, accepted: Accepted, request_id: str, tell: Tell
    ) -> Turn:
        """Returns a turn for a request that came late, or to another replica than its offer."""
        max_tokens, answers = accepted.max_tokens, accepted.answers
        wish = wish_of(identity, request_id, max_tokens, answers, accepted.target.adapter)
        held = await self._limits.enter(wish, tell)
        leave = partial(self._limits.leave, held, request_id)
        grant = accepted.grant
        place = self._places.take_at(
            grant.agent or "", grant.caller, accepted.granted_tokens, accepted.base_weight_digest
        )
        if place is not None and held.max_tokens == max_tokens:
            return Turn(place, leave)
        if place is not None:
            place.release()
        await asyncio.shield(leave())
        raise _late() if place is None else _less_left()

    async def _target(self, identity: Identity, grant: Grant) -> Target:
        """Looks again whether the caller may use what was granted."""
        if is_id(grant.thing, "ad") or is_id(grant.thing, "ck"):
            return await self._resolver.weights(identity, grant.thing)
        target = await self._resolver.resolve(identity, grant.thing, sealed=True)
        if target.adapter is not None:  # to a key, the name of a base model means its adapter
            raise RefusedError(reason="thing")
        return target


def _late() -> EngineBusyError:
    return EngineBusyError(
        "The turn of the offer was kept for a moment only, and the agent is busy now.",
        hint="ask sealed/offer again, and send at once",
        retry_after_seconds=1,
    )


def _less_left() -> RateLimitError:
    return RateLimitError(
        "The turn of the offer was kept for a moment only, and fewer tokens are left now.",
        hint="ask sealed/offer again, and send at once",
        retry_after_seconds=1,
    )


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
