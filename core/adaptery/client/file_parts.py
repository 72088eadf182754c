"""Sends one file in parts, so that a lost connection costs one part and not the file.

What always holds:
- At most one chunk of the file is in memory.
- After a lost connection the service is asked how much it has, and the rest is sent.
- What the service kept is what was sent: the digests are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from adaptery.client.connection import ANSWER_SECONDS, Connection, checked
from adaptery.digests import sha256_file
from adaptery.errors import (
    AdapteryError,
    ConflictError,
    DeadlineError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
)
from adaptery.schemas.datasets import FileInfo

__all__ = ["UploadProgress", "send_file"]

#: Called with the bytes sent and the bytes in all.
UploadProgress = Callable[[int, int], None]

#: A smaller file is one request. What a lost connection costs at most.
PART_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
#: Pauses before the next try after tries in a row that brought nothing.
PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


def send_file(
    connection: Connection,
    target: str,
    source: Path,
    query: Mapping[str, str],
    report: UploadProgress | None = None,
    *,
    part_bytes: int = PART_BYTES,
    sleep: Callable[[float], None] = time.sleep,
) -> FileInfo:
    """Send a file and return what the service says of it.

    Args:
        connection: the service.
        target: the path of the file there.
        source: the file.
        query: how it is to be received.
        report: told how far it is.
        part_bytes: of one request.
        sleep: how to pause after a lost connection.

    Raises:
        IntegrityError: if the service received other bytes than were sent.
        UnavailableError: if the connection is lost again and again.
        AdapteryError: what the service raised.
    """
    sending = _Sending(connection, target, source, query, report, part_bytes)
    info = sending.run(sleep)
    if info.digest not in (None, sha256_file(source)):
        raise IntegrityError("The service received other bytes than were sent.")
    return info


class _Sending:
    def __init__(
        self,
        connection: Connection,
        target: str,
        source: Path,
        query: Mapping[str, str],
        report: UploadProgress | None,
        part_bytes: int,
    ) -> None:
        self._connection = connection
        self._target = target
        self._source = source
        self._query = query
        self._report = report
        self._part_bytes = part_bytes
        self._size = source.stat().st_size
        self._sent = 0  # that the service has, as far as is known

    def run(self, sleep: Callable[[float], None]) -> FileInfo:
        failures = 0
        while True:
            before = self._sent
            try:
                info = self._send_part()
            except (UnavailableError, DeadlineError, ConflictError) as error:
                if not _is_passing(error):
                    raise
                there, lost = self._look(), error
            else:
                there, lost = (info if self._sent == self._size else None), None
            if there is not None:
                return there
            if lost is None or self._sent > before:
                failures = 0
                continue
            if failures == len(PAUSES_SECONDS):
                raise lost
            sleep(lost.retry_after_seconds or PAUSES_SECONDS[failures])
            failures += 1

    def _send_part(self) -> FileInfo:
        first, end = self._sent, min(self._sent + self._part_bytes, self._size)
        headers = {
            "Content-Length": str(end - first),
            "Content-Type": "application/octet-stream",
        }
        if (first, end) != (0, self._size):
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{self._size}"
        response = self._connection.send(
            "PUT",
            self._target,
            content=self._chunks(first, end),
            query=dict(self._query),
            headers=headers,
            read_seconds=ANSWER_SECONDS,
        )
        info = checked(response, FileInfo)
        self._sent = end
        return info

    def _chunks(self, first: int, end: int) -> Iterator[bytes]:
        with self._source.open("rb") as stream:
            stream.seek(first)
            while first < end and (chunk := stream.read(min(CHUNK_BYTES, end - first))):
                yield chunk
                first += len(chunk)
                if self._report is not None:
                    self._report(first, self._size)

    def _look(self) -> FileInfo | None:
        """Ask how much the service has; return the file if that is all of it."""
        try:
            info = checked(self._connection.send("GET", self._target), FileInfo)
        except NotFoundError:
            self._sent = 0
            return None
        except (UnavailableError, DeadlineError):
            return None
        if info.state == "receiving":
            self._sent = info.bytes if info.bytes < self._size else 0
            return None
        if info.bytes == self._size and info.digest == sha256_file(self._source):
            return info  # only the answer was lost
        self._sent = 0
        return None


def _is_passing(error: AdapteryError) -> bool:
    """Say whether the next try may go better.

    The service may not have noticed yet that the request before is broken off: that is a conflict,
    and it says when to come again.
    """
    return not isinstance(error, ConflictError) or error.retry_after_seconds is not None
