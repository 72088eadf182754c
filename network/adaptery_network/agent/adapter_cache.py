"""Adapters kept on disk under their weight digest, least recently used first to go.

Not here: fetching them or loading them into an engine. Invariants:
- a folder appears under its digest name only by one rename, after its weights were checked
  against that digest, so whatever is found is whole and right;
- an adapter that an engine holds is never evicted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from adaptery.adapter_folders import inspect_adapter
from adaptery.errors import IntegrityError
from adaptery_network.agent.folders import digest_name, folder_bytes

logger = logging.getLogger(__name__)

_STAGING = ".staging"


class AdapterCache:
    """The adapter folders of one agent. Methods block; each takes milliseconds to a second."""

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self._root = root
        self._limit_bytes = limit_bytes
        (root / _STAGING).mkdir(parents=True, exist_ok=True)

    def find(self, weight_digest: str) -> Path | None:
        """Return the folder of an adapter, marked as used now; None when it is not here."""
        folder = self._root / digest_name(weight_digest)
        try:
            os.utime(folder)
        except FileNotFoundError:
            return None
        return folder

    def staging(self, weight_digest: str) -> Path:
        """Return the folder to fetch an adapter into; what an earlier try left is still there."""
        folder = self._root / _STAGING / digest_name(weight_digest)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def admit(self, weight_digest: str, *, keep: Collection[str] = ()) -> Path:
        """Check what lies in the staging folder and put it in its place.

        Raises:
            IntegrityError: the weights are not those of the digest; the staging folder is emptied.
            InvalidInputError: it is not an adapter we may load.
        """
        staging = self.staging(weight_digest)
        try:
            info = inspect_adapter(staging)
            if info.weight_digest != weight_digest:
                raise IntegrityError("A fetched adapter does not have the weights it is named by.")
        except Exception:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        place = self._root / digest_name(weight_digest)
        # A folder already there was checked in the same way; the new one is then superfluous.
        with suppress(FileExistsError, OSError):
            staging.rename(place)
        shutil.rmtree(staging, ignore_errors=True)
        os.utime(place)
        self.evict(keep={*keep, weight_digest})
        return place

    def admit_copy(self, folder: Path, weight_digest: str, *, keep: Collection[str] = ()) -> Path:
        """Copy an adapter trained on this host into the cache.

        Raises:
            IntegrityError: the weights are not those of the digest.
            InvalidInputError: it is not an adapter we may load.
        """
        if (found := self.find(weight_digest)) is not None:
            return found
        staging = self.staging(weight_digest)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            shutil.copytree(folder, staging)
        except OSError:
            self.give_up(weight_digest)
            raise
        return self.admit(weight_digest, keep=keep)

    def give_up(self, weight_digest: str) -> None:
        """Delete what was fetched of an adapter."""
        shutil.rmtree(self._root / _STAGING / digest_name(weight_digest), ignore_errors=True)

    def evict(self, *, keep: Collection[str] = ()) -> list[str]:
        """Delete the least recently used adapters until the rest fits; return their names."""
        kept = {digest_name(digest) for digest in keep}
        folders = [path for path in self._root.iterdir() if path.name != _STAGING]
        sizes = {path: folder_bytes(path) for path in folders}
        excess = sum(sizes.values()) - self._limit_bytes
        gone: list[str] = []
        for path in sorted(folders, key=lambda path: path.stat().st_mtime_ns):
            if excess <= 0:
                break
            if path.name in kept:
                continue
            shutil.rmtree(path, ignore_errors=True)
            excess -= sizes[path]
            gone.append(path.name)
        if gone:
            logger.info("adapters evicted from disk count=%d", len(gone))
        return gone


class KeyedLocks:
    """One lock per key, so that many who want the same thing make it once."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}

    def of(self, key: str) -> asyncio.Lock:
        """Return the lock of a key."""
        return self._locks.setdefault(key, asyncio.Lock())
