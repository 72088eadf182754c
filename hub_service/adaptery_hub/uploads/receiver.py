"""Takes the bytes of one request into a file.

A disk that takes no more is told when the body is over: to raise while it comes would cut the
connection without an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError
from adaptery_hub.full_disk import DiskFullError, is_full

#: Bytes gathered before a thread writes them.
WRITE_BUFFER_BYTES = 1024 * 1024

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class OffsetError(ConflictError):
    """The chunk does not begin where the last one ended."""

    def __init__(self, received_bytes: int) -> None:
        super().__init__(
            f"{received_bytes} bytes are received; the next chunk must begin there.",
            hint=f"Send Content-Range: bytes {received_bytes}-…, or begin again at 0.",
        )
        self.received_bytes = received_bytes


@dataclass(frozen=True)
class ByteRange:
    """The part of a file that one request brings."""

    first: int
    last: int
    total: int

    @classmethod
    def parse(cls, text: str) -> ByteRange:
        """Return the value of a `Content-Range` header.

        Raises:
            InvalidInputError: it is not `bytes first-last/total` with first <= last < total.
        """
        match = _CONTENT_RANGE.fullmatch(text.strip())
        found = cls(*map(int, match.groups())) if match else None
        if found is None or not found.first <= found.last < found.total:
            raise InvalidInputError(
                errors=[
                    FieldProblem(
                        "Content-Range", "is not a byte range", "Send bytes 0-99/1000, say."
                    )
                ]
            )
        return found

    @property
    def length(self) -> int:
        """Bytes of this part."""
        return self.last - self.first + 1


class Receiver:
    """Takes the bytes of one request."""

    def __init__(
        self, path: Path, part: ByteRange | None, limit_bytes: int, threads: ThreadPoolExecutor
    ) -> None:
        """Open the file at the place where the part begins.

        Raises:
            DiskFullError: there is no room for a file.
        """
        self.path = path
        self.part = part
        self._limit_bytes = limit_bytes
        self._threads = threads
        self._file = _open(path, part.first if part else 0)
        self._buffer = bytearray()
        self._hasher = hashlib.sha256()
        self._failure: OSError | None = None
        self.received_bytes = 0
        self.closed = False

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; those over the limit are dropped and counted."""
        self.received_bytes += len(chunk)
        if self.too_long or self.closed or self._failure:
            return
        self._buffer += chunk
        if len(self._buffer) >= WRITE_BUFFER_BYTES:
            await self._flush()

    @property
    def too_long(self) -> bool:
        """Whether more came than may come."""
        return self.received_bytes > (self.part.length if self.part else self._limit_bytes)

    @property
    def complete(self) -> bool:
        """Whether the file is whole with this part."""
        return self.part is None or self.part.last + 1 == self.part.total

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return (self.part.first if self.part else 0) + self.received_bytes

    @property
    def digest(self) -> str | None:
        """Digest of the file if this request brought all of it."""
        whole = self.part is None or self.part.first == 0
        return f"sha256:{self._hasher.hexdigest()}" if whole else None

    async def close(self) -> None:
        """Write what is gathered.

        Raises:
            DiskFullError: not all of what came could be written.
        """
        if not self.closed:
            await self._flush()
            self.closed = True
            os.close(self._file)
        if self._failure is not None:
            if self.part is None:
                self.path.unlink(missing_ok=True)
            raise _told(self._failure)

    def abandon(self) -> None:
        """Close after the sender has gone. Only a part of a larger file is kept, to be resumed."""
        if self.closed:
            return
        self.closed = True
        if self.part is None:
            self.path.unlink(missing_ok=True)
        elif self._failure is None:
            self._append(bytes(self._buffer))
        os.close(self._file)

    async def _flush(self) -> None:
        if self._failure is not None:
            return
        data = bytes(self._buffer)
        self._buffer.clear()
        await asyncio.get_running_loop().run_in_executor(self._threads, self._append, data)

    def _append(self, data: bytes) -> None:
        self._hasher.update(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self._failure = error


def _open(path: Path, first: int) -> int:
    # 0600, whatever the umask: nobody else's business. A part continues the file that is there.
    flags = os.O_WRONLY | os.O_CREAT | (0 if first else os.O_TRUNC)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise _told(error) from None
    os.lseek(descriptor, first, os.SEEK_SET)
    return descriptor


def _told(error: OSError) -> Exception:
    return DiskFullError() if is_full(error) else error
