"""Bytes of any encoding as UTF-8, and which encoding a file is likely in.

What always holds: nothing is replaced or left out. A byte that the encoding does not have ends the
reading with the number of its line.
"""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO, Protocol

from adaptery.errors import InvalidInputError
from adaptery.schemas.mappings import Encoding

__all__ = ["as_utf8", "guess_encoding"]

_CHUNK_BYTES = 64 * 1024
_BOMS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class _Decoder(Protocol):
    def decode(self, input: bytes, final: bool = ...) -> str: ...


class _Transcoder(io.RawIOBase):
    """Reads bytes of one encoding and gives UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder: _Decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._ready = b""
        self._lines = 1
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - io calls it with one
        while not self._ready and not self._ended:
            self._ready = self._next()
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _next(self) -> bytes:
        chunk = self._stream.read(_CHUNK_BYTES)
        self._ended = not chunk
        try:
            text = self._decoder.decode(chunk, not chunk)
            ready = text.encode("utf-8")
        except UnicodeDecodeError as exc:
            before = exc.object[: exc.start].decode(self._encoding, "ignore").count("\n")
            raise _undecodable(self._lines + before, self._encoding) from None
        except UnicodeEncodeError as exc:  # half a surrogate pair, which utf-16 lets through
            before = exc.object[: exc.start].count("\n")
            raise _undecodable(self._lines + before, self._encoding) from None
        except UnicodeError:  # utf-16 and utf-32 that do not say which byte comes first
            raise _undecodable(self._lines, self._encoding) from None
        self._lines += text.count("\n")
        return ready


def _undecodable(line: int, encoding: str) -> InvalidInputError:
    return InvalidInputError(
        f"Line {line} of the file holds bytes that are not {encoding}.",
        hint="choose another encoding, or save the file as UTF-8",
    )


def as_utf8(stream: BinaryIO, encoding: Encoding | None) -> BinaryIO:
    """Return a stream of UTF-8; UTF-8 itself is passed on, to be checked record by record.

    Raises:
        InvalidInputError: when reading, at a byte that the encoding does not have.
    """
    if encoding is None or encoding == "utf-8":
        return stream
    return io.BufferedReader(_Transcoder(stream, encoding), _CHUNK_BYTES)


def guess_encoding(head: bytes) -> tuple[Encoding, bool, str]:
    """Return the likely encoding of a file, whether there is no doubt, and why.

    Args:
        head: how the file begins; a last character may be cut.
    """
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, True, f"It begins with the mark of {encoding}."
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 8)  # of a few bytes nothing can be said
    if odd > half * 0.3 and even < half * 0.05:
        return "utf-16-le", False, "Every second byte is 0, as in UTF-16."
    if even > half * 0.3 and odd < half * 0.05:
        return "utf-16-be", False, "Every second byte is 0, as in UTF-16."
    decoder: _Decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        decoder.decode(head, False)
        return "utf-8", True, "It is UTF-8."
    except UnicodeDecodeError as exc:
        line = head[: exc.start].count(b"\n") + 1
    if _has_utf8(head):
        return "utf-8", False, f"It mixes encodings: line {line} is not UTF-8, others are."
    try:
        head.decode("cp1252")
        return "cp1252", False, f"Line {line} is not UTF-8; Windows-1252 fits."
    except UnicodeDecodeError:
        return "latin-1", False, f"Line {line} is neither UTF-8 nor Windows-1252."


def _has_utf8(head: bytes) -> bool:
    """Tell whether some characters beyond ASCII are UTF-8, in bytes that are not all of it."""
    return any(
        byte > 127
        for line in head.split(b"\n")
        if not line.isascii() and _decodes(line)
        for byte in line
    )


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
