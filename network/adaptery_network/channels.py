"""The service's end of channels: requests to one agent for one verb, under one key.

For: `Caller`, where a caller asks the same agent again and again. Not for the form of the requests
(`adaptery.sealed`).

What always holds:
- The first request of a channel is sealed and signed in full, and so is each one after the agent
  has shown that it does not know the channel (any more).
- No number of a channel is used twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adaptery.sealed import AgentCard, ChannelKey, ReplyKey, seal_in_channel, seal_request
from adaptery.signing import SigningKey

__all__ = ["Channel", "SealedRequest"]


@dataclass(frozen=True)
class SealedRequest:
    """What is published, and what opens the reply."""

    payload: bytes
    reply_key: ReplyKey
    #: What it came by, unless it was sealed in full.
    channel: ChannelKey | None = None


class Channel:
    """Seals requests to one agent; they have to be published in the order in which they are sealed.

    Args:
        card: the opened card of the agent.
        verb: what is asked.
        caller_key: is named by the grants of all requests.
        lasting: whether the agent understands channels; without, each request is sealed in full.
    """

    def __init__(
        self, card: AgentCard, verb: str, caller_key: SigningKey, *, lasting: bool = True
    ) -> None:
        self.card = card
        self.verb = verb
        self.caller_key = caller_key
        self._lasting = lasting
        self._key: ChannelKey | None = None
        self._number = 0

    def seal(
        self, subject: str, reply: str, grant: str, body: Mapping[str, object], now: datetime
    ) -> SealedRequest:
        """Seal a request.

        Raises:
            InvalidInputError: if the body holds a value that JSON cannot carry.
            TooLargeError: if the sealed request exceeds what one message carries.
            IntegrityError: if the card has ended.
        """
        key = self._key
        if key is None:
            return self._seal_in_full(subject, reply, grant, body, now)
        self._number += 1
        payload, reply_key = seal_in_channel(
            card=self.card,
            verb=self.verb,
            subject=subject,
            reply=reply,
            grant=grant,
            body=body,
            channel=key,
            number=self._number,
            now=now,
        )
        return SealedRequest(payload, reply_key, key)

    def begin_anew(self, sealed: SealedRequest) -> bool:
        """Take a refusal of a request; return whether it may be asked again, sealed in full."""
        if sealed.channel is None:
            return False
        if sealed.channel is self._key:
            self._key = None
        return True

    def _seal_in_full(
        self, subject: str, reply: str, grant: str, body: Mapping[str, object], now: datetime
    ) -> SealedRequest:
        key = ChannelKey.generate() if self._lasting else None
        payload, reply_key = seal_request(
            card=self.card,
            verb=self.verb,
            subject=subject,
            reply=reply,
            grant=grant,
            body=body,
            caller_key=self.caller_key,
            now=now,
            channel=key,
        )
        self._key, self._number = key, 0
        return SealedRequest(payload, reply_key)
