"""Reply frames: what an agent streams back under the key that came with the request.

For: writing and reading the frames of one reply. Not for sending them, and not for the meaning of
the JSON inside.

What always holds:
- Frame n of a reply is sealed with nonce n and the reply subject: a frame that is missing,
  repeated, out of order or moved to another reply does not pass.
- A reply is complete only with its `end` frame; `finished` is False for every reply that was cut.
- The caller's one message back, the cancel, uses a nonce that no frame can have.

Source: RFC 8439 (ChaCha20-Poly1305), section 2.8.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from adaptery.errors import IntegrityError, RefusedError, TooLargeError
from adaptery.sealed.documents import JsonObject, compact, read_object
from adaptery.sealed.refusals import REFUSAL
from adaptery.sealed.suites import MESSAGE_LIMIT_BYTES

__all__ = ["CANCEL", "Frame", "FrameReader", "FrameType", "FrameWriter", "ReplyKey"]

FrameType: TypeAlias = Literal["data", "usage", "error", "end"]

#: First byte of a cancel; a request starts with its suite number.
CANCEL = 0x80

_TYPES: tuple[FrameType, ...] = ("data", "usage", "error", "end")
_COUNTER_BYTES = 8
_TAG_BYTES = 16
_KEY_BYTES = 32
_FRAME_DOMAIN = b"\x00\x00\x00\x00"  # nonce = domain(4) || counter(8)
_CANCEL_DOMAIN = b"\x00\x00\x00\x01"


@dataclass(frozen=True)
class ReplyKey:
    """The fresh key of one reply, made by the caller and known to caller and agent only."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != _KEY_BYTES:
            raise IntegrityError("A reply key has 32 bytes.")

    @classmethod
    def generate(cls) -> ReplyKey:
        """Return a new random key."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    def seal_cancel(self, reply: str) -> bytes:
        """Return the message that ends the reply early; only the caller can make it."""
        cipher = ChaCha20Poly1305(self.raw)
        nonce = _CANCEL_DOMAIN + bytes(_COUNTER_BYTES)
        return bytes([CANCEL]) + cipher.encrypt(nonce, b"", reply.encode())

    def is_cancel(self, payload: bytes, reply: str) -> bool:
        """Tell whether this message is the caller's cancel of this reply."""
        nonce = _CANCEL_DOMAIN + bytes(_COUNTER_BYTES)
        try:
            ChaCha20Poly1305(self.raw).decrypt(nonce, payload[1:], reply.encode())
        except InvalidTag:
            return False
        return payload[0] == CANCEL


class Frame(NamedTuple):
    """One opened frame; `value` is empty for `end`."""

    type: FrameType
    value: JsonObject


class FrameWriter:
    """Seals the frames of one reply, in order.

    Every method raises `InvalidInputError` for a value that JSON cannot carry and `TooLargeError`
    for one that no message carries; the frames before and after it stay valid.
    """

    def __init__(self, reply_key: ReplyKey, reply: str) -> None:
        self._cipher = ChaCha20Poly1305(reply_key.raw)
        self._aad = reply.encode()
        self._counter = 0
        self.finished = False

    def data(self, value: Mapping[str, object]) -> bytes:
        """Return a frame of content."""
        return self._seal("data", value)

    def usage(self, value: Mapping[str, object]) -> bytes:
        """Return a frame of counts."""
        return self._seal("usage", value)

    def error(self, problem: Mapping[str, object]) -> bytes:
        """Return a frame that says, as problem JSON, why the reply ends without its result."""
        return self._seal("error", problem)

    def end(self) -> bytes:
        """Return the last frame, without which a reply counts as cut."""
        frame = self._seal("end", {})
        self.finished = True
        return frame

    def _seal(self, type_: FrameType, value: Mapping[str, object]) -> bytes:
        assert not self.finished, "a frame after the end"
        counter = self._counter.to_bytes(_COUNTER_BYTES)
        plaintext = bytes([_TYPES.index(type_)]) + compact(value)
        if len(plaintext) + _COUNTER_BYTES + _TAG_BYTES > MESSAGE_LIMIT_BYTES:
            raise TooLargeError(f"A reply frame would exceed {MESSAGE_LIMIT_BYTES} bytes.")
        self._counter += 1  # only now: a value that cannot be sent leaves no gap
        sealed = self._cipher.encrypt(_FRAME_DOMAIN + counter, plaintext, self._aad)
        return counter + sealed


class FrameReader:
    """Opens the frames of one reply and sees whatever was done to them on the way."""

    def __init__(self, reply_key: ReplyKey, reply: str) -> None:
        self._cipher = ChaCha20Poly1305(reply_key.raw)
        self._aad = reply.encode()
        self._expected = 0
        #: True once the end frame has come
        self.finished = False

    def feed(self, payload: bytes) -> Frame | None:
        """Return the frame, or None for a refusal that came after the reply had begun.

        A refusal is not sealed, so anyone could send one; once a true frame has come it means
        nothing.

        Raises:
            RefusedError: if the agent refused the request.
            IntegrityError: if a frame is missing, repeated, out of order, altered, or after the
                end.
        """
        if payload == REFUSAL:
            if self._expected == 0:
                raise RefusedError(reason="by_receiver")
            return None
        return self._open(payload)

    def _open(self, payload: bytes) -> Frame:
        if len(payload) <= _COUNTER_BYTES + _TAG_BYTES:
            raise IntegrityError("A reply frame is too short.")
        counter = int.from_bytes(payload[:_COUNTER_BYTES])
        if self.finished or counter != self._expected:
            raise IntegrityError("The reply has a gap, or its frames came out of order.")
        nonce = _FRAME_DOMAIN + payload[:_COUNTER_BYTES]
        try:
            plaintext = self._cipher.decrypt(nonce, payload[_COUNTER_BYTES:], self._aad)
        except InvalidTag:
            raise IntegrityError("A reply frame does not open.") from None
        if plaintext[0] >= len(_TYPES):
            raise IntegrityError("A reply frame has an unknown type.")
        self._expected += 1
        type_ = _TYPES[plaintext[0]]
        self.finished = type_ == "end"
        return Frame(type_, read_object(plaintext[1:]))
