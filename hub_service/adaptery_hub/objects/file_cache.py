"""Files that were fetched from a store elsewhere, kept here for a while.

Invariants:

- A file is there under its digest only after it was checked against it.
- All of them together take no more than the limit, but for those used within the last minutes.
- What lies here can be fetched again: the folder may be emptied at any time.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from adaptery.digests import is_digest, sha256_file
from adaptery.errors import IntegrityError

#: A path that was handed out may still be opened within this time.
IN_USE_SECONDS = 600.0
FILE_MODE = 0o400


class FileCache:
    """A bounded folder of files, by digest. Threads may share it."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob("*.part"):
            left.unlink()
        for left in folder.glob("*.folder"):
            shutil.rmtree(left)

    def get(self, digest: str, size: int, fetch: Callable[[BinaryIO], None]) -> Path:
        """Return a file, fetched if it is not here.

        Args:
            digest: `sha256:...` of what must come.
            size: bytes of what must come.
            fetch: writes it.

        Raises:
            IntegrityError: something else came.
        """
        assert is_digest(digest), "digests are made by us"
        path = self._folder / digest.removeprefix("sha256:")
        with self._lock:
            turn = self._fetching.setdefault(digest, threading.Lock())
        with turn:  # two readers of one file fetch it once
            if not _touch(path):
                self._fetch(path, digest, size, fetch)
                self._make_room(path)
        with self._lock:
            self._fetching.pop(digest, None)
        return path

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Return an empty folder beside the files, so that it can hold links to them; for now."""
        path = self._folder / f"{secrets.token_hex(8)}.folder"
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path)

    def drop(self, digest: str) -> int:
        """Remove a file if it is here; return how large it was."""
        path = self._folder / digest.removeprefix("sha256:")
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        return size

    def _fetch(self, path: Path, digest: str, size: int, fetch: Callable[[BinaryIO], None]) -> None:
        part = path.with_name(f"{secrets.token_hex(8)}.part")
        try:
            with part.open("xb") as target:
                fetch(target)
            if part.stat().st_size != size or sha256_file(part) != digest:
                raise IntegrityError(
                    "A file in the object store is not the one that was put there."
                )
            part.chmod(FILE_MODE)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, newest: Path) -> None:
        with self._lock:
            others = (path for path in self._folder.iterdir() if path != newest)
            found = [(path, path.stat()) for path in others if not path.suffix]
            total = sum(stat.st_size for _, stat in found) + newest.stat().st_size
            for path, stat in sorted(found, key=lambda entry: entry[1].st_mtime):
                if total <= self._limit_bytes or time.time() - stat.st_mtime < IN_USE_SECONDS:
                    return
                path.unlink(missing_ok=True)
                total -= stat.st_size


def _touch(path: Path) -> bool:
    """Note that a file is used; tell whether it is here."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
