"""Sealed orders and requests to agents, each with a grant.

Not here: choosing the agent, and what follows from an error.

Invariants:
- A grant names one verb, one thing, its weights, one caller and the key that signs the call, and
  ends soon. That of an order is for one call; that of a request is used again (`grant_book`).
- The session key that goes with an order is derived for that session and that agent; none is
  stored.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta

from adaptery import base64url
from adaptery.sealed import Frame, Grant, Verb, derive_session_key, sign_grant
from adaptery.times import Clock, now, to_text
from adaptery_hub.fleet.grant_book import GRANT_SECONDS, GrantBook, Wanted
from adaptery_hub.fleet.live import BaseModelReport
from adaptery_hub.fleet.roster import Roster
from adaptery_hub.gateway.embedding import EmbedOrder
from adaptery_hub.gateway.gateway import InferOrder
from adaptery_hub.queue.port import Claim
from adaptery_network.broker import NetworkIdentity
from adaptery_network.caller import Caller

ORDER_SECONDS = 10.0  # an agent answers an order at once; the work comes after
FRAME_SECONDS = 120.0  # until the next frame: a cold engine loads weights before the first one
VECTORS_SECONDS = 300.0  # until the next vectors: those of others are computed in between
GRANT_BEYOND_LEASE_SECONDS = 60.0
#: What agents say that take requests by channels.
CHANNELS_FEATURE = "channels"
#: Who asks where no tenant does.
SERVICE_CALLER = "service"


class Orders:
    """Speaks to agents as the service."""

    def __init__(
        self,
        caller: Caller,
        identity: NetworkIdentity,
        roster: Roster,
        clock: Clock = now,
        features: Callable[[str], Collection[str]] = lambda agent_id: (),
    ) -> None:
        """Makes orders.

        Args:
            caller: speaks to agents.
            identity: of the service.
            roster: the agents' cards.
            clock: tells the time.
            features: what an agent says that it understands.
        """
        self._features = features
        self._caller = caller
        self._identity = identity
        self._roster = roster
        self._clock = clock
        self._book = GrantBook(identity.signing_key, clock)

    async def start(self, claim: Claim) -> None:
        """Orders an agent to start an attempt.

        Raises:
            AdapteryError: The agent did not take the order, or nobody knows whether it did.
        """
        body = {
            "op": "start",
            "spec": claim.spec.model_dump(mode="json", exclude_none=True),
            "session": self._session(claim.attempt_id, claim.agent_id),
            "lease_until": to_text(claim.lease_until),
            "lease_seconds": claim.lease_seconds,
        }
        not_after = claim.lease_until + timedelta(seconds=GRANT_BEYOND_LEASE_SECONDS)
        grant = self._granter("train", claim.job_id, claim.tenant_id, not_after)
        card = self._roster.card(claim.agent_id)
        await self._caller.call(card, "train", grant, body, ORDER_SECONDS)

    async def cancel(self, agent_id: str, job_id: str, attempt_id: str, tenant_id: str) -> None:
        """Orders an agent to end an attempt.

        Raises:
            AdapteryError: The agent did not take the order.
        """
        body = {"op": "cancel", "attempt": attempt_id}
        not_after = self._clock() + timedelta(seconds=GRANT_SECONDS)
        grant = self._granter("train", job_id, tenant_id, not_after)
        await self._caller.call(self._roster.card(agent_id), "train", grant, body, ORDER_SECONDS)

    def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        """Asks an agent to answer and gives its frames; closing it tells the agent to stop.

        Not a generator of its own: a token passes each of them.

        Raises:
            NoAgentError: The agent is not known.
        """
        target, adapter = order.target, order.target.adapter
        body: dict[str, object] = {
            "path": order.path,
            "request": dict(order.request),
            "base_model": {"name": target.base_model, "weight_digest": target.base_weight_digest},
            "adapter": None,
        }
        if adapter is not None:
            body["adapter"] = {
                "id": adapter.weights_id,
                "weight_digest": adapter.weight_digest,
                "session": self._session(adapter.weights_id, agent_id),
            }
        wanted = Wanted(
            "infer",
            adapter.weights_id if adapter else target.base_model,
            order.caller,
            adapter.weight_digest if adapter else target.base_weight_digest,
            (("max_tokens", order.max_tokens),),
        )
        return self._stream(agent_id, wanted, body, FRAME_SECONDS)

    async def embed(self, agent_id: str, order: EmbedOrder) -> AsyncGenerator[Frame, None]:
        """Asks an agent for vectors and yields its frames; closing it tells the agent to stop.

        Raises:
            AdapteryError: The agent cannot be reached, refuses, or ends the answer with an error.
        """
        target = order.target
        body: dict[str, object] = {
            "model": {"name": target.model, "weight_digest": target.weight_digest},
            "input": list(order.texts),
        }
        wanted = Wanted("embed", target.model, order.caller, target.weight_digest)
        frames = self._stream(agent_id, wanted, body, VECTORS_SECONDS)
        async with aclosing(frames) as opened:
            async for frame in opened:
                yield frame

    async def model_piece(
        self, agent_id: str, model: BaseModelReport, file: str, offset: int
    ) -> Mapping[str, object]:
        """Asks an agent for a piece of a file that describes a base model.

        Raises:
            AdapteryError: The agent cannot be reached, or has no such file.
        """
        body = {
            "model": {"name": model.name, "weight_digest": model.weight_digest},
            "file": file,
            "offset": offset,
        }
        not_after = self._clock() + timedelta(seconds=GRANT_SECONDS)
        grant = self._granter(
            "fetch", model.name, SERVICE_CALLER, not_after, weight_digest=model.weight_digest
        )
        card = self._roster.card(agent_id)
        return await self._caller.call(card, "fetch", grant, body, ORDER_SECONDS)

    def _stream(
        self, agent_id: str, wanted: Wanted, body: Mapping[str, object], frame_seconds: float
    ) -> AsyncGenerator[Frame, None]:
        card, granted = self._roster.card(agent_id), self._book.grant(wanted)
        lasting = CHANNELS_FEATURE in self._features(agent_id)
        channel = self._book.channel(granted, card, wanted.verb, lasting=lasting)
        return self._caller.stream(
            card, wanted.verb, lambda _: granted.token, body, frame_seconds, channel=channel
        )

    def _session(self, session_id: str, agent_id: str) -> Mapping[str, str]:
        return session_reference(self._identity, session_id, agent_id)

    def _granter(
        self,
        verb: Verb,
        thing: str,
        caller: str,
        not_after: datetime,
        weight_digest: str | None = None,
    ) -> Callable[[str], str]:
        def grant_for(caller_key: str) -> str:
            grant = Grant(
                verb=verb,
                thing=thing,
                weight_digest=weight_digest,
                caller=caller,
                caller_key=caller_key,
                not_after=not_after,
            )
            return sign_grant(grant, self._identity.signing_key)

        return grant_for


def session_reference(
    identity: NetworkIdentity, session_id: str, agent_id: str
) -> Mapping[str, str]:
    """Returns a session as it is handed to its agent inside a seal."""
    key = derive_session_key(identity.session_master, session_id, agent_id)
    return {"id": session_id, "key": base64url.encode(key)}
