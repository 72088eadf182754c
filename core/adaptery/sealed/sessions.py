"""A symmetric session between the service and one agent, for one attempt or one adapter.

For: reports, lease renewals and file chunks, which are many and would be slow under a public key
each. Not for requests of users (`envelopes`), and not for deciding who has a session (the service
hands the key over inside a sealed order).

What always holds:
- A key belongs to one (session, agent) pair and is derived, so the service stores none.
- A message opens only in its direction, on its subject, and an answer only for the request it
  answers: a broker cannot turn one answer into another.
- Nonces are random, 96 bits; one session stays far below the 2^32 messages where that would matter.

Source: RFC 5869 (HKDF); RFC 8439 (ChaCha20-Poly1305); NIST SP 800-38D, section 8.3 (random nonces).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from adaptery.errors import IntegrityError
from adaptery.sealed.documents import JsonObject, compact, read_object

__all__ = [
    "Direction",
    "Session",
    "SessionMessage",
    "derive_session_key",
    "message_nonce",
    "peek_session_id",
]

#: `up`: agent to service. `down`: the service's answer.
Direction: TypeAlias = Literal["up", "down"]

KEY_BYTES = 32
NONCE_BYTES = 12
_TAG_BYTES = 16
_STAMP_BYTES = 8  # milliseconds since 1970, UTC
_LENGTH_BYTES = 4
_ID_LIMIT_BYTES = 255  # one length byte
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def derive_session_key(master: bytes, session_id: str, agent_id: str) -> bytes:
    """Return the key of one session of one agent.

    Args:
        master: the service's 32 secret bytes.
        session_id: the id of the attempt or adapter.
        agent_id: the agent that the key will be handed to.
    """
    info = f"adaptery/1|session|{session_id}|{agent_id}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master)


def peek_session_id(payload: bytes) -> str:
    """Return the session id that a payload claims; nothing is verified yet.

    Raises:
        IntegrityError: if the payload is too short to be one.
    """
    end = 1 + (payload[0] if payload else 0)
    if len(payload) < end + NONCE_BYTES + _TAG_BYTES:
        raise IntegrityError("A session message is too short.")
    try:
        return payload[1:end].decode("ascii")
    except UnicodeDecodeError:
        raise IntegrityError("A session id is not ASCII.") from None


def message_nonce(payload: bytes) -> bytes:
    """Return the nonce of a session message; it names the request that an answer belongs to."""
    start = 1 + (payload[0] if payload else 0)
    return payload[start : start + NONCE_BYTES]


@dataclass(frozen=True)
class SessionMessage:
    """An opened message."""

    header: JsonObject = field(repr=False)
    blob: bytes = field(repr=False)
    sent_at: datetime
    nonce: bytes


@dataclass(frozen=True)
class Session:
    """Seals and opens the messages of one session."""

    key: bytes = field(repr=False)
    session_id: str

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES or not 0 < len(self.session_id) <= _ID_LIMIT_BYTES:
            raise IntegrityError(f"A session has an id and a key of {KEY_BYTES} bytes.")

    def seal(
        self,
        direction: Direction,
        subject: str,
        header: Mapping[str, object],
        blob: bytes = b"",
        *,
        sent_at: datetime,
        answers: bytes = b"",
    ) -> bytes:
        """Seal a message.

        Args:
            direction: who speaks.
            subject: the subject of the request, also for its answer.
            header: JSON of the message.
            blob: raw bytes that go with it, such as a chunk of a file.
            sent_at: the stamp.
            answers: for an answer, the nonce of the request.

        Raises:
            InvalidInputError: if the header holds a value that JSON cannot carry.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        head = compact(header)
        stamp = (sent_at - _EPOCH) // timedelta(milliseconds=1)
        plaintext = stamp.to_bytes(_STAMP_BYTES) + len(head).to_bytes(_LENGTH_BYTES) + head + blob
        aad = self._aad(direction, subject, answers)
        sealed = ChaCha20Poly1305(self.key).encrypt(nonce, plaintext, aad)
        session_id = self.session_id.encode("ascii")
        return bytes([len(session_id)]) + session_id + nonce + sealed

    def open(
        self, direction: Direction, subject: str, payload: bytes, *, answers: bytes = b""
    ) -> SessionMessage:
        """Open a message of this session.

        Raises:
            IntegrityError: if it is of another session, direction, subject or request, or was
                altered.
        """
        if peek_session_id(payload) != self.session_id:
            raise IntegrityError("A message of another session.")
        nonce = message_nonce(payload)
        sealed = payload[1 + len(self.session_id) + NONCE_BYTES :]
        aad = self._aad(direction, subject, answers)
        try:
            plaintext = ChaCha20Poly1305(self.key).decrypt(nonce, sealed, aad)
        except InvalidTag:
            raise IntegrityError("A session message does not open.") from None
        return _read(plaintext, nonce)

    def _aad(self, direction: Direction, subject: str, answers: bytes) -> bytes:
        return f"{direction}|{subject}|{self.session_id}|".encode() + answers


def _read(plaintext: bytes, nonce: bytes) -> SessionMessage:
    start = _STAMP_BYTES + _LENGTH_BYTES
    end = start + int.from_bytes(plaintext[_STAMP_BYTES:start])
    if len(plaintext) < max(start, end):
        raise IntegrityError("A session message is too short.")
    try:
        sent_at = _EPOCH + timedelta(milliseconds=int.from_bytes(plaintext[:_STAMP_BYTES]))
    except OverflowError:
        raise IntegrityError("A session message has no valid time.") from None
    return SessionMessage(read_object(plaintext[start:end]), plaintext[end:], sent_at, nonce)
