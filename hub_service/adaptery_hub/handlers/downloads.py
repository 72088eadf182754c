"""What downloads share: files go out in pieces of one size, read in a thread."""

from __future__ import annotations

from typing import BinaryIO

#: Bytes of one written piece; of records, the last one may go beyond.
DOWNLOAD_CHUNK_BYTES = 256 * 1024


def read_chunk(stream: BinaryIO) -> bytes:
    """Return the next piece, empty at the end. Blocking."""
    return stream.read(DOWNLOAD_CHUNK_BYTES)
