"""Publishing a draft: the operation.

    look up what goes in -> write the folder (in a process of its own) -> sign its manifest
    -> reserve room -> store -> insert the row

Invariants:

- A version exists exactly if its row exists; the row is inserted after its folder is whole and on
  disk. A kill before leaves at most a folder that no row names, which the next start removes.
- One publish at a time works on a dataset (`Operations` sees to it), so its number is known before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.engine import Connection, RowMapping

from adaptery.digests import sha256_file
from adaptery.errors import ConflictError, NotFoundError
from adaptery.files import write_atomic
from adaptery.ids import new_id
from adaptery.manifests import (
    MANIFEST_NAME,
    Manifest,
    ManifestFile,
    manifest_digest,
    sign_manifest,
)
from adaptery.schemas.common import SENSITIVITIES
from adaptery.schemas.datasets import PublishRequest, Version
from adaptery.schemas.stores import StoreLevel
from adaptery.signing import SigningKey
from adaptery.times import now
from adaptery_hub.at_rest import ENCRYPTED, AtRestDesk, SealedFolder
from adaptery_hub.database import Database
from adaptery_hub.database.statements import files, lineage
from adaptery_hub.database.statements import versions as statements
from adaptery_hub.drafts import Draft, Drafts
from adaptery_hub.drafts.sources import DraftSource
from adaptery_hub.objects import ObjectStore
from adaptery_hub.objects.encryption import Readable
from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes
from adaptery_hub.publishing.describing import describe_version, version_folder, version_prefix
from adaptery_hub.publishing.folders import (
    Original,
    Plan,
    Written,
    WrittenFile,
    write_version,
)
from adaptery_hub.publishing.headings import CollatedFact, Heading
from adaptery_hub.publishing.steps import run_step
from adaptery_hub.storage import Reservation, StorageDesk

#: Writes down that a version was made.
Note = Callable[[Connection, Version], None]


class Originals(Protocol):
    """Where the bytes of uploaded files are; see `adaptery_hub.uploads`."""

    def original(self, dataset_id: str, file_id: str) -> Readable:
        """Return the file as it came.

        Raises:
            NotFoundError: it was not kept.
        """
        ...


@dataclass(frozen=True)
class Rules:
    """What the administrator says about versions."""

    shard_records: int
    max_records: int  # of a draft
    #: By sensitivity, the review queues that must hold nothing open.
    blocking: Mapping[str, tuple[str, ...]]
    #: Sensitivities whose versions hold the uploaded files.
    originals: tuple[str, ...] = SENSITIVITIES


class Publisher:
    """Makes versions."""

    def __init__(
        self,
        database: Database,
        drafts: Drafts,
        originals: Originals,
        objects: ObjectStore,
        at_rest: AtRestDesk,
        key: SigningKey,
        staging: Path,
        rules: Rules,
        storage: StorageDesk,
        processes: Processes,
        level: Callable[[], StoreLevel | None] = lambda: None,
        forget: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.forget = forget
        self.level = level
        self.database = database
        self.drafts = drafts
        self.originals = originals
        self.objects = objects
        self.at_rest = at_rest
        self.key = key
        self.staging = staging
        self.rules = rules
        self.storage = storage
        self.processes = processes
        # Whatever lies here is of a publish that died.
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, mode=0o700)

    def work(
        self, dataset: RowMapping, creator_id: str, wanted: PublishRequest, note: Note
    ) -> PublishWork:
        """Return the work of publishing a draft, for `Operations.start`.

        Args:
            dataset: its row of `statements.datasets`.
            creator_id: who publishes.
            wanted: what its card says.
            note: called in the transaction that makes the version, to write it down.
        """
        return PublishWork(self, dataset, creator_id, wanted, note)

    def sweep(self, dataset_id: str) -> None:
        """Remove folders in the store that no version of the dataset names. Blocking."""
        rows = self.database.read_now(lambda c: statements.digests_of(c, dataset_id))
        known = {version_folder(content, split) for content, split in rows}
        stored = {info.path.split("/")[0] for info in self.objects.list(f"datasets/{dataset_id}")}
        for folder in stored - known:
            self.objects.remove_folder(f"datasets/{dataset_id}/{folder}")


class VersionWork:
    """What publishing and merging share: sign, store, insert. See `adaptery_hub.operations.Work`.

    A subclass writes the folder (`write`) and may add to the manifest and the row.
    """

    def __init__(
        self,
        publisher: Publisher,
        dataset: RowMapping | Mapping[str, Any],
        creator_id: str,
        about: PublishRequest,
        note: Note,
    ) -> None:
        self.publisher = publisher
        self.dataset_id: str = dataset["id"]
        self.about = about
        self.version_id = new_id("dv")
        self.folder = publisher.staging / self.version_id
        self.sensitivity: str = dataset["sensitivity"]
        self._dataset = dataset
        self._creator_id = creator_id
        self._note = note
        #: What the one who publishes may know of where records come from; see `source_names`.
        self.names: Callable[[Connection, RowMapping], Mapping[str, str]] = lambda *_: {}
        self._created_at: datetime = now()
        self._room: Reservation | None = None
        self._stored = False
        self._row: dict[str, Any] = {}

    def prepare(self) -> None:
        """Look up what the version comes from."""

    def write(self, progress: Progress, heading: Heading) -> Written:
        """Write the folder, all but its manifest."""
        raise NotImplementedError

    def inherit(self, sensitivities: Sequence[str]) -> None:
        """Let the dataset be as sensitive as the most sensitive of what the version comes from."""
        self.sensitivity = strictest([self.sensitivity, *sensitivities])

    def manifest_fields(self) -> Mapping[str, Any]:
        """Return what this kind of version adds to its manifest."""
        return {}

    def row_fields(self) -> Mapping[str, Any]:
        """Return what this kind of version adds to its row."""
        return {}

    def inserted(self, connection: Connection) -> None:
        """Write what hangs on the row, in its transaction."""

    def run(self, progress: Progress) -> None:
        """Write, sign and store the version's files.

        Raises:
            InvalidInputError: there is nothing to publish.
            RecordError: a record is not valid.
            VersionExistsError: its content is published already.
            StorageQuotaError: its owner has no room for it.
            Cancelled: the operation was cancelled.
        """
        progress.report(0, 0)
        publisher = self.publisher
        self.prepare()
        self.folder.mkdir(mode=0o700)
        number = publisher.database.read_now(lambda c: statements.next_number(c, self.dataset_id))
        written = self.write(progress, self._heading(number))
        publisher.database.read_now(
            lambda c: statements.check_new(
                c,
                self.dataset_id,
                written.content_digest,
                written.split_digest,
                encrypted=self.sensitivity == ENCRYPTED,
            )
        )
        manifest = self.sign(written, number)
        self._room = publisher.storage.reserve_now(self._dataset["tenant_id"], written.bytes)
        progress.report(progress.done, progress.total)  # the last moment to cancel
        prefix = version_prefix(self.dataset_id, written.content_digest, written.split_digest)
        self.store(prefix)
        self._row = self._values(written, manifest)

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Insert the row; from here on the version exists.

        Raises:
            ConflictError: the dataset became more sensitive meanwhile.
        """
        present = lineage.sensitivities(connection, [self.dataset_id])
        if strictest([self.sensitivity, *present]) != self.sensitivity:
            # It was checked by the policy of the lower level, and perhaps not encrypted.
            raise ConflictError("The dataset became more sensitive meanwhile.", hint="Begin again.")
        statements.insert(connection, self._row)
        self.inserted(connection)
        lineage.raise_sensitivity(connection, self.dataset_id, self.sensitivity)
        row = statements.find(connection, self.version_id)
        version = describe_version(row, self.publisher.level(), self.names(connection, row))
        self._note(connection, version)
        self._give_room_back()
        return {"version": version.model_dump(mode="json")}

    def abandon(self) -> None:
        """Remove what lies in the staging folder and, without a row, in the store."""
        self._give_room_back()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._stored:
            # Not simply our folder: if only the answer to a commit was lost, a row names it.
            self.publisher.sweep(self.dataset_id)

    def sign(self, written: Written, number: int) -> Manifest:
        """Write the signed manifest into the folder and return it."""
        sealed = self._seal()
        manifest = sign_manifest(
            Manifest(
                manifest_version=2,
                dataset=self.dataset_id,
                version=self.version_id,
                number=number,
                content_digest=written.content_digest,
                records=written.records,
                splits=written.report.splits,
                split_digest=written.split_digest,
                files=tuple(self._entry(file, sealed) for file in written.files),
                at_rest=sealed and sealed.at_rest,
                created_at=self._created_at,
                **self.manifest_fields(),
            ),
            self.publisher.key,
        )
        write_atomic(self.folder / MANIFEST_NAME, manifest.to_bytes())
        return manifest

    def _seal(self) -> SealedFolder | None:
        """Encrypt the folder if its dataset is restricted."""
        if self.sensitivity != ENCRYPTED:
            return None
        return self.publisher.at_rest.seal_folder(self.dataset_id, self.folder)

    def _entry(self, file: WrittenFile, sealed: SealedFolder | None) -> ManifestFile:
        if sealed is None:
            return ManifestFile(
                path=file.path, bytes=file.bytes, digest=file.digest, name=file.name
            )
        path = self.folder / file.path
        return ManifestFile(
            path=file.path,
            bytes=path.stat().st_size,
            digest=sha256_file(path),
            plain=sealed.plain[file.path],
            name=file.name,
        )

    def store(self, prefix: str) -> None:
        """Move the folder into the object store."""
        objects = self.publisher.objects
        # Checked before: what lies here is left of a dead publish, or in clear and to be replaced.
        self.publisher.forget(prefix)
        objects.remove_folder(prefix)
        self._stored = True
        objects.put_folder(prefix, self.folder)
        self.publisher.forget(prefix)

    def _heading(self, number: int) -> Heading:
        return Heading(
            dataset_id=self.dataset_id,
            version_id=self.version_id,
            dataset_name=f"{self._dataset['prefix']}/{self._dataset['name']}",
            number=number,
            sensitivity=self.sensitivity,
            description=self.about.description or self._dataset["description"],
            license=self.about.license,
            creator_id=self._creator_id,
            created_at=self._created_at,
        )

    def _values(self, written: Written, manifest: Manifest) -> dict[str, Any]:
        return {
            "id": self.version_id,
            "created_at": self._created_at,
            "dataset_id": self.dataset_id,
            "creator_id": self._creator_id,
            "number": manifest.number,
            "content_digest": written.content_digest,
            "manifest_digest": manifest_digest(manifest),
            "counts": {
                "records": written.records,
                "duplicates_dropped": written.report.duplicates_dropped,
                "bytes": written.bytes,
                "encrypted": manifest.at_rest is not None,
            },
            "report": written.report.model_dump(mode="json"),
            "description": self.about.description or None,
            "license": self.about.license,
            "splits": written.report.splits,
            "split_digest": written.split_digest,
            "state": statements.COMPLETED,
            **self.row_fields(),
        }

    def _give_room_back(self) -> None:
        if self._room is not None:
            self._room.release()


def strictest(sensitivities: Sequence[str]) -> str:
    """Return the most careful of some sensitivities."""
    return max(sensitivities, key=SENSITIVITIES.index)


class PublishWork(VersionWork):
    """One publish of a draft."""

    def __init__(
        self,
        publisher: Publisher,
        dataset: RowMapping,
        creator_id: str,
        about: PublishRequest,
        note: Note,
    ) -> None:
        super().__init__(publisher, dataset, creator_id, about, note)
        self._files: list[statements.SourceFile] = []
        self._collated: list[DraftSource] = []

    def prepare(self) -> None:
        """See `VersionWork.prepare`; what was collated counts like what is merged."""
        self._collated = self.publisher.drafts.read_now(
            self.dataset_id, lambda draft: [one for one in draft.sources() if one.records]
        )
        self.inherit(self.publisher.database.read_now(self._sensitivities))

    def write(self, progress: Progress, heading: Heading) -> Written:
        """See `VersionWork.write`."""
        publisher = self.publisher
        rows = publisher.database.read_now(lambda c: files.ready_of(c, self.dataset_id))
        plan = Plan(
            draft=publisher.drafts.path(self.dataset_id),
            max_records=publisher.rules.max_records,
            folder=self.folder,
            shard_records=publisher.rules.shard_records,
            heading=heading,
            originals=tuple(
                found
                for row in rows
                if heading.sensitivity in publisher.rules.originals
                and (found := self._original(row)) is not None
            ),
            file_names={row["id"]: row["name"] for row in rows}
            | {one.id: one.source for one in self._collated},
            collated=tuple(
                CollatedFact(
                    one.id,
                    one.kind,
                    one.source if one.kind == "version" else None,
                    one.digest,
                    one.records,
                )
                for one in self._collated
            ),
            blocking=publisher.rules.blocking.get(heading.sensitivity, ()),
        )
        size = publisher.drafts.read_now(self.dataset_id, Draft.size)
        size += sum(row["bytes"] for row in rows)
        written = run_step(publisher.processes, progress, size, write_version, plan)
        self._files = [
            statements.SourceFile(
                row["id"], row["name"], row["digest"], written.file_records[row["id"]]
            )
            for row in rows
            if row["id"] in written.file_records
        ]
        return written

    def row_fields(self) -> Mapping[str, Any]:
        """See `VersionWork.row_fields`."""
        return {"collated": [_collated(one) for one in self._collated] or None}

    def inserted(self, connection: Connection) -> None:
        """See `VersionWork.inserted`."""
        statements.insert_files(connection, self.version_id, self._files, self._created_at)
        direct = [one.source for one in self._collated if one.kind == "version"]
        every = lineage.with_sources(connection, list(dict.fromkeys(direct)))
        statements.insert_sources(connection, self.version_id, every, self._created_at)

    def _sensitivities(self, connection: Connection) -> list[str]:
        return lineage.sensitivities(connection, [one.source for one in self._collated])

    def _original(self, row: RowMapping) -> Original | None:
        try:
            path = self.publisher.originals.original(self.dataset_id, row["id"])
        except NotFoundError:  # a release before this one kept none
            return None
        return Original(row["id"], row["name"], row["digest"], path)


def _collated(one: DraftSource) -> dict[str, Any]:
    """Return what a row tells of a source; the words of its filter are content."""
    recipe = {
        name: value for name, value in one.recipe.items() if name not in ("dataset", "version")
    }
    if (wanted := recipe.get("filter")) is not None:
        assert isinstance(wanted, dict)
        recipe["filter"] = {name: value for name, value in wanted.items() if name != "search"}
    return {
        "kind": one.kind,
        "source": one.source,
        "digest": one.digest,
        "records": one.records,
        "recipe": recipe,
    }
