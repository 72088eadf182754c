"""Publishing: from a draft to an immutable version.

Validate each record again, drop exact duplicates, write Parquet shards and a report, name them all
in a signed manifest, move the folder into the object store, insert the row last.

Invariants:

- A version exists exactly if its row exists; the row is inserted after its folder is whole and on
  disk. A kill before leaves at most a folder that no row names, which the next start removes.
- The same records give the same content digest, in whatever format they came.
- One publish at a time works on a dataset (`Operations` sees to it).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.engine import Connection

from adaptery.digests import content_digest, sha256_file
from adaptery.errors import FieldProblem, InvalidInputError, RecordError
from adaptery.files import write_atomic
from adaptery.ids import new_id
from adaptery.manifests import (
    MANIFEST_NAME,
    Manifest,
    ManifestFile,
    manifest_digest,
    sign_manifest,
)
from adaptery.records import Record
from adaptery.schemas.datasets import Version, VersionReport
from adaptery.signing import SigningKey
from adaptery.times import now
from adaptery_hub.database import Database
from adaptery_hub.database.statements import files
from adaptery_hub.database.statements import versions as statements
from adaptery_hub.drafts import Draft, DraftRecord, Drafts
from adaptery_hub.objects import ObjectStore
from adaptery_hub.operations import Progress
from adaptery_hub.publishing.describing import describe_version, version_prefix
from adaptery_hub.publishing.reports import Tally, make_report
from adaptery_hub.storage import Reservation, StorageDesk

#: Rows of one Parquet row group: what a reader of one page has to decompress.
ROW_GROUP_RECORDS = 1000
#: Characters of the records of one row group: readers and the writer hold a whole one in memory.
ROW_GROUP_BYTES = 8 * 1024 * 1024
#: Wrong records that one error lists.
PROBLEMS_LISTED = 20
SCHEMA = pa.schema([("record_id", pa.string()), ("kind", pa.string()), ("record", pa.string())])
REPORT_NAME = "report.json"

#: Writes down that a version was made.
Note = Callable[[Connection, Version], None]


class Publisher:
    """Makes versions."""

    def __init__(
        self,
        database: Database,
        drafts: Drafts,
        objects: ObjectStore,
        key: SigningKey,
        staging: Path,
        shard_records: int,
        storage: StorageDesk,
    ) -> None:
        self.database = database
        self.drafts = drafts
        self.objects = objects
        self.key = key
        self.staging = staging
        self.storage = storage
        self.shard_records = shard_records
        # Whatever lies here is of a publish that died.
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, mode=0o700)

    def work(self, dataset_id: str, owner_id: str, creator_id: str, note: Note) -> PublishWork:
        """Return the work of publishing a draft, for `Operations.start`.

        Args:
            dataset_id: the draft.
            owner_id: whose storage it takes.
            creator_id: who publishes.
            note: called in the transaction that makes the version, to write it down.
        """
        return PublishWork(self, dataset_id, owner_id, creator_id, note)

    def sweep(self, dataset_id: str) -> None:
        """Remove folders in the store that no version of the dataset names. Blocking."""
        named = self.database.read_now(lambda c: statements.digests_of(c, dataset_id))
        known = {digest.removeprefix("sha256:") for digest in named}
        stored = {info.path.split("/")[0] for info in self.objects.list(f"datasets/{dataset_id}")}
        for folder in stored - known:
            self.objects.remove_folder(f"datasets/{dataset_id}/{folder}")


@dataclass(frozen=True)
class _Written:
    """What lies in the staging folder."""

    content_digest: str
    report: VersionReport
    records: int
    bytes: int


class PublishWork:
    """One publish. See `adaptery_hub.operations.Work`."""

    def __init__(
        self, publisher: Publisher, dataset_id: str, owner_id: str, creator_id: str, note: Note
    ) -> None:
        self._publisher = publisher
        self._owner_id = owner_id
        self._room: Reservation | None = None
        self._note = note
        self._dataset_id = dataset_id
        self._creator_id = creator_id
        self._version_id = new_id("dv")
        self._created_at: datetime = now()
        self._folder = publisher.staging / self._version_id
        self._stored = False
        self._row: dict[str, Any] = {}

    def run(self, progress: Progress) -> None:
        """Write, sign and store the version's files.

        Raises:
            InvalidInputError: the draft is empty.
            RecordError: a record in it is not valid.
            VersionExistsError: its content is published already.
            StorageQuotaError: its owner has no room for it.
            Cancelled: the operation was cancelled.
        """
        progress.report(0, 0)
        publisher = self._publisher
        self._folder.mkdir(mode=0o700)
        written = publisher.drafts.read_now(
            self._dataset_id, lambda draft: self._write(draft, progress)
        )
        number = publisher.database.read_now(lambda c: self._number(c, written.content_digest))
        manifest = self._manifest(written, number)
        write_atomic(self._folder / MANIFEST_NAME, manifest.to_bytes())
        self._room = publisher.storage.reserve_now(self._owner_id, written.bytes)
        progress.report(progress.done, progress.total)  # the last moment to cancel
        self._store(version_prefix(self._dataset_id, written.content_digest))
        self._row = {
            "id": self._version_id,
            "created_at": self._created_at,
            "dataset_id": self._dataset_id,
            "creator_id": self._creator_id,
            "number": number,
            "content_digest": written.content_digest,
            "manifest_digest": manifest_digest(manifest),
            "counts": {
                "records": written.records,
                "duplicates_dropped": written.report.duplicates_dropped,
                "bytes": written.bytes,
            },
            "report": written.report.model_dump(mode="json"),
            "state": "completed",
        }

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Insert the row; from here on the version exists."""
        version = describe_version(statements.insert(connection, self._row))
        self._note(connection, version)
        self._give_room_back()
        return {"version": version.model_dump(mode="json")}

    def abandon(self) -> None:
        """Remove what lies in the staging folder and, without a row, in the store."""
        self._give_room_back()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._stored:
            # Not simply our folder: if only the answer to a commit was lost, a row names it.
            self._publisher.sweep(self._dataset_id)

    def _give_room_back(self) -> None:
        if self._room is not None:
            self._room.release()

    def _number(self, connection: Connection, digest: str) -> int:
        statements.check_new(connection, self._dataset_id, digest)
        return statements.next_number(connection, self._dataset_id)

    def _store(self, prefix: str) -> None:
        objects = self._publisher.objects
        # Checked above: no row names this content, so what lies here is left of a dead publish.
        objects.remove_folder(prefix)
        self._stored = True
        objects.put_folder(prefix, self._folder)

    def _write(self, draft: Draft, progress: Progress) -> _Written:
        total = draft.count()
        if total == 0:
            raise InvalidInputError("The draft holds no record.", hint="Upload a file first.")
        tally = Tally()
        digest = content_digest(self._write_shards(draft, tally, progress, total))
        report = self._report(draft, tally)
        text = json.dumps(_signed_part(report, tally.records), indent=2) + "\n"
        (self._folder / REPORT_NAME).write_text(text, encoding="utf-8")
        size = sum(path.stat().st_size for path in self._folder.iterdir())
        return _Written(digest, report, tally.records, size)

    def _report(self, draft: Draft, tally: Tally) -> VersionReport:
        names = self._publisher.database.read_now(lambda c: files.names(c, self._dataset_id))
        return make_report(tally, draft.files(), names, draft.count_edits())

    def _write_shards(
        self, draft: Draft, tally: Tally, progress: Progress, total: int
    ) -> Iterator[str]:
        """Write every record to its shard; yield the record ids in order."""
        shards = _Shards(self._folder, self._publisher.shard_records)
        problems: list[FieldProblem] = []
        with shards:
            for done, item in enumerate(draft.unique_records(), start=1):
                record = _checked(item, problems)
                if record is None:
                    continue
                tally.add(item)
                shards.add(item.record_id, record)
                if done % ROW_GROUP_RECORDS == 0:
                    progress.report(done, total)
                yield item.record_id
        if problems:
            raise RecordError(
                "The draft holds records that are not valid; nothing was published.",
                errors=problems[:PROBLEMS_LISTED],
            )
        progress.report(total, total)

    def _manifest(self, written: _Written, number: int) -> Manifest:
        files = tuple(
            ManifestFile(path=path.name, bytes=path.stat().st_size, digest=sha256_file(path))
            for path in sorted(self._folder.iterdir())
        )
        manifest = Manifest(
            dataset=self._dataset_id,
            version=self._version_id,
            number=number,
            content_digest=written.content_digest,
            records=written.records,
            files=files,
            created_at=self._created_at,
        )
        return sign_manifest(manifest, self._publisher.key)


def _signed_part(report: VersionReport, records: int) -> dict[str, object]:
    """Return what of a report is a file of the version: it goes wherever the version goes."""
    return {
        "report_version": 1,
        "records": records,
        "duplicates_dropped": report.duplicates_dropped,
        "kinds": report.kinds,
    }


class _Shards:
    """Writes records to `data-00000.parquet`, `data-00001.parquet`, ... of one folder."""

    def __init__(self, folder: Path, shard_records: int) -> None:
        self._folder = folder
        self._shard_records = shard_records
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[dict[str, str]] = []
        self._rows_length = 0
        self._in_shard = 0
        self._shards = 0

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._end_shard()

    def add(self, record_id: str, record: Record) -> None:
        """Write the next record."""
        text = json.dumps(record.to_dict(), ensure_ascii=False, separators=(",", ":"))
        self._rows.append({"record_id": record_id, "kind": record.kind, "record": text})
        self._rows_length += len(text)
        self._in_shard += 1
        full = len(self._rows) == ROW_GROUP_RECORDS or self._rows_length > ROW_GROUP_BYTES
        if full or self._in_shard == self._shard_records:
            self._flush()
        if self._in_shard == self._shard_records:
            self._end_shard()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            path = self._folder / f"data-{self._shards:05d}.parquet"
            self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
            self._shards += 1
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows, self._rows_length = [], 0

    def _end_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._in_shard = 0


def _checked(item: DraftRecord, problems: list[FieldProblem]) -> Record | None:
    where = f"record {item.position}"
    try:
        record = Record.from_dict(item.record)
    except RecordError as error:
        problem = error.errors[0] if error.errors else FieldProblem("", error.message)
        problems.append(FieldProblem(f"{where}, {problem.where}", problem.reason, problem.remedy))
        return None
    if record.record_id() != item.record_id:
        problems.append(FieldProblem(where, "does not match its id.", "Save it again."))
        return None
    return record
