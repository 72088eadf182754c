"""The service's end of channels: requests to one agent for one verb, under one key.

For: `Caller`, where a caller asks the same agent again and again. Not for the form of the requests
(`adaptery.sealed`).

What always holds:
- The first request of a channel is sealed and signed in full, and so is one that is made once more
  because the agent has shown that it does not know the channel (any more).
- What is made once more keeps its stamp and nonce. Anybody on the way can say that it was refused:
  an agent that took it in all the same does not take it in again.
- No number of a channel is used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple

from adaptery.sealed import (
    AgentCard,
    ChannelKey,
    ReplyKey,
    new_nonce,
    seal_in_channel,
    seal_request,
)
from adaptery.signing import SigningKey

__all__ = ["Channel", "SealedRequest"]


@dataclass(frozen=True)
class SealedRequest:
    """What is published, and what opens the reply."""

    payload: bytes
    reply_key: ReplyKey
    #: Makes it once more, sealed in full, after a refusal; None: it was.
    once_more: Callable[[], SealedRequest] | None = field(default=None, repr=False)


class _Asked(NamedTuple):
    subject: str
    reply: str
    grant: str
    body: Mapping[str, object]
    now: datetime
    nonce: bytes


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
        asked = _Asked(subject, reply, grant, body, now, new_nonce())
        key = self._key
        if key is None:
            return self._seal_in_full(asked)
        self._number += 1
        payload, reply_key = seal_in_channel(
            card=self.card,
            verb=self.verb,
            channel=key,
            number=self._number,
            **asked._asdict(),
        )
        return SealedRequest(payload, reply_key, partial(self._once_more, key, asked))

    def _once_more(self, refused: ChannelKey, asked: _Asked) -> SealedRequest:
        if refused is self._key:
            self._key = None
        return self._seal_in_full(asked)

    def _seal_in_full(self, asked: _Asked) -> SealedRequest:
        key = ChannelKey.generate() if self._lasting and self._key is None else None
        payload, reply_key = seal_request(
            card=self.card,
            verb=self.verb,
            caller_key=self.caller_key,
            channel=key,
            **asked._asdict(),
        )
        if key is not None:
            self._key, self._number = key, 0
        return SealedRequest(payload, reply_key)
