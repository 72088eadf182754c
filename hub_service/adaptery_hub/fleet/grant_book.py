"""The grants of the service's own requests, and the channels that they go by, for half a minute.

What a caller asks of an adapter is granted in the same words each time. Signing them for each
request, under a key of its own, took a third of what a request costs here to begin, and checking
them half of what it costs the agent.

Invariants:
- A grant is for one verb, one thing with its weights, one caller and one set of limits.
- Keys, grants and channels are in memory only, and are dropped together by the first request that
  comes after `USE_SECONDS`.
- Whether a caller may is not decided here, and is asked again for each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from adaptery.sealed import AgentCard, Grant, Verb, sign_grant
from adaptery.signing import SigningKey
from adaptery.times import Clock, now
from adaptery_network.channels import Channel

#: How long a key and its grants are used.
USE_SECONDS = 30.0
#: How long a grant is good: what is sent last has as long to arrive as an agent's clock may differ.
GRANT_SECONDS = 120.0
GRANTS_LIMIT = 10_000


@dataclass(frozen=True)
class Wanted:
    """What is to be granted."""

    verb: Verb
    thing: str
    caller: str
    weight_digest: str | None = None
    limits: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Granted:
    """A grant, and the key that has to sign what is asked with it."""

    caller_key: SigningKey
    token: str


class GrantBook:
    """Grants by what they say, and channels by where they lead."""

    def __init__(self, signer: SigningKey, clock: Clock = now) -> None:
        self._signer = signer
        self._clock = clock
        self._grants: dict[Wanted, Granted] = {}
        self._channels: dict[tuple[str, str, str, Verb, bool], Channel] = {}
        self._caller_key: SigningKey | None = None
        self._ends_at = clock()

    def grant(self, wanted: Wanted) -> Granted:
        """Return a grant that is good for at least `GRANT_SECONDS - USE_SECONDS`."""
        moment = self._clock()
        caller_key = self._key_at(moment)
        granted = self._grants.get(wanted)
        if granted is None:
            granted = Granted(caller_key, self._sign(wanted, caller_key, moment))
            self._grants[wanted] = granted
        return granted

    def channel(self, granted: Granted, card: AgentCard, verb: Verb, *, lasting: bool) -> Channel:
        """Return the channel to an agent that goes with a grant.

        Args:
            granted: the grant of the request.
            card: of the agent.
            verb: what it is asked.
            lasting: whether the agent understands channels.
        """
        # By its id too: nobody proves that the sealing key in its card is its own.
        place = granted.caller_key.public_text, card.agent, card.sealing_key, verb, lasting
        channel = self._channels.get(place)
        if channel is None:
            channel = Channel(card, verb, granted.caller_key, lasting=lasting)
            self._channels[place] = channel
        return channel

    def _key_at(self, moment: datetime) -> SigningKey:
        key = self._caller_key
        if key is None or moment >= self._ends_at or len(self._grants) >= GRANTS_LIMIT:
            key = self._caller_key = SigningKey.generate()
            self._grants, self._channels = {}, {}
            self._ends_at = moment + timedelta(seconds=USE_SECONDS)
        return key

    def _sign(self, wanted: Wanted, caller_key: SigningKey, moment: datetime) -> str:
        grant = Grant(
            verb=wanted.verb,
            thing=wanted.thing,
            weight_digest=wanted.weight_digest,
            caller=wanted.caller,
            caller_key=caller_key.public_text,
            limits=dict(wanted.limits),
            not_after=moment + timedelta(seconds=GRANT_SECONDS),
        )
        return sign_grant(grant, self._signer)
