"""The port to object stores.

A *folder* is a prefix with the files below it; it is put whole or not at all, and what was put
never changes. Keys are made by us from ids and digests, never from names.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """One stored file."""

    path: str  # relative to the listed prefix, "/" between names
    bytes: int


@dataclass(frozen=True)
class KeptObject:
    """A file that nobody reads any more, and that the store does not give up yet."""

    key: str
    bytes: int
    until: datetime | None  # None: the store does not say, or did not answer


class ObjectStore(Protocol):
    """Immutable files under keys. All methods block: call them from a thread."""

    def put_folder(self, prefix: str, folder: Path) -> None:
        """Move the files of `folder` under `prefix`: all of them become visible at once.

        Raises:
            ConflictError: something is stored under this prefix already.
            OSError: the files could not be written; nothing is visible then.
        """
        ...

    def list(self, prefix: str) -> Sequence[ObjectInfo]:
        """Return the files below `prefix`, sorted by path; empty if there are none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Return the file as a stream from its start.

        Raises:
            NotFoundError: there is no such file.
        """
        ...

    def read(self, key: str) -> bytes:
        """Return the whole of a small file.

        Raises:
            NotFoundError: there is no such file.
        """
        ...

    def local_path(self, key: str) -> Path:
        """Return a path from which the file can be read; a remote store fetches it first.

        Raises:
            NotFoundError: there is no such file.
        """
        ...

    def folder(self, prefix: str) -> AbstractContextManager[Path]:
        """Return a folder with the files below `prefix`, to be read only, while it is needed.

        Raises:
            NotFoundError: there is nothing below it.
        """
        ...

    def remove_folder(self, prefix: str) -> None:
        """Remove what lies under `prefix`; only for folders that no row names (any more).

        It is gone for readers at once. What the store has locked stays there: see `kept`.
        """
        ...

    def kept(self, prefix: str) -> Sequence[KeptObject]:
        """Return what was removed below `prefix` and still lies there, locked."""
        ...

    def recover(self) -> None:
        """Finish what a crash broke off, and remove what a lock kept until now."""
        ...
