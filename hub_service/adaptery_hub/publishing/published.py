"""Reads published versions back, verified.

Invariant: no byte of a version is handed out before its manifest's signature and the digests of its
files were checked by this process, with the service's own key.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow.parquet as pq

from adaptery.digests import sha256_file
from adaptery.errors import IntegrityError, NotFoundError
from adaptery.manifests import MANIFEST_NAME, Manifest, read_manifest, verify_manifest
from adaptery.signing import VerifyKey
from adaptery_hub.objects import ObjectStore
from adaptery_hub.paging import take_page

#: Verified versions that are remembered; each is a manifest of a few kilobytes.
REMEMBERED_VERSIONS = 500
SHARD_SUFFIX = ".parquet"


@dataclass(frozen=True)
class PublishedRecord:
    """One record of a version; positions begin at 1."""

    position: int
    record_id: str
    record: dict[str, object]
    length: int  # characters of its JSON


class PublishedVersions:
    """The versions in the object store. Blocking: use it in a thread only."""

    def __init__(self, objects: ObjectStore, trusted: VerifyKey) -> None:
        self._objects = objects
        self._trusted = trusted
        self._verified: dict[str, Manifest] = {}
        self._lock = threading.Lock()

    def manifest(self, prefix: str) -> Manifest:
        """Return the verified manifest of the version under a prefix.

        Raises:
            IntegrityError: the manifest or a file is not what was signed.
        """
        with self._lock:
            known = self._verified.get(prefix)
        if known is not None:
            return known
        manifest = verify_manifest(read_manifest(self._read_manifest(prefix)), self._trusted)
        for entry in manifest.files:
            path = self._path(prefix, entry.path)
            if path.stat().st_size != entry.bytes or sha256_file(path) != entry.digest:
                raise IntegrityError("A file of this version is not the one that was signed.")
        with self._lock:
            if len(self._verified) >= REMEMBERED_VERSIONS:
                self._verified.clear()
            self._verified[prefix] = manifest
        return manifest

    def page(self, prefix: str, after: int, limit: int) -> list[PublishedRecord]:
        """Return up to `limit` records behind position `after`; fewer if they are large."""
        return take_page(self._records(prefix, after), lambda record: record.length, limit)

    def records(self, prefix: str) -> Iterator[PublishedRecord]:
        """Yield every record in order."""
        return self._records(prefix, 0)

    def open(self, prefix: str, name: str) -> tuple[BinaryIO, int]:
        """Return one file of a version, and its size.

        Raises:
            NotFoundError: the manifest names no such file.
        """
        manifest = self.manifest(prefix)
        for entry in manifest.files:
            if entry.path == name:
                return self._objects.open(f"{prefix}/{name}"), entry.bytes
        if name == MANIFEST_NAME:
            data = self._objects.read(f"{prefix}/{name}")
            return self._objects.open(f"{prefix}/{name}"), len(data)
        raise NotFoundError("This version has no such file.", hint="Its manifest names them.")

    def _records(self, prefix: str, after: int) -> Iterator[PublishedRecord]:
        position = 0
        for entry in self.manifest(prefix).files:
            if not entry.path.endswith(SHARD_SUFFIX):
                continue
            with pq.ParquetFile(self._path(prefix, entry.path)) as shard:
                for group in range(shard.num_row_groups):
                    rows = shard.metadata.row_group(group).num_rows
                    if position + rows > after:
                        yield from _rows(shard, group, position, after)
                    position += rows

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


def _rows(
    shard: pq.ParquetFile, group: int, position: int, after: int
) -> Iterator[PublishedRecord]:
    table = shard.read_row_group(group, columns=["record_id", "record"])
    for offset, row in enumerate(table.to_pylist(), start=position + 1):
        if offset > after:
            text = row["record"]
            yield PublishedRecord(offset, row["record_id"], json.loads(text), len(text))
