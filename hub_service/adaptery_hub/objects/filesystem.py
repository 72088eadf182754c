"""The default object store: a folder of read-only files.

Invariants:

- A folder appears by one rename, after its files are on disk: a reader sees all of it or nothing.
- Files are mode 0444, folders 0555 once they are in place, so that nothing changes them by
  accident. Whoever owns the account can still change them: readers verify digests against the
  signed manifest.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from adaptery.errors import ConflictError, NotFoundError
from adaptery.files import is_plain_relative, rename_atomic, safe_join, sync_folder
from adaptery_hub.objects.store import KeptObject, ObjectInfo

FILE_MODE = 0o444
FOLDER_MODE = 0o555
_WRITABLE_FOLDER_MODE = 0o700


class FilesystemStore:
    """Keeps objects below one folder. See `ObjectStore`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trash = root / ".trash"
        root.mkdir(parents=True, exist_ok=True, mode=_WRITABLE_FOLDER_MODE)
        # What a crash left half removed has no name any more.
        shutil.rmtree(self._trash, ignore_errors=True)
        self._trash.mkdir()

    def put_folder(self, prefix: str, folder: Path) -> None:
        """See `ObjectStore.put_folder`; `folder` must lie on the same file system."""
        target = self._path(prefix)
        if target.exists():
            raise ConflictError("This content is stored already.")
        self._make_parents(target)
        for path in _walk(folder):
            path.chmod(FILE_MODE)
        rename_atomic(folder, target)
        for path in [target, *(path for path in target.rglob("*") if path.is_dir())]:
            path.chmod(FOLDER_MODE)

    def list(self, prefix: str) -> list[ObjectInfo]:
        """See `ObjectStore.list`."""
        root = self._path(prefix)
        if not root.is_dir():
            return []
        return [
            ObjectInfo(path.relative_to(root).as_posix(), path.stat().st_size)
            for path in sorted(_walk(root))
        ]

    def open(self, key: str) -> BinaryIO:
        """See `ObjectStore.open`."""
        return self.local_path(key).open("rb")

    def read(self, key: str) -> bytes:
        """See `ObjectStore.read`."""
        return self.local_path(key).read_bytes()

    def local_path(self, key: str) -> Path:
        """See `ObjectStore.local_path`."""
        path = self._path(key)
        if not path.is_file():
            raise NotFoundError("There is no such file in the store.")
        return path

    @contextmanager
    def folder(self, prefix: str) -> Iterator[Path]:
        """See `ObjectStore.folder`."""
        path = self._path(prefix)
        if not path.is_dir():
            raise NotFoundError("There is no such folder in the store.")
        yield path

    def remove_folder(self, prefix: str) -> None:
        """See `ObjectStore.remove_folder`."""
        target = self._path(prefix)
        if not target.is_dir():
            return
        _make_writable(target)
        doomed = self._trash / secrets.token_hex(8)
        target.replace(doomed)  # gone for readers at once, whatever happens during the removal
        sync_folder(target.parent)
        shutil.rmtree(doomed)

    def kept(self, prefix: str) -> Sequence[KeptObject]:
        """See `ObjectStore.kept`: nothing is locked here."""
        return ()

    def recover(self) -> None:
        """See `ObjectStore.recover`: it was done when this was made."""

    def _path(self, key: str) -> Path:
        key = key.rstrip("/")
        assert is_plain_relative(key) and not key.startswith("."), "keys are made by us"
        return safe_join(self._root, key)

    def _make_parents(self, target: Path) -> None:
        missing = [path for path in target.parents if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=_WRITABLE_FOLDER_MODE, exist_ok=True)
            sync_folder(path.parent)


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _make_writable(folder: Path) -> None:
    for root, _, _ in os.walk(folder):
        Path(root).chmod(_WRITABLE_FOLDER_MODE)
