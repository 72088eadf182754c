"""The sealed request: made by a caller, opened by exactly one agent.

For: sealing a request to an agent card and opening it, with every check that must come before
anything acts on it. Not for transport, nor for what a body means.

What always holds:
- Nothing of a request is believed before all of this is true: it opens under this agent's key for
  this verb; it carries a grant signed by the service, not ended, for this verb; it is signed over
  subject, reply and ciphertext by the key that the grant names; it is fresh and was never seen
  before.
- Every failure is the same `RefusedError`; its `reason` is counted in `RequestOpener.refusals` and
  stays here.
- What the service says in the terms of the grant wins over what the caller says in the body; a
  grant with terms is good for one request.
- The replay memory is touched last, so only holders of a grant can fill it.

The wire format is specified in `network/protocol.md`, section 2.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from adaptery import base64url
from adaptery.errors import IntegrityError, InvalidInputError, RefusedError, TooLargeError
from adaptery.sealed.cards import AgentCard
from adaptery.sealed.documents import JsonObject, canonical, read_bytes, read_object
from adaptery.sealed.frames import ReplyKey
from adaptery.sealed.grants import Grant, open_grant
from adaptery.sealed.once import Once
from adaptery.sealed.refusals import WINDOW_SECONDS, Freshness, RefusalReason
from adaptery.sealed.suites import (
    ENC_BYTES,
    MESSAGE_LIMIT_BYTES,
    SUITE,
    TAG_BYTES,
    SealingKey,
    seal,
)
from adaptery.sealed.terms import Terms, open_terms
from adaptery.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from adaptery.times import Clock, from_text, to_text

__all__ = [
    "AgentIdentity",
    "OpenedRequest",
    "RequestOpener",
    "request_info",
    "seal_request",
    "signed_bytes",
]

#: Grants that are remembered as checked; the service uses each of its own for a while.
CHECKED_LIMIT: Final = 1_000
_NONCE_BYTES: Final = 16
_REPLY_KEY_BYTES: Final = 32
_SHORTEST_BYTES: Final = 1 + ENC_BYTES + TAG_BYTES + SIGNATURE_BYTES
_FIELDS: Final = frozenset({"grant", "reply_key", "body", "sent_at", "nonce"})


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

    Returns:
        The payload to publish, and the key that opens the reply.

    Raises:
        InvalidInputError: if the body holds a value that JSON cannot carry exactly.
        TooLargeError: if the sealed request exceeds what one message carries.
        IntegrityError: if the card has ended.
    """
    if now >= card.not_after:
        raise IntegrityError(f"The card of agent {card.agent} has ended.", hint="Join it again.")
    reply_key = ReplyKey.generate()
    plaintext = canonical(
        {
            "grant": grant,
            "reply_key": base64url.encode(reply_key.raw),
            "body": body,
            "sent_at": to_text(now),
            "nonce": base64url.encode(secrets.token_bytes(_NONCE_BYTES)),
        }
    )
    sealed = seal(plaintext, card.sealing_key, request_info(verb, card.owner, card.agent))
    signature = caller_key.sign(signed_bytes(subject, reply, sealed))
    payload = bytes([SUITE]) + sealed + signature
    if len(payload) > MESSAGE_LIMIT_BYTES:
        raise TooLargeError(
            f"The request has {len(payload)} bytes sealed; the limit is {MESSAGE_LIMIT_BYTES}.",
            hint="Send a shorter prompt.",
        )
    return payload, reply_key


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
        self._freshness.admit(contents.nonce, contents.sent_at, now)
        if terms is None:
            return OpenedRequest(grant, contents.body, contents.reply_key)
        self._used.take(grant.nonce, grant.not_after, now)
        return OpenedRequest(grant, {**contents.body, **terms.body}, contents.reply_key, terms)

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
    if document.keys() != _FIELDS or not isinstance(body, dict):
        raise ValueError("not the fields of a request")
    return _Contents(
        grant=str(document["grant"]),
        reply_key=ReplyKey(read_bytes(document["reply_key"], _REPLY_KEY_BYTES)),
        body=cast(JsonObject, body),
        sent_at=from_text(str(document["sent_at"])),
        nonce=read_bytes(document["nonce"], _NONCE_BYTES),
    )
