"""Cuts a file into the JSON texts of its records, in one pass and bounded memory.

It finds where each element of a top-level list ends (or each line of JSON Lines) and parses
nothing, so a broken record costs that record and not the file, and no error can quote content.

ijson was tried for this and not taken: its default back end turns half a surrogate pair into `?`
without a word (a digest would then cover other text than the file holds), its errors quote the
input, and it has no bound on one value.

What always holds: at most one record and one chunk are in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from adaptery.errors import InvalidInputError, TooLargeError
from adaptery.formats.limits import RECORD_LIMIT_BYTES
from adaptery.formats.nested_json import enter_list

__all__ = ["elements_of", "whole_object"]

CHUNK_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_INSIDE = re.compile(rb'[{}\[\]"]')
_BETWEEN = re.compile(rb'[{}\[\]",]')


def _too_large(number: int) -> TooLargeError:
    return TooLargeError(
        f"Record {number} is larger than {RECORD_LIMIT_BYTES // 1024} KiB, or a quote or bracket"
        " before it is not closed.",
        hint="split the record, or check the JSON there",
    )


def _cut_off(number: int) -> InvalidInputError:
    return InvalidInputError(
        f"The file ends in the middle of record {number}: it is cut off or a bracket is missing.",
        hint="upload the whole file, or close the list with ]",
    )


class _ListCutter:
    """Finds the ends of the elements of one top-level list."""

    def __init__(self, stream: BinaryIO, buffer: bytearray, *, inner: bool = False) -> None:
        self._stream = stream
        self._inner = inner  # inside an object, whose rest does not matter
        self._buffer = buffer  # starts behind the opening bracket
        self._position = 0  # everything before it has been looked at
        self._depth = 0  # open brackets inside the present element
        self._in_string = False
        self._number = 1  # of the present element

    def elements(self) -> Iterator[bytes]:
        while (cut := self._next_cut()) is not None:
            end, last = cut
            element = bytes(self._buffer[:end]).strip()
            if element or not last or self._number > 1:
                yield element
            self._number += 1
            del self._buffer[: end + 1]
            self._position = 0
            if last:
                if not self._inner:
                    self._check_nothing_follows()
                return
        raise _cut_off(self._number)

    def _next_cut(self) -> tuple[int, bool] | None:
        """Return where the element ends and whether the list does; None at the end of the file."""
        while True:
            cut = self._scan()
            if cut is not None:
                return cut
            if len(self._buffer) > RECORD_LIMIT_BYTES:
                raise _too_large(self._number)
            chunk = self._stream.read(CHUNK_BYTES)
            if not chunk:
                return None
            self._buffer += chunk

    def _scan(self) -> tuple[int, bool] | None:
        while self._position < len(self._buffer):
            if self._in_string:
                if not self._leave_string():
                    return None
                continue
            match = (_INSIDE if self._depth else _BETWEEN).search(self._buffer, self._position)
            if match is None:
                self._position = len(self._buffer)
                return None
            self._position = match.end()
            cut = self._step(match[0], match.start())
            if cut is not None:
                return cut
        return None

    def _step(self, sign: bytes, at: int) -> tuple[int, bool] | None:
        if sign == b'"':
            self._in_string = True
        elif sign in b"{[":
            self._depth += 1
        elif sign == b"," or self._depth == 0:
            return at, sign != b","
        else:
            self._depth -= 1
        return None

    def _leave_string(self) -> bool:
        """Move behind the closing quote; False if it is not in the buffer yet."""
        buffer = self._buffer
        while (quote := buffer.find(b'"', self._position)) >= 0:
            before = quote
            while before > 0 and buffer[before - 1] == ord("\\"):
                before -= 1
            self._position = quote + 1
            if (quote - before) % 2 == 0:  # an odd number of backslashes escapes the quote
                self._in_string = False
                return True
        # No quote so far needs a second look; backslashes at the end are counted with the next one.
        self._position = len(buffer)
        return False

    def _check_nothing_follows(self) -> None:
        rest = self._buffer
        while rest or (rest := self._stream.read(CHUNK_BYTES)):
            if rest.strip():
                raise InvalidInputError(
                    f"Something follows the end of the list, after record {self._number - 1}.",
                    hint="a JSON file holds one list; use JSON Lines for one record a line",
                )
            rest = b""


def _lines(stream: BinaryIO, start: bytes) -> Iterator[bytes]:
    number = 1
    line = start + stream.readline(RECORD_LIMIT_BYTES + 1)
    while line:
        if len(line) > RECORD_LIMIT_BYTES:
            raise _too_large(number)
        if line.strip():
            yield line.strip()
            number += 1
        line = stream.readline(RECORD_LIMIT_BYTES + 1)


def elements_of(stream: BinaryIO, records: str | None = None) -> Iterator[bytes]:
    """Yield the JSON text of each record of a JSON list or of JSON Lines.

    An empty text stands for a comma with nothing before it.

    Args:
        stream: UTF-8.
        records: the dotted path of the list in an object, if the file is one.

    Raises:
        InvalidInputError: if the file is neither, or ends in the middle of a record.
        TooLargeError: if a record is larger than the limit.
    """
    if records is not None:
        rest = enter_list(stream, records)
        yield from _ListCutter(stream, bytearray(rest), inner=True).elements()
        return
    head = b""
    while not head and (chunk := stream.read(1)):
        head = b"" if chunk.isspace() or chunk in _BOM else chunk
    if head == b"[":
        yield from _ListCutter(stream, bytearray()).elements()
    elif head == b"{":
        yield from _lines(stream, head)
    elif head:
        raise InvalidInputError(
            "The file is not JSON: it starts neither with [ nor with {.",
            hint="upload a list of records, or one record a line",
        )


def whole_object(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the file as the JSON text of its only record.

    Raises:
        TooLargeError: if it is larger than the limit of a record.
    """
    text = stream.read(RECORD_LIMIT_BYTES + 1)
    if len(text) > RECORD_LIMIT_BYTES:
        raise _too_large(1)
    yield text.removeprefix(_BOM).strip()
