"""The cache of differences between versions: computed once for each pair, in a process of its own.

It holds positions and counts, never content. What is here for long unused goes first.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from weakref import WeakValueDictionary

from adaptery_hub.processes import Processes
from adaptery_hub.publishing.diffs import Side, compare
from adaptery_hub.publishing.merged_cache import Unwatched
from adaptery_hub.publishing.published import PublishedVersions

#: Pairs that are kept; one takes nine bytes for each record that differs.
PAIRS_KEPT = 500


class DiffCache:
    """Keeps differences. Blocking: use it in a thread only."""

    def __init__(self, folder: Path, published: PublishedVersions, processes: Processes) -> None:
        self._folder = folder
        self._published = published
        self._processes = processes
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, before: str, after: str) -> Path:
        """Return the file of the differences between the versions under two prefixes.

        Raises:
            IntegrityError: a file of them is not what was signed.
            ConflictError: a version that one of them references is gone.
        """
        name = hashlib.sha256(f"{before}\n{after}".encode()).hexdigest()
        path = self._folder / name
        with self._lock_of(name):
            if path.exists():
                os.utime(path)
                return path
            self._processes.run(compare, Unwatched(), self._side(before), self._side(after), path)
        self._evict()
        return path

    def clear(self) -> None:
        """Drop everything: a version was erased, and no name here says of which."""
        for path in self._folder.iterdir():
            path.unlink(missing_ok=True)

    def _side(self, prefix: str) -> Side:
        content = self._published.content(prefix)
        return Side(self._published.index(prefix), dict(content.shards))

    def _evict(self) -> None:
        paths = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in paths[:-PAIRS_KEPT]:
            path.unlink(missing_ok=True)

    def _lock_of(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())
