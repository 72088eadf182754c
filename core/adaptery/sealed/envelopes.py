"""The sealed request, as its caller makes it for exactly one agent.

For: sealing a request to an agent card, by its public key or by a channel. Not for opening it
(`openers`), nor for transport, nor for what a body means.

What always holds:
- A request is bound to its verb, its owner and agent, its subject and its reply subject; moved
  elsewhere it does not open.
- Each has a fresh reply key, a stamp and a nonce. One that is made once more keeps the last two:
  an agent that took it in the first time does not take it in again.

The wire format is specified in `network/protocol.md`, section 2.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from adaptery import base64url
from adaptery.errors import IntegrityError, TooLargeError
from adaptery.sealed.cards import AgentCard
from adaptery.sealed.channels import ChannelKey
from adaptery.sealed.documents import canonical, compact
from adaptery.sealed.frames import ReplyKey
from adaptery.sealed.suites import MESSAGE_LIMIT_BYTES, SUITE, seal
from adaptery.signing import SigningKey
from adaptery.times import to_text

__all__ = [
    "NONCE_BYTES",
    "channel_aad",
    "new_nonce",
    "request_info",
    "seal_in_channel",
    "seal_request",
    "signed_bytes",
]

NONCE_BYTES: Final = 16


def new_nonce() -> bytes:
    """Return what an agent lets a request in by, once."""
    return secrets.token_bytes(NONCE_BYTES)


def request_info(verb: str, owner: str, agent: str) -> bytes:
    """Return the HPKE `info` that ties a ciphertext to one verb at one agent."""
    return f"adaptery/1|{verb}|{owner}|{agent}".encode()


def signed_bytes(subject: str, reply: str, sealed: bytes, *, purpose: str = "request") -> bytes:
    """Return what a sender signs; each text has its length in front, so no two run together."""
    parts = [f"adaptery/1|{purpose}|".encode(), bytes([SUITE])]
    for text in (subject.encode(), reply.encode()):
        parts += [len(text).to_bytes(2), text]
    return b"".join([*parts, sealed])


def seal_request(
    *,
    card: AgentCard,
    verb: str,
    subject: str,
    reply: str,
    grant: str,
    body: Mapping[str, object],
    caller_key: SigningKey,
    now: datetime,
    nonce: bytes | None = None,
    channel: ChannelKey | None = None,
) -> tuple[bytes, ReplyKey]:
    """Seal a request to one agent.

    Args:
        card: the opened card of the agent.
        verb: what is asked; the agent opens it only where it serves this verb.
        subject: where the request will be published.
        reply: where the answer is expected.
        grant: the signed grant, which must name `caller_key`.
        body: the request itself.
        caller_key: a fresh key, used for this request only.
        now: the stamp of the request.
        nonce: of a request that is made once more; a fresh one, if absent.
        channel: is opened by this request, if it is given.

    Returns:
        The payload to publish, and the key that opens the reply.

    Raises:
        InvalidInputError: if the body holds a value that JSON cannot carry exactly.
        TooLargeError: if the sealed request exceeds what one message carries.
        IntegrityError: if the card has ended.
    """
    _check_card(card, now)
    contents, reply_key = _contents(grant, body, now, nonce)
    if channel is not None:
        contents["channel"] = base64url.encode(channel.to_bytes())
    info = request_info(verb, card.owner, card.agent)
    sealed = seal(canonical(contents), card.sealing_key, info)
    signature = caller_key.sign(signed_bytes(subject, reply, sealed))
    return _sized(bytes([SUITE]) + sealed + signature), reply_key


def seal_in_channel(
    *,
    card: AgentCard,
    verb: str,
    subject: str,
    reply: str,
    grant: str,
    body: Mapping[str, object],
    channel: ChannelKey,
    number: int,
    now: datetime,
    nonce: bytes | None = None,
) -> tuple[bytes, ReplyKey]:
    """Seal a request to an agent by a channel that an earlier one has opened.

    Args:
        card: the opened card of the agent.
        verb: what is asked, which is what the request asked that opened the channel.
        subject: where the request will be published.
        reply: where the answer is expected.
        grant: the signed grant, which must name the caller key of that request.
        body: the request itself.
        channel: the open channel.
        number: of the request in the channel; none is used twice.
        now: the stamp of the request.
        nonce: as of `seal_request`.

    Returns:
        The payload to publish, and the key that opens the reply.

    Raises:
        InvalidInputError: if the body holds a value that JSON cannot carry.
        TooLargeError: if the sealed request exceeds what one message carries.
        IntegrityError: if the card has ended.
    """
    _check_card(card, now)
    contents, reply_key = _contents(grant, body, now, nonce)
    aad = channel_aad(verb, card.owner, card.agent, subject, reply)
    return _sized(channel.seal(number, compact(contents), aad)), reply_key


def _check_card(card: AgentCard, now: datetime) -> None:
    if now >= card.not_after:
        raise IntegrityError(f"The card of agent {card.agent} has ended.", hint="Join it again.")


def _contents(
    grant: str, body: Mapping[str, object], now: datetime, nonce: bytes | None
) -> tuple[dict[str, object], ReplyKey]:
    reply_key = ReplyKey.generate()
    contents: dict[str, object] = {
        "grant": grant,
        "reply_key": base64url.encode(reply_key.raw),
        "body": body,
        "sent_at": to_text(now),
        "nonce": base64url.encode(nonce or new_nonce()),
    }
    return contents, reply_key


def channel_aad(verb: str, owner: str, agent: str, subject: str, reply: str) -> bytes:
    """Return what ties a request of a channel to its verb, agent and subjects."""
    return signed_bytes(subject, reply, request_info(verb, owner, agent), purpose="channel")


def _sized(payload: bytes) -> bytes:
    if len(payload) > MESSAGE_LIMIT_BYTES:
        raise TooLargeError(
            f"The request has {len(payload)} bytes sealed; the limit is {MESSAGE_LIMIT_BYTES}.",
            hint="Send a shorter prompt.",
        )
    return payload
