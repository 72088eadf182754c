"""Finds a list of records inside a JSON object, such as `data` of `{"version": 1, "data": [...]}`.

It reads the keys on the way and passes over everything else, so nothing but the keys is in memory.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import BinaryIO, cast

from adaptery.errors import InvalidInputError

__all__ = ["enter_list", "find_list"]

_CHUNK_BYTES = 64 * 1024
#: Bytes of a key with its escapes.
_KEY_LIMIT_BYTES = 4 * 1024
#: How deep, and how far into the file, a list is looked for.
_DEPTH_LIMIT = 4
_SEARCH_BYTES = 64 * 1024**2
_BOM = b"\xef\xbb\xbf"
_SIGN = re.compile(rb"[^ \t\r\n]")
_STRUCTURE = re.compile(rb'[{}\[\]"]')
_SCALAR_END = re.compile(rb"[,}\] \t\r\n]")
_STRING_END = re.compile(rb'["\\]')
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class _CutOffError(ValueError):
    """The text ends, or is no JSON, before what was looked for."""


class _Walker:
    """Goes through JSON text, one value at a time."""

    def __init__(self, stream: BinaryIO, limit_bytes: float = math.inf) -> None:
        self._stream = stream
        self._left = limit_bytes
        self._buffer = self._read()
        self._at = len(_BOM) if self._buffer.startswith(_BOM) else 0  # all before it is passed

    @property
    def rest(self) -> bytes:
        """What is read and not yet passed."""
        return self._buffer[self._at :]

    def peek(self) -> bytes:
        """Return the next byte that is no white space."""
        return self._find(_SIGN)

    def take(self, sign: bytes) -> None:
        """Pass the next byte, which must be this one."""
        if self.peek() != sign:
            raise _CutOffError
        self._at += 1

    def key(self) -> str:
        """Pass a key and the colon behind it; return the key."""
        self.peek()
        while (match := _KEY.match(self._buffer, self._at)) is None:
            if len(self._buffer) - self._at > _KEY_LIMIT_BYTES:
                raise _CutOffError
            self._buffer, self._at = self._buffer[self._at :] + self._read(), 0
        self._at = match.end()
        self.take(b":")
        try:
            return cast("str", json.loads(match[0]))
        except ValueError:
            raise _CutOffError from None

    def pass_value(self) -> None:
        """Pass a whole value."""
        sign = self.peek()
        if sign == b'"':
            self._at += 1
            self._pass_string()
        elif sign in b"{[":
            self.pass_list()
        else:
            self._find(_SCALAR_END)

    def pass_list(self, depth: int = 0) -> None:
        """Pass an object or list; of one whose opening bracket is passed already, at depth 1."""
        while True:
            sign = self._find(_STRUCTURE)
            self._at += 1
            if sign == b'"':
                self._pass_string()
            else:
                depth += 1 if sign in b"{[" else -1
                if depth == 0:
                    return

    def _find(self, pattern: re.Pattern[bytes]) -> bytes:
        """Move to the next byte of a kind; return it."""
        while (match := pattern.search(self._buffer, self._at)) is None:
            self._more()
        self._at = match.start()
        return match[0]

    def _pass_string(self) -> None:
        """Pass the rest of a string with its closing quote."""
        while True:
            sign = self._find(_STRING_END)
            self._at += 1
            if sign == b'"':
                return
            if self._at == len(self._buffer):
                self._more()
            self._at += 1  # what a backslash stands before

    def _more(self) -> None:
        """Read on, once everything is passed."""
        self._buffer, self._at = self._read(), 0

    def _read(self) -> bytes:
        chunk = self._stream.read(_CHUNK_BYTES)
        self._left -= len(chunk)
        if not chunk or self._left < 0:
            raise _CutOffError
        return chunk


def enter_list(stream: BinaryIO, path: str) -> bytes:
    """Move behind the opening bracket of a list; return what was read of it already.

    Args:
        stream: JSON text from its beginning.
        path: the keys on the way, with dots.

    Raises:
        InvalidInputError: if there is no such list.
    """
    try:
        walker = _Walker(stream)
        for key in path.split("."):
            _enter(walker, key)
        walker.take(b"[")
    except _CutOffError:
        raise InvalidInputError(
            "The file has no list of records at the path of the mapping.",
            hint="correct `records` of the mapping, or leave it out",
        ) from None
    return walker.rest


def _enter(walker: _Walker, wanted: str) -> None:
    walker.take(b"{")
    while walker.key() != wanted:
        walker.pass_value()
        walker.take(b",")


def find_list(stream: BinaryIO) -> str | None:
    """Return the dotted path of the first list of objects in a JSON object, if it has one."""
    try:
        return _find(_Walker(stream, _SEARCH_BYTES), ())
    except _CutOffError:
        return None


def _find(walker: _Walker, above: Sequence[str]) -> str | None:
    walker.take(b"{")
    while walker.peek() != b"}":
        key = walker.key()
        path = (*above, key)
        sign = walker.peek()
        if sign == b"[":
            walker.take(b"[")
            if walker.peek() == b"{":
                return ".".join(path)
            walker.pass_list(depth=1)
        elif sign == b"{" and len(path) < _DEPTH_LIMIT:
            if (found := _find(walker, path)) is not None:
                return found
        else:
            walker.pass_value()
        if walker.peek() == b",":
            walker.take(b",")
    walker.take(b"}")
    return None
