"""Datasets of the service: create, upload, look, publish."""

from __future__ import annotations

from collections.abc import Sequence

from adaptery.client.columns import DATASETS, VERSIONS, dataset_facts
from adaptery.client.connection import Connection, checked, path_of
from adaptery.client.curation import CurationCalls
from adaptery.client.listing import Listing, card
from adaptery.client.operations import wait_for
from adaptery.client.progress import Report, shown
from adaptery.client.review import ReviewCalls
from adaptery.client.sharing import Shared
from adaptery.client.uploads import UploadCalls
from adaptery.client.versions import Version
from adaptery.errors import InternalError, InvalidInputError, NotFoundError
from adaptery.ids import is_id
from adaptery.records import Kind, Record
from adaptery.schemas import datasets as schemas
from adaptery.schemas.common import parse
from adaptery.schemas.curation import RecordItem
from adaptery.schemas.lineage import LineageRequest, MergeRequest, MergeSource, RecordLineage
from adaptery.schemas.stores import Erasure

__all__ = ["Dataset", "Datasets", "Version"]

PUBLISH_SECONDS = 3600.0  # how long publish() waits unless told otherwise


class Dataset(ReviewCalls, CurationCalls, UploadCalls, Shared):
    """A dataset and its draft.

    Of the rights, `use` trains on its versions, `view` reads them and the draft, `edit` changes the
    draft, `manage` publishes and shares.
    """

    def __init__(self, connection: Connection, info: schemas.Dataset) -> None:
        self._connection = connection
        self.info = info

    @property
    def connection(self) -> Connection:
        """The connection that this came over."""
        return self._connection

    def __repr__(self) -> str:
        return f"<Dataset {self.full_name}: {self.info.records} records in the draft>"

    def _repr_html_(self) -> str:
        return card(f"Dataset {self.full_name}", dataset_facts(self))

    @property
    def id(self) -> str:
        """The opaque id."""
        return self.info.id

    @property
    def full_name(self) -> str:
        """The name with its owner, such as `@demo/visits`."""
        return self.info.full_name

    def refresh(self) -> Dataset:
        """Ask the service how the dataset is now.

        Raises:
            AdapteryError: what the service raised.
        """
        self.info = self._connection.get(self._path(), schemas.Dataset)
        return self

    def update(self, *, description: str | None = None, sensitivity: str | None = None) -> Dataset:
        """Change the description or the sensitivity.

        Raises:
            AdapteryError: what the service raised.
        """
        changes = {"description": description, "sensitivity": sensitivity}
        body = {name: value for name, value in changes.items() if value is not None}
        answer = self._connection.send("PATCH", self._path(), json=body)
        self.info = checked(answer, schemas.Dataset)
        return self

    def delete(self) -> None:
        """Delete the dataset with its draft.

        Raises:
            AdapteryError: what the service raised.
        """
        self._connection.send("DELETE", self._path())

    # -- versions -----------------------------------------------------------------------------

    def publish(
        self,
        *,
        description: str = "",
        license: str | None = None,
        timeout_seconds: float = PUBLISH_SECONDS,
        progress: bool | Report | None = None,
    ) -> Version:
        """Publish the draft as the next version and wait for it.

        Args:
            description: what its card says; the dataset's own description if absent.
            license: an SPDX identifier in lower case, such as `cc-by-4.0`.
            timeout_seconds: how long to wait; the publication goes on afterwards.
            progress: called with the records done and in all, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            InvalidInputError: if records are not valid.
            VersionExistsError: if a version with this content exists.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        body = {"description": description, "license": license}
        operation = self._connection.post(self._path("versions"), schemas.Operation, body)
        return self._made(operation, f"Publishing {self.full_name}", timeout_seconds, progress)

    def merge(
        self,
        sources: Sequence[Version | str | MergeSource],
        *,
        kind: Kind | None = None,
        description: str = "",
        timeout_seconds: float = PUBLISH_SECONDS,
        progress: bool | Report | None = None,
    ) -> Version:
        """Merge versions into the next version of this dataset and wait for it.

        It references the files of its sources and copies none; a record is in it once, where it
        comes first. The dataset becomes as sensitive as the most sensitive of its sources.

        Args:
            sources: versions, their names or ids; a `MergeSource` says which of the records.
            kind: translate every record to this kind; its report says what that leaves out.
            description: what its card says.
            timeout_seconds: how long to wait; the merge goes on afterwards.
            progress: as for `publish`.

        Raises:
            InvalidInputError: if the kinds do not go together, or nothing is left.
            NotFoundError: if there is no such version that you may view.
            ConflictError: if a source is withdrawn.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        wanted = MergeRequest(
            sources=tuple(map(_source, sources)), kind=kind, description=description
        )
        body = wanted.model_dump(mode="json", exclude_none=True)
        operation = self._connection.post(self._path("merges"), schemas.Operation, body)
        return self._made(operation, f"Merging {self.full_name}", timeout_seconds, progress)

    def versions(self) -> Listing[Version]:
        """Return the versions, oldest first.

        Raises:
            AdapteryError: what the service raised.
        """
        found = self._connection.pages(
            self._path("versions"), schemas.Version, lambda version: version.id
        )
        versions = (Version(self._connection, info) for info in found)
        return Listing(versions, "version", VERSIONS, "publish() makes one.")

    def erase(
        self,
        name: str,
        *,
        timeout_seconds: float = PUBLISH_SECONDS,
        progress: bool | Report | None = None,
    ) -> Erasure:
        """Erase the dataset for good: its key, draft, files and versions. There is no way back.

        Args:
            name: the full name of the dataset, as a confirmation.
            timeout_seconds: how long to wait; it goes on afterwards, see `erasure`.
            progress: as for `publish`.

        Returns:
            What was destroyed, and what remains.

        Raises:
            InvalidInputError: if the name is not that of this dataset; nothing was erased.
            ConflictError: if jobs that learn from it are not over.
            AdapteryError: what the service raised.
        """
        operation = self._connection.post(self._path("erase"), schemas.Operation, {"name": name})
        with shown(f"Erasing {self.full_name}", progress, "steps") as report:
            done = wait_for(
                self._connection, operation, timeout_seconds=timeout_seconds, progress=report
            )
        return parse(Erasure, (done.result or {}).get("erasure"), InternalError)

    def erasure(self) -> Erasure:
        """Return what the last erasing of the dataset came to.

        Raises:
            ConflictError: if it was never erased.
            AdapteryError: what the service raised.
        """
        return self._connection.get(self._path("erase"), Erasure)

    def _made(
        self,
        operation: schemas.Operation,
        title: str,
        timeout_seconds: float,
        progress: bool | Report | None,
    ) -> Version:
        with shown(title, progress, "records") as report:
            done = wait_for(
                self._connection, operation, timeout_seconds=timeout_seconds, progress=report
            )
        info = parse(schemas.Version, (done.result or {}).get("version"), InternalError)
        return Version(self._connection, info)


def _source(given: Version | str | MergeSource) -> MergeSource:
    if isinstance(given, MergeSource):
        return given
    return MergeSource(version=given.id if isinstance(given, Version) else given)


class Datasets:
    """The datasets that the caller may see."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        name: str,
        *,
        tenant: str | None = None,
        sensitivity: str = "internal",
        description: str = "",
    ) -> Dataset:
        """Create a dataset.

        Args:
            name: a-z, 0-9 and . _ - between them.
            tenant: the group that owns it, by slug or Hub name; the caller if absent.
            sensitivity: `open`, `internal` or `restricted`.
            description: for people.

        Raises:
            ConflictError: if the owner has a dataset of that name.
            AdapteryError: what the service raised.
        """
        body = schemas.DatasetCreate(
            name=name, tenant=tenant, sensitivity=sensitivity, description=description
        )
        info = self._connection.post(
            "api/datasets", schemas.Dataset, body.model_dump(exclude_none=True)
        )
        return Dataset(self._connection, info)

    def list(
        self, search: str | None = None, order: schemas.DatasetOrder = "created"
    ) -> Listing[Dataset]:
        """Return the datasets that the caller may see.

        Args:
            search: only datasets whose full name holds this, in whatever case.
            order: `created`, `-changed` (the one that was changed last comes first) or `name`.

        Raises:
            InvalidInputError: if the order is none.
            AdapteryError: what the service raised.
        """
        query = {"order": order} | ({"search": search} if search else {})
        found = self._connection.pages("api/datasets", schemas.Dataset, lambda info: info.id, query)
        datasets = (Dataset(self._connection, info) for info in found)
        return Listing(datasets, "dataset", DATASETS, 'hub.datasets.create("name") makes one.')

    def get(self, name: str) -> Dataset:
        """Return a dataset by id, full name, or name alone where that is clear.

        Raises:
            NotFoundError: if there is none that the caller may see.
            InvalidInputError: if the name alone means more than one.
            AdapteryError: what the service raised.
        """
        if is_id(name, "ds"):
            info = self._connection.get(path_of("api", "datasets", name), schemas.Dataset)
            return Dataset(self._connection, info)
        matches = [found for found in self.list(name) if name in (found.full_name, found.info.name)]
        if not matches:
            raise NotFoundError("There is no such dataset, or it is not yours to see.")
        if len(matches) > 1:
            names = ", ".join(found.full_name for found in matches)
            raise InvalidInputError("This name means several datasets.", hint=f"say which: {names}")
        return matches[0]

    def version(self, name: str) -> Version:
        """Return a version by id or pinned name; by a dataset's name, the newest that is in use.

        Raises:
            NotFoundError: if there is none that the caller may see.
            InvalidInputError: if the name alone means more than one dataset.
            AdapteryError: what the service raised.
        """
        if is_id(name, "dv"):
            info = self._connection.get(path_of("api", "versions", name), schemas.Version)
            return Version(self._connection, info)
        dataset, pinned, number = name.rpartition("@")
        if not (dataset and pinned and number.isdecimal()):
            dataset, number = name, ""
        found = [
            version
            for version in self.get(dataset).versions()
            if (str(version.info.number) == number if number else version.info.state == "completed")
        ]
        if not found:
            raise NotFoundError(
                "There is no such version, or none is in use.", hint="list those of the dataset"
            )
        return found[-1]

    def lineage(self, record: RecordItem | Record | str) -> RecordLineage:
        """Tell which versions hold a record, and which jobs and adapters saw it.

        Args:
            record: as `records` gave it, or any record, or its `record_id`.

        Raises:
            AdapteryError: what the service raised.
        """
        if isinstance(record, Record):
            record = record.record_id()
        record_id = record if isinstance(record, str) else record.record_id
        body = parse(LineageRequest, {"record_id": record_id}).model_dump(mode="json")
        answer = self._connection.send("POST", path_of("api", "records", "lineage"), json=body)
        return checked(answer, RecordLineage)
