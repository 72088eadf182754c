"""Where files of an attempt arrive in chunks, until they are whole and checked.

Chunks may come twice and in any order (they are retried and windowed), so a write says its place
and the digests are checked only when the sender says the folder is whole. Nothing here is visible
to anyone: a checked folder is moved on to the object store by the caller.

Invariants:
- An attempt writes only below `checkpoints/<name>/` and `adapter/` of its own folder.
- No file grows beyond what its sender announced, and no attempt beyond `ATTEMPT_LIMIT_BYTES` and
  `ENTRIES_LIMIT`.
- `check` passes only files whose size and SHA-256 are as announced.

All methods block on the disk: call them in a thread.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adaptery.digests import sha256_file
from adaptery.errors import DigestMismatchError, InvalidInputError, TooLargeError
from adaptery.files import is_plain_relative, safe_join

CHUNK_LIMIT_BYTES = 512 * 1024  # the broker's message limit is 1 MiB
ATTEMPT_LIMIT_BYTES = 16 * 1024**3
FOLDER_FILES_LIMIT = 64
#: Files and folders of one attempt at a time: an adapter, and some checkpoints under way.
ENTRIES_LIMIT = 8 * FOLDER_FILES_LIMIT
_FOLDER = re.compile(r"adapter|checkpoints/[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class AnnouncedFile:
    """One file as its sender describes it; `path` is relative to its folder."""

    path: str
    bytes: int
    digest: str


class StagingArea:
    """The incoming files of all attempts, one folder each."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, attempt_id: str, path: str, offset: int, total_bytes: int, chunk: bytes) -> int:
        """Writes one chunk; returns how far this chunk reaches.

        Raises:
            InvalidInputError: The path is not one that an attempt may write.
            TooLargeError: The chunk, the file or the attempt is too large.
        """
        if len(chunk) > CHUNK_LIMIT_BYTES or total_bytes > ATTEMPT_LIMIT_BYTES:
            raise TooLargeError("The upload is larger than an attempt may send.")
        end = offset + len(chunk)
        if offset < 0 or end > total_bytes:
            raise InvalidInputError("A chunk lies outside the file it belongs to.")
        target = self._target(attempt_id, path)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _write_at(descriptor, chunk, offset)
        finally:
            os.close(descriptor)
        self._refuse_flood(attempt_id)
        return end

    def check(self, attempt_id: str, folder: str, announced: Sequence[AnnouncedFile]) -> Path:
        """Returns the folder once every announced file is whole and nothing else lies in it.

        Raises:
            InvalidInputError: The list is empty, too long or names a bad path.
            DigestMismatchError: A file is missing, extra or not what was announced.
        """
        if not announced or len(announced) > FOLDER_FILES_LIMIT:
            raise InvalidInputError(f"A folder must list 1 to {FOLDER_FILES_LIMIT} files.")
        root = self.folder(attempt_id, folder)
        for file in announced:
            if not is_plain_relative(file.path):
                raise InvalidInputError("A listed file has a path that leaves its folder.")
            _check_file(safe_join(root, file.path), file)
        expected = {file.path for file in announced}
        present = {p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir()}
        if present != expected:
            raise DigestMismatchError("The folder holds files that were not announced.")
        return root

    def folder(self, attempt_id: str, folder: str) -> Path:
        """Returns where a folder of an attempt arrives.

        Raises:
            InvalidInputError: An attempt may not write that folder.
        """
        if not _FOLDER.fullmatch(folder):
            raise InvalidInputError("An attempt may only send adapter/ and checkpoints/<name>/.")
        return self._root / attempt_id / folder

    @contextmanager
    def scratch(self, attempt_id: str) -> Iterator[Path]:
        """Gives an empty folder beside what arrived for an attempt; it goes afterwards."""
        root = self._root / attempt_id
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=root, prefix=".") as folder:
            yield Path(folder)

    def discard(self, attempt_id: str, folder: str | None = None) -> None:
        """Removes what arrived for an attempt, or one folder of it."""
        root = self._root / attempt_id if folder is None else self.folder(attempt_id, folder)
        shutil.rmtree(root, ignore_errors=True)

    def discard_others(self, keep: Sequence[str]) -> None:
        """Removes what arrived for attempts not in `keep`; they ended while we were away."""
        if not self._root.is_dir():
            return
        for folder in self._root.iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _target(self, attempt_id: str, path: str) -> Path:
        parts = path.split("/")
        depth = 1 if parts[0] == "adapter" else 2
        folder, inside = "/".join(parts[:depth]), "/".join(parts[depth:])
        root = self.folder(attempt_id, folder)
        if not inside or not is_plain_relative(inside):
            raise InvalidInputError("The path of an upload leaves its folder.")
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return safe_join(root, inside)

    def _refuse_flood(self, attempt_id: str) -> None:
        entries = list((self._root / attempt_id).rglob("*"))
        size = sum(entry.stat().st_size for entry in entries if entry.is_file())
        if size > ATTEMPT_LIMIT_BYTES or len(entries) > ENTRIES_LIMIT:
            self.discard(attempt_id)
            raise TooLargeError("The upload is larger than an attempt may send.")


def _write_at(descriptor: int, chunk: bytes, offset: int) -> None:
    view = memoryview(chunk)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _check_file(path: Path, file: AnnouncedFile) -> None:
    if not path.is_file() or path.stat().st_size != file.bytes:
        raise DigestMismatchError(f"{file.path} did not arrive whole.")
    if sha256_file(path) != file.digest:
        raise DigestMismatchError(f"{file.path} does not match the digest that was announced.")
