"""Plain text, cut into records: by paragraphs, or by tokens with an overlap; and `text` rows.

Paragraphs are parted by lines that are empty but for white space. Line breaks inside are kept, as
LF. Tokens are words (what white space parts) unless the caller gives a tokenizer.

What always holds: at most one record, its overlap and one chunk of the file are in memory.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from adaptery.errors import TooLargeError
from adaptery.formats.limits import RECORD_LIMIT_BYTES
from adaptery.formats.rows import Row, RowError, RowReading, text_field
from adaptery.schemas.mappings import Chunks

__all__ = ["Tokenize", "chunks_of", "paragraphs_of", "read_chunk", "read_row", "words_of"]

#: Returns where each token of a text begins and ends, in characters and in order.
Tokenize = Callable[[str], Sequence[tuple[int, int]]]

_BOM = b"\xef\xbb\xbf"
_WORD = re.compile(r"\S+")
_READ_BYTES = 64 * 1024


def words_of(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text are: the tokens where no tokenizer is given."""
    return [match.span() for match in _WORD.finditer(text)]


def chunks_of(
    stream: BinaryIO, chunks: Chunks | None, tokenize: Tokenize | None
) -> Iterator[bytes]:
    """Yield the UTF-8 text of each record.

    Raises:
        TooLargeError: if one is larger than the limit of a record.
    """
    if chunks is None or (chunks.by == "paragraph" and chunks.size == 1):
        yield from paragraphs_of(stream)
    elif chunks.by == "paragraph":
        yield from _windows_of_paragraphs(stream, chunks)
    else:
        yield from _windows_of_tokens(stream, chunks, tokenize or words_of)


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
            raise _too_large("Paragraph", number, "part paragraphs by empty lines")
        if line.strip():
            lines.append(line)
        elif lines:
            yield b"".join(lines)
            number, lines = number + 1, []
        size = size if lines else 0
        line = stream.readline(RECORD_LIMIT_BYTES + 1)
    if lines:
        yield b"".join(lines)


def _windows_of_paragraphs(stream: BinaryIO, chunks: Chunks) -> Iterator[bytes]:
    window, fresh, number = deque[bytes](maxlen=chunks.size), 0, 1
    for paragraph in paragraphs_of(stream):
        window.append(paragraph.strip())
        fresh += 1
        if len(window) == chunks.size and fresh:
            yield _joined(window, number)
            for _ in range(chunks.size - chunks.overlap):
                window.popleft()
            fresh, number = 0, number + 1
    if fresh:
        yield _joined(window, number)


def _joined(window: Sequence[bytes], number: int) -> bytes:
    text = b"\n\n".join(window)
    if len(text) > RECORD_LIMIT_BYTES:
        raise _too_large("Chunk", number, "take fewer paragraphs")
    return text


def _windows_of_tokens(stream: BinaryIO, chunks: Chunks, tokenize: Tokenize) -> Iterator[bytes]:
    """Cut where tokens begin and end; what lies between two tokens of a chunk is kept."""
    text, number, step = "", 1, chunks.size - chunks.overlap
    seen = 0  # tokens at the start of `text` that the chunk before had already
    for piece in _pieces(stream):
        text += piece
        spans = tokenize(text)
        at = 0
        # The last token may go on in the next piece, so one more than the chunk must be there.
        while len(spans) - at > chunks.size:
            yield _chunk(text, spans[at : at + chunks.size], number)
            at, number, seen = at + step, number + 1, chunks.overlap
        text = text[spans[at][0] :] if at and at < len(spans) else text
        if len(text) > RECORD_LIMIT_BYTES:
            raise _too_large("Chunk", number, "take fewer tokens, or break long lines")
    spans = tokenize(text)
    if len(spans) > seen:
        yield _chunk(text, spans, number)


def _chunk(text: str, spans: Sequence[tuple[int, int]], number: int) -> bytes:
    data = text[spans[0][0] : spans[-1][1]].encode("utf-8", "surrogateescape")
    if len(data) > RECORD_LIMIT_BYTES:
        raise _too_large("Chunk", number, "take fewer tokens")
    return data


def _pieces(stream: BinaryIO) -> Iterator[str]:
    # Bytes that are not UTF-8 pass as they are, and cost the chunk that they stand in.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    data = stream.read(_READ_BYTES).removeprefix(_BOM)
    while data:
        yield decoder.decode(data)
        data = stream.read(_READ_BYTES)
    yield decoder.decode(b"", True)


def _too_large(what: str, number: int, hint: str) -> TooLargeError:
    return TooLargeError(
        f"{what} {number} is larger than {RECORD_LIMIT_BYTES // 1024} KiB.", hint=hint
    )


def read_chunk(chunk: bytes) -> RowReading:
    """Return a piece of text as a text record.

    Raises:
        RowError: if it is not UTF-8.
    """
    try:
        text = chunk.decode("utf-8")
    except UnicodeDecodeError:
        raise RowError(
            "", "is not valid UTF-8.", "Save the file as UTF-8, or name its encoding."
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return RowReading({"kind": "text", "text": text})


def read_row(row: Row) -> RowReading:
    """Return a row with a `text` column as a text record.

    Raises:
        RowError: if the column is missing or not text.
    """
    return RowReading({"kind": "text", "text": text_field(row, "text", required=True)})
