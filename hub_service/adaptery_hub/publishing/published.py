"""Reads published versions back, verified.

A merged version is read from the cache of what it comes to; see `merges`.

Invariant: no byte of a version is handed out before its manifest's signature and the digest of the
file it is in were checked by this process, with the service's own key. Uploaded files are checked
when they are asked for, everything else with the manifest.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from adaptery.digests import sha256_file
from adaptery.errors import AdapteryError, IntegrityError, NotFoundError
from adaptery.manifests import (
    MANIFEST_NAME,
    Manifest,
    ManifestFile,
    manifest_digest,
    verify_manifest,
)
from adaptery.schemas.lineage import Split
from adaptery.signing import VerifyKey
from adaptery_hub.at_rest import AtRestDesk
from adaptery_hub.fair_seats import FairSeats
from adaptery_hub.objects import ObjectStore
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.paging import take_page
from adaptery_hub.publishing import indexes, shards
from adaptery_hub.publishing.folders import ORIGINALS
from adaptery_hub.publishing.merged_cache import MergedCache, Shards

P = ParamSpec("P")
T = TypeVar("T")

#: Verified versions that are remembered; each is a manifest of a few kilobytes.
REMEMBERED_VERSIONS = 500
READ_THREADS = 6


@dataclass(frozen=True)
class PublishedRecord:
    """One record of a version; positions begin at 1."""

    position: int
    record_id: str
    record: dict[str, object]
    length: int  # characters of its JSON
    split: Split | None = None


@dataclass(frozen=True)
class Content:
    """The records of a version as files that can be read here."""

    manifest: Manifest  # names them; of a merged version, that of the cache
    manifest_bytes: bytes
    shards: Shards  # local paths by name


class PublishedVersions:
    """The versions in the object store. Blocking: use it in a thread only."""

    def __init__(
        self,
        objects: ObjectStore,
        trusted: VerifyKey,
        at_rest: AtRestDesk,
        merged: MergedCache,
        cache: Path,
    ) -> None:
        self._objects = objects
        self._trusted = trusted
        self._at_rest = at_rest
        self._merged = merged
        self._cache = cache
        self._manifests: dict[str, Manifest] = {}
        self._verified: dict[str, set[str]] = {}  # the checked files of each of them
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="versions")
        self._seats = FairSeats(READ_THREADS)
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def in_thread(
        self, tenant_id: str, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call one of the functions that read versions, in a thread that is there for that.

        What takes long (a merged version that is put together) keeps nobody but readers waiting,
        and of these only the tenant's own.
        """
        loop, sits = asyncio.get_running_loop(), False

        async def call() -> T:
            nonlocal sits
            async with self._seats.seat(tenant_id):
                sits = True
                return await loop.run_in_executor(self._threads, partial(fn, *args, **kwargs))

        calling = asyncio.create_task(call())
        calling.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(calling)
        except asyncio.CancelledError:
            if not sits:  # else the thread goes on, and its seat is taken until it ends
                calling.cancel()
            raise

    def close(self) -> None:
        """Wait for running calls."""
        self._threads.shutdown(wait=True)

    def manifest(self, prefix: str) -> Manifest:
        """Return the verified manifest of the version under a prefix.

        Raises:
            IntegrityError: the manifest or a file is not what was signed.
        """
        manifest = self._signed(prefix)
        for entry in manifest.files:
            if not _is_original(entry.path):
                self._verify(prefix, entry)
        return manifest

    def content(self, prefix: str) -> Content:
        """Return the records of a version as local files; a merged one is brought into its cache.

        Raises:
            IntegrityError: a file is not what was signed.
            ConflictError: a version that it references is gone.
        """
        manifest = self.manifest(prefix)
        if manifest.sources is None:
            local = {
                entry.path: self._at_rest.readable(manifest, self._path(prefix, entry.path))
                for entry in manifest.files
                if shards.is_shard(entry.path)
            }
            return Content(manifest, manifest.to_bytes(), local)
        return Content(*self._merged.content(manifest, self.content))

    def page(self, prefix: str, after: int, limit: int) -> list[PublishedRecord]:
        """Return up to `limit` records behind position `after`; fewer if they are large."""
        return take_page(self._records(prefix, after), lambda record: record.length, limit)

    def records(self, prefix: str) -> Iterator[PublishedRecord]:
        """Yield every record in order."""
        return self._records(prefix, 0)

    def rows(self, prefix: str) -> Iterator[shards.Row]:
        """Yield every record in order, not yet parsed."""
        local = self.content(prefix).shards
        return shards.read_rows(list(local), local.__getitem__, 0)

    def rows_at(self, prefix: str, positions: Collection[int]) -> dict[int, shards.Row]:
        """Return the records at some positions."""
        local = self.content(prefix).shards
        return shards.read_at(list(local), local.__getitem__, positions)

    def open(self, prefix: str, name: str) -> tuple[BinaryIO, int]:
        """Return one file of a version, and its size.

        Raises:
            NotFoundError: the manifest names no such file.
            IntegrityError: it is not what was signed.
        """
        manifest = self.manifest(prefix)
        for entry in manifest.files:
            if entry.path == name:
                self._verify(prefix, entry)
                path = self._at_rest.readable(manifest, self._path(prefix, name))
                return path.open("rb"), entry.content.bytes
        if manifest.sources is not None and shards.is_shard(name):
            made = self.content(prefix)
            for entry in made.manifest.files:
                if entry.path == name:
                    return made.shards[name].open("rb"), entry.content.bytes
        if name == MANIFEST_NAME:
            data = self._objects.read(f"{prefix}/{name}")
            return self._objects.open(f"{prefix}/{name}"), len(data)
        raise NotFoundError("This version has no such file.", hint="Its manifest names them.")

    def open_shard(self, prefix: str, name: str) -> BinaryIO:
        """Return one file of records; of a merged version, from its cache.

        Raises:
            NotFoundError: there is no such file.
        """
        path = self.content(prefix).shards.get(name)
        if path is None:
            raise NotFoundError("This version has no such file.")
        return path.open("rb")

    def index(self, prefix: str) -> Readable:
        """Return the sorted ids of a version; those of the first release had none.

        Raises:
            IntegrityError: a file is not what was signed.
        """
        manifest = self._signed(prefix)
        entry = next((e for e in manifest.files if e.path == indexes.INDEX_NAME), None)
        if entry is not None:
            self._verify(prefix, entry)
            return self._at_rest.readable(manifest, self._path(prefix, indexes.INDEX_NAME))
        name = manifest_digest(manifest).removeprefix("sha256:")
        built = self._cache / f"{name}.ids"
        if not built.exists():
            unfinished = self._cache / f".{name}.{threading.get_ident()}"
            unfinished.unlink(missing_ok=True)
            indexes.build_index(unfinished, self.rows(prefix))
            unfinished.replace(built)
        return built

    def forget(self, prefix: str) -> None:
        """Drop what is remembered and cached of a version whose files go."""
        manifest = None
        with suppress(AdapteryError):  # its files are gone already
            manifest = self._signed(prefix)
        with self._lock:
            self._manifests.pop(prefix, None)
            self._verified.pop(prefix, None)
        if manifest is not None:
            name = manifest_digest(manifest).removeprefix("sha256:")
            (self._cache / f"{name}.ids").unlink(missing_ok=True)
            self._merged.remove(name)

    def forget_merged(self) -> None:
        """Drop what is cached of every merged version: what one references was erased."""
        self._merged.clear()

    def _records(self, prefix: str, after: int) -> Iterator[PublishedRecord]:
        local = self.content(prefix).shards
        for row in shards.read_rows(list(local), local.__getitem__, after):
            yield PublishedRecord(
                row.position, row.record_id, json.loads(row.text), len(row.text), row.split
            )

    def _signed(self, prefix: str) -> Manifest:
        """Return the manifest, its signature checked; not yet the files that it names."""
        with self._lock:
            known = self._manifests.get(prefix)
        if known is not None:
            return known
        manifest = verify_manifest(Manifest.from_bytes(self._read_manifest(prefix)), self._trusted)
        with self._lock:
            if len(self._manifests) >= REMEMBERED_VERSIONS:
                self._manifests.clear()
                self._verified.clear()
            self._manifests[prefix] = manifest
            self._verified[prefix] = set()
        return manifest

    def _verify(self, prefix: str, entry: ManifestFile) -> None:
        """Check a file, once as long as its manifest is remembered."""
        with self._lock:
            if entry.path in self._verified.get(prefix, ()):
                return
        path = self._path(prefix, entry.path)
        if path.stat().st_size != entry.bytes or sha256_file(path) != entry.digest:
            raise IntegrityError("A file of this version is not the one that was signed.")
        with self._lock:
            if prefix in self._verified:
                self._verified[prefix].add(entry.path)

    def _read_manifest(self, prefix: str) -> bytes:
        try:
            return self._objects.read(f"{prefix}/{MANIFEST_NAME}")
        except NotFoundError:
            raise IntegrityError("The files of this version are missing.") from None

    def _path(self, prefix: str, name: str) -> Path:
        try:
            return self._objects.local_path(f"{prefix}/{name}")
        except NotFoundError:
            raise IntegrityError("A file of this version is missing.") from None


def _is_original(path: str) -> bool:
    return path.startswith(f"{ORIGINALS}/")
