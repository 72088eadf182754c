"""A spool: lines that are in a file from the moment they are said until the database has them.

A process that is killed leaves its segments behind; the next start reads them. Nothing is synced:
what the operating system had not written when the machine lost its power is gone. It does not know
what a line means.

Invariants:
- A segment is locked by the process that writes it, from before it has its name until it is
  removed; only a segment that nobody has locked is what a crash left.
- Each line begins with a line feed, so that one that was cut does not spoil the next.
- Only the service's own account may read a segment.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from adaptery.ids import new_id

_SUFFIX = ".lines"
_UNNAMED = ".new"


class Segment:
    """One file of a spool, locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def append(self, line: bytes) -> None:
        """Write a line; it survives the end of this process.

        Raises:
            OSError: the disk takes no more.
        """
        os.write(self._descriptor, b"\n" + line)

    def lines(self) -> list[bytes]:
        """Return what is in it."""
        return [line for line in self._path.read_bytes().split(b"\n") if line]

    def remove(self) -> None:
        """Remove the file: the database has its lines."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leave the file to the next start."""
        os.close(self._descriptor)


class Spool:
    """A folder of segments."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def begin(self) -> Segment:
        """Make a new segment.

        Raises:
            OSError: the disk takes no more.
        """
        name = new_id("us")[3:]  # sorts by time
        unnamed = self._folder / f"{name}{_UNNAMED}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        descriptor = os.open(unnamed, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path = unnamed.rename(unnamed.with_suffix(_SUFFIX))
        except OSError:
            os.close(descriptor)
            raise
        return Segment(path, descriptor)

    def left_behind(self) -> Iterator[Segment]:
        """Yield the segments of processes that are gone, oldest first, each now locked by us."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if (segment := _adopt(path)) is not None:
                yield segment
        for path in self._folder.glob(f"*{_UNNAMED}"):  # empty: what it was to hold came later
            if (segment := _adopt(path)) is not None:
                segment.remove()


def _adopt(path: Path) -> Segment | None:
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # its process is alive
            os.close(descriptor)
            return None
        return Segment(path, descriptor)
    return None
