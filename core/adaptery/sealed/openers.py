"""Opens sealed requests at the agent that they were made for.

For: every check that must come before anything acts on a request. Not for making one
(`envelopes`), nor for transport, nor for what a body means.

What always holds:
- Nothing of a request is believed before all of this is true: it opens under this agent's key for
  this verb; it carries a grant signed by the service, not ended, for this verb; it is signed over
  subject, reply and ciphertext by the key that the grant names; it is fresh and was never seen
  before.
- Every failure is the same `RefusedError`; its `reason` is counted in `RequestOpener.refusals` and
  stays here.
- What the service says in the terms of the grant wins over what the caller says in the body; a
  grant with terms is good for one request.
- A request that comes by a channel (`channels`) has the seal and the signature of the request that
  opened it, in the place of its own; everything else is checked the same.
- The replay memory is touched last, so only holders of a grant can fill it.

The wire format is specified in `network/protocol.md`, section 2.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from adaptery.errors import IntegrityError, InvalidInputError, RefusedError
from adaptery.sealed.channels import (
    CHANNEL,
    CHANNEL_KEY_BYTES,
    ChannelKey,
    OpenChannel,
    OpenChannels,
)
from adaptery.sealed.documents import JsonObject, read_bytes, read_object
from adaptery.sealed.envelopes import NONCE_BYTES, channel_aad, request_info, signed_bytes
from adaptery.sealed.frames import ReplyKey
from adaptery.sealed.grants import Grant, open_grant
from adaptery.sealed.once import Once
from adaptery.sealed.refusals import WINDOW_SECONDS, Freshness, RefusalReason
from adaptery.sealed.suites import ENC_BYTES, SUITE, TAG_BYTES, SealingKey
from adaptery.sealed.terms import Terms, open_terms
from adaptery.signing import SIGNATURE_BYTES, VerifyKey
from adaptery.times import Clock, from_text

__all__ = ["AgentIdentity", "OpenedRequest", "RequestOpener"]

#: Grants that are remembered as checked; the service uses each of its own for a while.
CHECKED_LIMIT: Final = 1_000
_REPLY_KEY_BYTES: Final = 32
_SHORTEST_BYTES: Final = 1 + ENC_BYTES + TAG_BYTES + SIGNATURE_BYTES
_FIELDS: Final = frozenset({"grant", "reply_key", "body", "sent_at", "nonce"})


@dataclass(frozen=True)
class AgentIdentity:
    """Who opens: the names that an envelope must be bound to, and the key that opens it."""

    owner: str
    agent: str
    sealing_key: SealingKey = field(repr=False)


@dataclass(frozen=True)
class OpenedRequest:
    """A request that passed every check."""

    grant: Grant
    #: what the caller asks, and over it what the terms of the grant say
    body: JsonObject = field(repr=False)
    reply_key: ReplyKey
    #: the service's, if it is not the service itself that asks
    terms: Terms | None = None


@dataclass(frozen=True, repr=False)
class _Contents:
    grant: str
    reply_key: ReplyKey
    body: JsonObject
    sent_at: datetime
    nonce: bytes
    channel: ChannelKey | None


class RequestOpener:
    """Opens the requests of one agent, and remembers what it has seen.

    Args:
        identity: the agent and its sealing key.
        issuer: the service's key, which signs grants.
        clock: the agent's clock, corrected for its offset from the service if it has one.
        started_at: requests stamped earlier are refused: they were meant for an earlier life of the
            agent.
        window_seconds: how far a stamp may differ from the clock.
    """

    def __init__(
        self,
        identity: AgentIdentity,
        issuer: VerifyKey,
        clock: Clock,
        started_at: datetime,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self._identity = identity
        self._issuer = issuer
        self._clock = clock
        self._freshness = Freshness(window_seconds, started_at=started_at)
        self._used = Once()
        self._checked: dict[str, Grant] = {}
        self._channels = OpenChannels()
        #: how often each reason led to a refusal
        self.refusals: Counter[str] = Counter()
        #: how many requests passed
        self.accepted = 0

    def open(
        self, payload: bytes, subject: str, reply: str | None, verb: str, *more_verbs: str
    ) -> OpenedRequest:
        """Open a request that came in on `subject` with this reply subject, where `verb` is served.

        Where several verbs are served, its grant says which one it is.

        Raises:
            RefusedError: for whatever is wrong with it; the reason is counted.
        """
        try:
            opened = self._open(payload, subject, reply, (verb, *more_verbs))
        except RefusedError as error:
            self.refusals[error.reason] += 1
            raise
        self.accepted += 1
        return opened

    def _open(
        self, payload: bytes, subject: str, reply: str | None, verbs: tuple[str, ...]
    ) -> OpenedRequest:
        if not reply:
            raise RefusedError(reason=RefusalReason.ADDRESS)
        if payload[:1] == bytes([CHANNEL]):
            return self._open_in_channel(payload, subject, reply, verbs)
        if len(payload) < _SHORTEST_BYTES or payload[0] != SUITE:
            raise RefusedError(reason=RefusalReason.MALFORMED)
        sealed, signature = payload[1:-SIGNATURE_BYTES], payload[-SIGNATURE_BYTES:]
        verb, plaintext = self._unseal(sealed, verbs)
        contents = _read_plaintext(plaintext)
        now = self._clock()
        grant = self._grant(contents.grant, now)
        if grant.verb != verb:
            raise RefusedError(reason=RefusalReason.VERB)
        _check_signature(grant, signature, signed_bytes(subject, reply, sealed))
        terms = self._terms(grant, reply)
        if terms is not None and contents.channel is not None:
            raise RefusedError(reason=RefusalReason.MALFORMED)  # such a grant is for one request
        self._freshness.admit(contents.nonce, contents.sent_at, now)
        if terms is None:
            if contents.channel is not None:
                self._channels.keep(
                    OpenChannel(contents.channel, verb, grant.caller_key, grant.not_after)
                )
            return OpenedRequest(grant, contents.body, contents.reply_key)
        self._used.take(grant.nonce, grant.not_after, now)
        return OpenedRequest(grant, {**contents.body, **terms.body}, contents.reply_key, terms)

    def _open_in_channel(
        self, payload: bytes, subject: str, reply: str, verbs: tuple[str, ...]
    ) -> OpenedRequest:
        now, me = self._clock(), self._identity
        channel = self._channels.of(payload, now)
        aad = channel_aad(channel.verb, me.owner, me.agent, subject, reply)
        try:
            plaintext = channel.key.open(payload, aad)
        except IntegrityError:
            raise RefusedError(reason=RefusalReason.SEAL) from None
        contents = _read_plaintext(plaintext)
        grant = self._grant(contents.grant, now)
        if grant.verb != channel.verb or channel.verb not in verbs:
            raise RefusedError(reason=RefusalReason.VERB)
        if grant.caller_key != channel.caller_key:
            raise RefusedError(reason=RefusalReason.SIGNATURE)
        if grant.terms is not None or grant.agent not in (None, me.agent):
            raise RefusedError(reason=RefusalReason.GRANT)
        if contents.channel is not None:
            raise RefusedError(reason=RefusalReason.MALFORMED)
        self._freshness.admit(contents.nonce, contents.sent_at, now)
        return OpenedRequest(grant, contents.body, contents.reply_key)

    def _grant(self, token: str, now: datetime) -> Grant:
        """Open a grant; the signature of one that comes again, to the letter, is known."""
        grant = self._checked.get(token)
        if grant is not None and now < grant.not_after:
            return grant
        grant = open_grant(token, self._issuer, now)
        if grant.terms is None:  # otherwise it is good for one request
            if len(self._checked) >= CHECKED_LIMIT:
                self._checked.clear()
            self._checked[token] = grant
        return grant

    def _terms(self, grant: Grant, reply: str) -> Terms | None:
        me = self._identity
        if grant.agent not in (None, me.agent):
            raise RefusedError(reason=RefusalReason.GRANT)
        if grant.terms is None:
            return None
        if reply.rpartition(".")[2] != grant.nonce:
            # The service looked at another grant than this one, and would charge for that.
            raise RefusedError(reason=RefusalReason.ADDRESS)
        try:
            return open_terms(grant.terms, me.owner, me.agent, me.sealing_key)
        except IntegrityError:
            raise RefusedError(reason=RefusalReason.GRANT) from None

    def _unseal(self, sealed: bytes, verbs: tuple[str, ...]) -> tuple[str, bytes]:
        """Return the one verb that the request is sealed for, and what is in it."""
        for verb in verbs:
            info = request_info(verb, self._identity.owner, self._identity.agent)
            try:
                return verb, self._identity.sealing_key.open(sealed, info)
            except IntegrityError:
                continue
        raise RefusedError(reason=RefusalReason.SEAL)


def _read_plaintext(plaintext: bytes) -> _Contents:
    try:
        return _read_contents(read_object(plaintext))
    except (IntegrityError, ValueError):
        raise RefusedError(reason=RefusalReason.MALFORMED) from None


def _check_signature(grant: Grant, signature: bytes, message: bytes) -> None:
    try:
        VerifyKey.from_text(grant.caller_key).verify(signature, message)
    except (IntegrityError, InvalidInputError):
        raise RefusedError(reason=RefusalReason.SIGNATURE) from None


def _read_contents(document: JsonObject) -> _Contents:
    if not document.get("grant"):
        raise RefusedError(reason=RefusalReason.NO_GRANT)
    body = document.get("body")
    if set(document) - {"channel"} != set(_FIELDS) or not isinstance(body, dict):
        raise ValueError("not the fields of a request")
    channel = document.get("channel", ...)
    return _Contents(
        grant=str(document["grant"]),
        reply_key=ReplyKey(read_bytes(document["reply_key"], _REPLY_KEY_BYTES)),
        body=cast(JsonObject, body),
        sent_at=from_text(str(document["sent_at"])),
        nonce=read_bytes(document["nonce"], NONCE_BYTES),
        channel=None
        if channel is ...
        else ChannelKey.from_bytes(read_bytes(channel, CHANNEL_KEY_BYTES)),
    )
