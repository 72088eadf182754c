"""Channels: requests under a key that an earlier request has handed to the agent.

For: a caller who asks one agent again and again. To seal to a public key and to sign, and to undo
both, costs more than all else that an envelope takes. Not for who has a grant with terms, and not
for replies (`frames`).

What always holds:
- A channel is opened by a request that passed every check of `openers`, and by no other.
- What comes by a channel comes from who opened it: its grant names the same caller key, and is for
  the same verb.
- Request n of a channel is sealed with nonce n, its subject and its reply subject: moved elsewhere
  it does not open.
- A channel ends with the grant of the request that opened it. Keys are in memory only.

The wire format is specified in `network/protocol.md`, section 2.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from adaptery.errors import IntegrityError, RefusedError
from adaptery.sealed.refusals import RefusalReason
from adaptery.sealed.suites import TAG_BYTES

__all__ = ["CHANNEL", "CHANNEL_KEY_BYTES", "ChannelKey", "OpenChannel", "OpenChannels"]

#: First byte of a request that comes by a channel; no suite has this number.
CHANNEL: Final = 0x81
#: Channels that an agent remembers; the service has one for each verb at a time.
CHANNELS_LIMIT: Final = 100
_ID_BYTES: Final = 16
_KEY_BYTES: Final = 32
_NUMBER_BYTES: Final = 8
#: Of the name and the key together.
CHANNEL_KEY_BYTES: Final = _ID_BYTES + _KEY_BYTES
_HEAD_BYTES: Final = 1 + _ID_BYTES + _NUMBER_BYTES
_NONCE_DOMAIN: Final = bytes(4)  # nonce = domain(4) || number(8)


@dataclass(frozen=True)
class ChannelKey:
    """The name and the key of one channel, made by its caller."""

    id: bytes
    raw: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> ChannelKey:
        """Return a new random one."""
        return cls(secrets.token_bytes(_ID_BYTES), secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def from_bytes(cls, raw: bytes) -> ChannelKey:
        """Read the `CHANNEL_KEY_BYTES` that `to_bytes` gives."""
        return cls(raw[:_ID_BYTES], raw[_ID_BYTES:])

    def to_bytes(self) -> bytes:
        """Return name and key, for the seal of the request that opens the channel."""
        return self.id + self.raw

    def seal(self, number: int, plaintext: bytes, aad: bytes) -> bytes:
        """Return the payload of request `number`; no number is used twice."""
        counter = number.to_bytes(_NUMBER_BYTES)
        sealed = self._cipher.encrypt(_NONCE_DOMAIN + counter, plaintext, aad)
        return b"".join((bytes([CHANNEL]), self.id, counter, sealed))

    def open(self, payload: bytes, aad: bytes) -> bytes:
        """Return what `seal` was given.

        Raises:
            IntegrityError: another key, another `aad`, or changed bytes; which of them is not told.
        """
        nonce = _NONCE_DOMAIN + payload[1 + _ID_BYTES : _HEAD_BYTES]
        try:
            return self._cipher.decrypt(nonce, payload[_HEAD_BYTES:], aad)
        except InvalidTag:
            raise IntegrityError("A request of a channel does not open.") from None

    @cached_property
    def _cipher(self) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(self.raw)


@dataclass(frozen=True)
class OpenChannel:
    """A channel as its agent knows it, from the request that opened it."""

    key: ChannelKey
    verb: str
    caller_key: str
    not_after: datetime


class OpenChannels:
    """The channels of one agent, the newest last."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, OpenChannel] = {}

    def keep(self, channel: OpenChannel) -> None:
        """Take requests by this channel from now on."""
        while len(self._by_id) >= CHANNELS_LIMIT:
            del self._by_id[next(iter(self._by_id))]  # its caller opens another
        self._by_id[channel.key.id] = channel

    def of(self, payload: bytes, now: datetime) -> OpenChannel:
        """Return the channel that a request came by.

        Raises:
            RefusedError: the request is too short, or there is no such channel, or not any more.
        """
        if len(payload) < _HEAD_BYTES + TAG_BYTES:
            raise RefusedError(reason=RefusalReason.MALFORMED)
        channel = self._by_id.get(payload[1 : 1 + _ID_BYTES])
        if channel is None or now >= channel.not_after:
            raise RefusedError(reason=RefusalReason.SEAL)
        return channel
