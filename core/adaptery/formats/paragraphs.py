"""Text: paragraphs of a plain text file, or rows with a `text` column.

Paragraphs are parted by lines that are empty but for white space. Line breaks inside are kept, as
LF.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from adaptery.errors import TooLargeError
from adaptery.formats.limits import RECORD_LIMIT_BYTES
from adaptery.formats.rows import Row, RowError, RowReading, refuse_other_kinds, text_field

__all__ = ["paragraphs_of", "read_paragraph", "read_row"]

_BOM = b"\xef\xbb\xbf"


def paragraphs_of(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of each paragraph.

    Raises:
        TooLargeError: if a paragraph is larger than the limit of a record.
    """
    number, size, lines = 1, 0, list[bytes]()
    line = stream.readline(RECORD_LIMIT_BYTES + 1).removeprefix(_BOM)
    while line:
        size += len(line)
        if size > RECORD_LIMIT_BYTES:
            raise TooLargeError(
                f"Paragraph {number} is larger than {RECORD_LIMIT_BYTES // 1024} KiB.",
                hint="part paragraphs by empty lines",
            )
        if line.strip():
            lines.append(line)
        elif lines:
            yield b"".join(lines)
            number, lines = number + 1, []
        size = size if lines else 0
        line = stream.readline(RECORD_LIMIT_BYTES + 1)
    if lines:
        yield b"".join(lines)


def read_paragraph(paragraph: bytes) -> RowReading:
    """Return a paragraph as a text record.

    Raises:
        RowError: if it is not UTF-8.
    """
    try:
        text = paragraph.decode("utf-8")
    except UnicodeDecodeError:
        raise RowError("", "is not valid UTF-8.", "Save the file as UTF-8.") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return RowReading({"kind": "text", "text": text})


def read_row(row: Row) -> RowReading:
    """Return a row with a `text` column as a text record.

    Raises:
        RowError: if the column is missing or not text.
    """
    refuse_other_kinds(row)
    text = text_field(row, "text", required=True)
    return RowReading({"kind": "text", "text": text}, ignored=tuple(row.keys() - {"text"}))
