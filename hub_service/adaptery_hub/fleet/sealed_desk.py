"""What the network gives to a caller that seals its own request, and the relay to its agent.

Not here: who may ask for what (`gateway.sealed`), which agent (`gateway.routing`).

Invariants:
- A grant given out names one caller, its fresh key, one agent, one thing with its weights, limits,
  and a near end; what the agent is to do with it lies in terms that only the agent opens.
- Nothing of an offer is stored: a grant is its own proof, the keys that go with it are derived.
"""

from __future__ import annotations

from datetime import timedelta

from adaptery.errors import NoAgentError
from adaptery.sealed import (
    Grant,
    JsonObject,
    derive_cancel_key,
    open_grant,
    seal_terms,
    sign_grant,
)
from adaptery.times import Clock, now
from adaptery_hub.fleet.orders import FRAME_SECONDS, session_reference
from adaptery_hub.fleet.roster import KnownAgent, Roster
from adaptery_hub.gateway.sealed import Asked, Granted
from adaptery_network import subjects
from adaptery_network.broker import NetworkIdentity
from adaptery_network.relay import Relay
from adaptery_network.transport import Transport

#: Half of it is for the caller; the rest because the agent's clock may be ahead by a minute.
GRANT_SECONDS = 90.0


class SealedDesk:
    """Makes grants for callers outside the service, and relays what they seal."""

    def __init__(
        self,
        transport: Transport,
        identity: NetworkIdentity,
        roster: Roster,
        clock: Clock = now,
        *,
        frame_seconds: float = FRAME_SECONDS,
    ) -> None:
        self._transport = transport
        self._identity = identity
        self._roster = roster
        self._clock = clock
        self._frame_seconds = frame_seconds

    def grant(self, agent_id: str, asked: Asked) -> Granted:
        """Returns what a caller needs to seal one request to this agent.

        Raises:
            NoAgentError: There is no such agent any more.
        """
        known = self._known(agent_id)
        not_after = self._clock() + timedelta(seconds=GRANT_SECONDS)
        adapter = asked.target.adapter
        grant = Grant(
            verb="infer",
            thing=adapter.weights_id if adapter else asked.target.base_model,
            weight_digest=(adapter.weight_digest if adapter else asked.target.base_weight_digest),
            caller=asked.caller,
            caller_key=asked.caller_key,
            limits=dict(asked.limits),
            agent=agent_id,
            not_after=not_after,
        )
        cancel_key = derive_cancel_key(self._identity.session_master, grant.nonce)
        terms = seal_terms(cancel_key, self._body(agent_id, asked), known.card)
        key = self._identity.signing_key
        return Granted(
            card=known.signed_card,
            issuer=key.public_text,
            subject=subjects.infer(known.card.owner, agent_id),
            reply=subjects.sealed_reply(grant.nonce),
            grant=sign_grant(grant.model_copy(update={"terms": terms}), key),
            nonce=grant.nonce,
            expires_at=grant.not_after,
        )

    def read(self, token: str) -> Grant:
        """Returns a grant that this service made and that has not ended.

        Raises:
            RefusedError: It is none.
        """
        return open_grant(token, self._identity.signing_key.verify_key, self._clock())

    def relay(self, grant: Grant) -> Relay:
        """Returns the way to the agent of a grant and back.

        Raises:
            NoAgentError: There is no such agent any more.
        """
        return Relay(
            self._transport,
            self._known(grant.agent or "").card,
            grant,
            derive_cancel_key(self._identity.session_master, grant.nonce),
            frame_seconds=self._frame_seconds,
        )

    def _known(self, agent_id: str) -> KnownAgent:
        known = self._roster.get(agent_id)
        if known is None:
            raise NoAgentError("The agent is not part of the network any more.")
        return known

    def _body(self, agent_id: str, asked: Asked) -> JsonObject:
        """Returns the fields of the request that are not the caller's to write."""
        target, adapter = asked.target, asked.target.adapter
        reference = adapter and {
            "id": adapter.weights_id,
            "weight_digest": adapter.weight_digest,
            "session": dict(session_reference(self._identity, adapter.weights_id, agent_id)),
        }
        return {
            "path": asked.path,
            "base_model": {"name": target.base_model, "weight_digest": target.base_weight_digest},
            "adapter": reference,
            "cache_salt": asked.cache_salt,
        }
