"""Finds a list of records inside a JSON object, such as `data` of `{"version": 1, "data": [...]}`.

It reads the keys on the way and passes over everything else, so nothing but the keys is in memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import BinaryIO, cast

from adaptery.errors import InvalidInputError

__all__ = ["enter_list", "find_list"]

_CHUNK_BYTES = 64 * 1024
#: Bytes of a key with its escapes.
_KEY_LIMIT_BYTES = 4 * 1024
#: How deep a list is looked for.
_DEPTH_LIMIT = 4


class _CutOffError(ValueError):
    """The text ends, or is no JSON, before what was looked for."""


class _Walker:
    """Goes through JSON text, one value at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.rest = b""  # what is read and not yet passed

    def peek(self) -> bytes:
        """Return the next byte that is no white space."""
        while not (rest := self.rest.lstrip()):
            self.rest = self._stream.read(_CHUNK_BYTES)
            if not self.rest:
                raise _CutOffError
        self.rest = rest
        return rest[:1]

    def take(self, sign: bytes) -> None:
        """Pass the next byte, which must be this one."""
        if self.peek() != sign:
            raise _CutOffError
        self.rest = self.rest[1:]

    def key(self) -> str:
        """Pass a key and the colon behind it; return the key."""
        self.take(b'"')
        text = self._until_quote(_KEY_LIMIT_BYTES)
        self.take(b":")
        try:
            return cast("str", json.loads(b'"' + text + b'"'))
        except ValueError:
            raise _CutOffError from None

    def pass_value(self) -> None:
        """Pass a whole value."""
        depth = 0
        while True:
            sign = self.peek()
            if sign == b'"':
                self.rest = self.rest[1:]
                self._until_quote(None)
            elif sign in b"{[":
                depth += 1
                self.rest = self.rest[1:]
            elif sign in b"}]":
                if depth == 0:
                    raise _CutOffError
                depth -= 1
                self.rest = self.rest[1:]
            elif sign in b",:":
                if depth == 0:
                    raise _CutOffError
                self.rest = self.rest[1:]
                continue
            else:
                self._pass_scalar()
            if depth == 0:
                return

    def _pass_scalar(self) -> None:
        while True:
            for i, byte in enumerate(self.rest):
                if byte in b',:{}[]" \t\r\n':
                    self.rest = self.rest[i:]
                    return
            self.rest = self._stream.read(_CHUNK_BYTES)
            if not self.rest:
                raise _CutOffError

    def _until_quote(self, limit: int | None) -> bytes:
        """Pass a string up to and with its closing quote; return it if it is limited."""
        kept, at = b"", 0
        while True:
            quote = self.rest.find(b'"', at)
            escape = self.rest.find(b"\\", at, quote if quote >= 0 else len(self.rest))
            if escape >= 0 and escape + 1 < len(self.rest):
                at = escape + 2
                continue
            if quote >= 0 and escape < 0:
                kept += self.rest[:quote] if limit is not None else b""
                self.rest = self.rest[quote + 1 :]
                return kept
            keep = b"\\" if escape >= 0 else b""
            kept += self.rest[: len(self.rest) - len(keep)] if limit is not None else b""
            if limit is not None and len(kept) > limit:
                raise _CutOffError
            chunk = self._stream.read(_CHUNK_BYTES)
            if not chunk:
                raise _CutOffError
            self.rest, at = keep + chunk, 0


def enter_list(stream: BinaryIO, path: str) -> bytes:
    """Move behind the opening bracket of a list; return what was read of it already.

    Args:
        stream: JSON text from its beginning.
        path: the keys on the way, with dots.

    Raises:
        InvalidInputError: if there is no such list.
    """
    walker = _walker(stream)
    try:
        for key in path.split("."):
            _enter(walker, key)
        walker.take(b"[")
        return walker.rest
    except _CutOffError:
        raise InvalidInputError(
            "The file has no list of records at the path of the mapping.",
            hint="correct `records` of the mapping, or leave it out",
        ) from None


def _enter(walker: _Walker, wanted: str) -> None:
    walker.take(b"{")
    while walker.key() != wanted:
        walker.pass_value()
        walker.take(b",")


def find_list(stream: BinaryIO) -> str | None:
    """Return the dotted path of the first list of objects in a JSON object, if it has one."""
    try:
        return _find(_walker(stream), ())
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
            walker.rest = b"[" + walker.rest
            walker.pass_value()
        elif sign == b"{" and len(path) < _DEPTH_LIMIT:
            if (found := _find(walker, path)) is not None:
                return found
        else:
            walker.pass_value()
        if walker.peek() == b",":
            walker.take(b",")
    walker.take(b"}")
    return None


def _walker(stream: BinaryIO) -> _Walker:
    walker = _Walker(stream)
    walker.rest = stream.read(_CHUNK_BYTES).removeprefix(b"\xef\xbb\xbf")
    return walker
