"""Pieces: how a sealed reply travels from the service to its caller over HTTP.

    piece = u32 length of the rest, kind(1), payload

Kind 0 is a message of the agent as it came over the broker: a frame, or a refusal. Kind 1 is the
service's own word, problem JSON that says why it relays no further. The caller believes the first
because it opens, and the second because it came over its connection to the service; a reply is
whole only if its `end` frame came, whatever the service says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from adaptery.errors import IntegrityError
from adaptery.sealed.suites import MESSAGE_LIMIT_BYTES

__all__ = ["Piece", "PieceKind", "PieceReader", "write_piece"]

PieceKind: TypeAlias = Literal["frame", "problem"]

_KINDS: tuple[PieceKind, ...] = ("frame", "problem")
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Piece:
    """One piece."""

    kind: PieceKind
    payload: bytes


def write_piece(kind: PieceKind, payload: bytes) -> bytes:
    """Return a piece as it travels."""
    return (1 + len(payload)).to_bytes(_LENGTH_BYTES) + bytes([_KINDS.index(kind)]) + payload


class PieceReader:
    """Reads pieces from bytes that come in any portions."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Yield the pieces that are whole now.

        Raises:
            IntegrityError: what came is not made of pieces.
        """
        self._held += chunk
        while len(self._held) >= _LENGTH_BYTES:
            length = int.from_bytes(self._held[:_LENGTH_BYTES])
            if not 0 < length <= 1 + MESSAGE_LIMIT_BYTES:
                raise IntegrityError("A sealed reply holds a piece of impossible length.")
            if len(self._held) < _LENGTH_BYTES + length:
                return
            piece = bytes(self._held[_LENGTH_BYTES : _LENGTH_BYTES + length])
            del self._held[: _LENGTH_BYTES + length]
            if piece[0] >= len(_KINDS):
                raise IntegrityError("A sealed reply holds a piece of unknown kind.")
            yield Piece(_KINDS[piece[0]], piece[1:])
