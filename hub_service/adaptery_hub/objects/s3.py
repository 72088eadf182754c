"""An object store behind S3.

S3 has no rename, so a folder is *there* if the database says so (`statements.stored_files`): its
rows are written before its first byte, and turned to `stored` after its last one, in one
transaction. They name the store's own version of each object, so that a reader gets exactly those
bytes, whatever was put under the same key later.

Invariants:

- The publisher puts (`If-None-Match: *`, locked), the reader reads, and only the admin removes.
- What is under way when the process dies is found by its rows and removed by `recover`.
- What an object lock keeps is nobody's any more, and is removed once the lock has ended.
- A file is used only after it was checked against the digest it was put with.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.engine import RowMapping

from adaptery.digests import sha256_file
from adaptery.errors import ConflictError, NotFoundError, UnavailableError
from adaptery.manifests import MANIFEST_NAME
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.database import Database
from adaptery_hub.database.statements import stored_files as statements
from adaptery_hub.database.statements.stored_files import NewFile
from adaptery_hub.objects.bucket import Bucket
from adaptery_hub.objects.file_cache import FileCache
from adaptery_hub.objects.s3_clients import S3Clients, body, translated
from adaptery_hub.objects.store import KeptObject, ObjectInfo

logger = logging.getLogger(__name__)

#: Larger files travel in parts of this size; a part is held in memory.
PART_BYTES = 32 * 1024 * 1024
READ_BYTES = 1024 * 1024
#: Only what is published is locked: checkpoints and adapters are removed in the ordinary way.
LOCKED_PREFIX = "datasets/"


class S3Store:
    """Keeps objects in one bucket. See `ObjectStore`."""

    def __init__(
        self, clients: S3Clients, database: Database, cache: FileCache, clock: Clock = now
    ) -> None:
        self.clients = clients
        self.bucket = Bucket(clients)
        self._config = clients.config
        self._database = database
        self._cache = cache
        self._clock = clock

    def put_folder(self, prefix: str, folder: Path) -> None:
        """See `ObjectStore.put_folder`; `folder` is gone afterwards.

        Raises:
            UnavailableError: the store does not answer.
        """
        self.bucket.ensure()
        paths = {path.relative_to(folder).as_posix(): path for path in _walk(folder)}
        files = [NewFile(name, p.stat().st_size, sha256_file(p)) for name, p in paths.items()]
        self._database.write_now(lambda c: statements.begin(c, prefix, files))
        until = self._lock_until(prefix)
        try:
            version_ids = {
                name: self._put(f"{prefix}/{name}", paths[name], until)
                for name in sorted(paths, key=lambda name: (name == MANIFEST_NAME, name))
            }
        except BaseException:
            self.remove_folder(prefix)
            raise
        self._database.write_now(lambda c: statements.finish(c, prefix, version_ids, until))
        shutil.rmtree(folder)

    def list(self, prefix: str) -> Sequence[ObjectInfo]:
        """See `ObjectStore.list`."""
        prefix = prefix.rstrip("/")
        rows = self._database.read_now(lambda c: statements.list_stored(c, prefix))
        found = [ObjectInfo(_key(row)[len(prefix) + 1 :], row["bytes"]) for row in rows]
        return sorted(found, key=lambda info: info.path)

    def open(self, key: str) -> BinaryIO:
        """See `ObjectStore.open`."""
        return self.local_path(key).open("rb")

    def read(self, key: str) -> bytes:
        """See `ObjectStore.read`."""
        return self.local_path(key).read_bytes()

    def local_path(self, key: str) -> Path:
        """See `ObjectStore.local_path`.

        Raises:
            UnavailableError: the store does not answer.
            IntegrityError: what came is not what was put there.
        """
        row = self._find(key)
        return self._cache.get(row["digest"], row["bytes"], lambda target: self._get(row, target))

    @contextmanager
    def folder(self, prefix: str) -> Iterator[Path]:
        """See `ObjectStore.folder`: made of links into the cache.

        Raises:
            UnavailableError: the store does not answer.
        """
        found = self.list(prefix)
        if not found:
            raise NotFoundError("There is no such folder in the store.")
        with self._cache.folder() as folder:
            for info in found:
                target = folder / info.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(self.local_path(f"{prefix}/{info.path}"))
            yield folder

    def remove_folder(self, prefix: str) -> None:
        """See `ObjectStore.remove_folder`; if the store does not answer, `recover` goes on."""
        rows = self._database.read_now(lambda c: statements.list_stored(c, prefix))
        if not self._database.write_now(lambda c: statements.hide(c, prefix)):
            return
        for row in rows:
            self._cache.drop(row["digest"])
        try:
            kept = self._remove_objects(prefix)
        except UnavailableError as error:
            logs.log(logger, logging.WARNING, "store_removal_put_off", reason=error.message)
            return
        self._database.write_now(lambda c: statements.forget(c, prefix, kept))
        self._sweep()

    def kept(self, prefix: str) -> Sequence[KeptObject]:
        """See `ObjectStore.kept`."""
        rows = self._database.read_now(lambda c: statements.kept(c, prefix))
        return [KeptObject(_key(row), row["bytes"], row["locked_until"]) for row in rows]

    def recover(self) -> None:
        """Remove what a crash left half put or half removed, and what a lock kept until now.

        Raises:
            UnavailableError: the store does not answer; call it again later.
        """
        for prefix in self._database.read_now(lambda c: statements.unfinished(c, self._clock())):
            self._finish_removal(prefix)
        self._sweep()

    def address(self, key: str, seconds: int) -> str:
        """Return an address under which one file can be fetched for a while, without a credential.

        Raises:
            NotFoundError: there is no such file.
        """
        row = self._find(key)
        return self.clients.of("reader").generate_presigned_url(
            "get_object", Params=self._object(row), ExpiresIn=seconds
        )

    def _sweep(self) -> None:
        if self._config.sweeper is not None:
            self._config.sweeper.soon()

    def _finish_removal(self, prefix: str) -> None:
        self._database.write_now(lambda c: statements.hide_unfinished(c, prefix))
        kept = self._remove_objects(prefix)
        self._database.write_now(lambda c: statements.forget(c, prefix, kept))

    def _find(self, key: str) -> RowMapping:
        row = self._database.read_now(lambda c: statements.find(c, key))
        if row is None:
            raise NotFoundError("There is no such file in the store.")
        return row

    def _object(self, row: RowMapping) -> dict[str, str]:
        named = {"Bucket": self._config.bucket, "Key": _key(row)}
        return {**named, "VersionId": row["version_id"]} if row["version_id"] else named

    def _get(self, row: RowMapping, target: BinaryIO) -> None:
        with translated(self._config, "reader"):
            answer = self.clients.of("reader").get_object(**self._object(row))
            taken = 0
            for chunk in answer["Body"].iter_chunks(READ_BYTES):
                taken += len(chunk)
                if taken > row["bytes"]:
                    break  # the digest will tell; the disk is not filled with it
                target.write(chunk)

    def _lock_until(self, prefix: str) -> datetime | None:
        if self._config.lock is None or not prefix.startswith(LOCKED_PREFIX):
            return None
        return self._clock() + timedelta(days=self._config.lock_days)

    def _put(self, key: str, path: Path, until: datetime | None) -> str | None:
        try:
            return self._put_new(key, path, until, {"IfNoneMatch": "*"})
        except ConflictError:
            # No row names this object: it is left of a put that died, and locked. A new version
            # of it is ours, and the row will name that one.
            return self._put_new(key, path, until, {})

    def _put_new(
        self, key: str, path: Path, until: datetime | None, condition: dict[str, str]
    ) -> str | None:
        target = {"Bucket": self._config.bucket, "Key": key}
        lock: dict[str, Any] = {}
        if until is not None and self._config.lock is not None:
            lock["ObjectLockMode"] = self._config.lock.upper()
            lock["ObjectLockRetainUntilDate"] = until
        with translated(self._config, "publisher"), path.open("rb") as stream:
            if path.stat().st_size <= PART_BYTES:
                publisher = self.clients.of("publisher")
                answer = publisher.put_object(**target, **lock, **condition, **body(stream.read()))
            else:
                answer = self._put_parts(target, lock, condition, stream)
        return answer.get("VersionId")

    def _put_parts(
        self,
        target: dict[str, str],
        lock: dict[str, Any],
        condition: dict[str, str],
        stream: BinaryIO,
    ) -> dict[str, Any]:
        publisher = self.clients.of("publisher")
        upload = publisher.create_multipart_upload(**target, **lock, ChecksumAlgorithm="SHA256")
        named = {**target, "UploadId": upload["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            while data := stream.read(PART_BYTES):
                number, sent = len(parts) + 1, body(data)
                answer = publisher.upload_part(**named, PartNumber=number, **sent)
                made = {"ETag": answer["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]}
                parts.append({"PartNumber": number, **made})
            return publisher.complete_multipart_upload(
                **named, **condition, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            self.bucket.abort_upload(target["Key"], upload["UploadId"])
            raise

    def _remove_objects(self, prefix: str) -> dict[str, datetime | None]:
        """Remove every object below a prefix that no row names; return what is locked, by key."""
        rows = self._database.read_now(lambda c: statements.list_stored(c, prefix))
        named = {(_key(row), row["version_id"]) for row in rows}
        kept: dict[str, datetime | None] = {}
        with translated(self._config, "admin"):
            self.bucket.abort_uploads(prefix)
            for found in self.bucket.versions(prefix):
                if (found.key, found.version_id) in named:
                    continue
                if not self.bucket.remove(found):
                    kept[found.key] = self.bucket.locked_until(found)
        return kept


def _key(row: RowMapping) -> str:
    return f"{row['prefix']}/{row['path']}"


def _walk(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
