"""Published versions of datasets."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from adaptery.client.columns import version_facts
from adaptery.client.connection import Connection, checked, path_of
from adaptery.client.listing import card
from adaptery.client.progress import Report, shown
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.files import rename_atomic, safe_join
from adaptery.ids import new_id
from adaptery.manifests import (
    MANIFEST_NAME,
    Manifest,
    ManifestFile,
    manifest_digest,
    verify_manifest,
)
from adaptery.records import Record
from adaptery.schemas import curation
from adaptery.schemas import datasets as schemas
from adaptery.schemas.common import parse_json
from adaptery.schemas.exports import EXPORT_REPORT_HEADER, ExportReport, ExportSplit
from adaptery.schemas.lineage import (
    DiffCounts,
    DiffItem,
    ProvenanceGraph,
    VersionDiff,
    WithdrawRequest,
)
from adaptery.schemas.mappings import Container, Format
from adaptery.schemas.stores import Access

if TYPE_CHECKING:  # needs cryptography, which the client does without
    from adaptery.signing import VerifyKey

__all__ = ["Difference", "Version"]

#: Where the files lie that were uploaded.
_ORIGINALS = "originals/"
_DIFF_PAGE = 50
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Difference:
    """What changed from one version to another; iterating asks for it a page at a time."""

    before: str
    after: str
    counts: DiffCounts
    _connection: Connection
    _path: str
    _first: VersionDiff

    def __iter__(self) -> Iterator[DiffItem]:
        page = self._first
        while True:
            yield from page.items
            if not page.has_more:
                return
            page = _diff_page(self._connection, self._path, self.before, page.items[-1].id)


class Version:
    """One immutable snapshot of a dataset."""

    def __init__(self, connection: Connection, info: schemas.Version) -> None:
        self._connection = connection
        self.info = info

    @property
    def connection(self) -> Connection:
        """The connection that this came over."""
        return self._connection

    def __repr__(self) -> str:
        return f"<Version {self.name}: {self.info.records} records, {self.info.content_digest}>"

    def _repr_html_(self) -> str:
        return card(f"Version {self.name}", version_facts(self))

    @property
    def id(self) -> str:
        """The opaque id."""
        return self.info.id

    @property
    def name(self) -> str:
        """The pinned name, such as `@demo/visits@1`."""
        return self.info.name

    def records(self) -> Iterator[Record]:
        """Yield the records in their order.

        Raises:
            AdapteryError: what the service raised.
        """
        path = self._path("records")
        for item in self._connection.pages(path, curation.RecordItem, lambda item: item.id):
            yield Record.from_dict(item.record)

    def access(self) -> Access:
        """Return addresses from which the files can be fetched for a while, past the service.

        Check what comes against the manifest.

        Raises:
            ConflictError: if the store hands out none, or the version is restricted.
            AdapteryError: what the service raised.
        """
        return self._connection.get(path_of("api", "versions", self.id, "access"), Access)

    def manifest(self) -> dict[str, Any]:
        """Return the signed manifest, not yet verified; see `adaptery.manifests`.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.send("GET", self._path("manifest")).json()

    def diff(self, before: Version | str) -> Difference:
        """Compare with an earlier version: which records came, went or changed, and how.

        Args:
            before: the earlier version, or its name or id.

        Raises:
            NotFoundError: if there is no such version that you may view.
            AdapteryError: what the service raised.
        """
        name = before.id if isinstance(before, Version) else before
        first = _diff_page(self._connection, self._path("diff"), name, None)
        return Difference(
            name, first.after, first.counts, self._connection, self._path("diff"), first
        )

    def provenance(self) -> ProvenanceGraph:
        """Return what the version came from and what came of it, as far as you may see it.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get(self._path("provenance"), ProvenanceGraph)

    def withdraw(self, reason: str) -> Version:
        """Withdraw the version: nothing new is made from it, and its adapters say so.

        Raises:
            NotAllowedError: if you do not manage its dataset.
            ConflictError: if it is withdrawn already.
            AdapteryError: what the service raised.
        """
        body = WithdrawRequest(reason=reason).model_dump(mode="json")
        answer = self._connection.send("POST", self._path("withdraw"), json=body)
        self.info = checked(answer, schemas.Version)
        return self

    def download(
        self,
        folder: str | Path,
        *,
        originals: bool = False,
        trusted: VerifyKey | None = None,
        progress: bool | Report | None = None,
    ) -> Path:
        """Save the version as a folder, each file checked against the manifest; return it.

        `datasets.load_dataset(folder)` reads it. The files of records of a merged version, which
        its manifest does not name, are those that the service made by its recipe.

        Args:
            folder: where it will be; there must be nothing yet.
            originals: whether to save the uploaded files too; that needs the right to edit.
            trusted: the key that must have signed the manifest; absent: the manifest is believed
                if it is the one that the service names.
            progress: called with the bytes that came and the bytes in all, or whether to show a
                bar; in notebooks there is one if absent.

        Raises:
            InvalidInputError: if something is there already.
            IntegrityError: if a file or the manifest is not what was published.
            AdapteryError: what the service raised.
            OSError: if a file cannot be written.
        """
        target = Path(folder)
        if target.exists():
            raise InvalidInputError(f"{target} exists.", hint="Name a folder that does not.")
        unfinished = target.with_name(f".{target.name}.{new_id('dv')}")
        unfinished.mkdir(parents=True)
        try:
            raw = self._connection.send("GET", self._path("manifest")).content
            manifest = self._checked_manifest(raw, trusted)
            entries = [*manifest.files, *self._made_files(manifest, trusted)]
            wanted = [e for e in entries if originals or not e.path.startswith(_ORIGINALS)]
            with shown(f"Fetching {self.name}", progress, "bytes") as report:
                self._save_all(wanted, unfinished, report)
            (unfinished / MANIFEST_NAME).write_bytes(raw)
            rename_atomic(unfinished, target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return target

    def export(
        self,
        path: str | Path,
        format: Format = "openai",
        container: Container = "jsonl",
        *,
        split: ExportSplit | None = None,
    ) -> ExportReport:
        """Save the version as a file of another format; return what that had no place for.

        The container `folder` makes a folder that `datasets.load_dataset` and LLaMA-Factory load,
        with a file for each split. Any other is one file: of a version with splits it holds them
        together (the report says so), unless you name one.

        Args:
            path: where it will be; there must be nothing yet.
            format: what the rows look like, such as `sharegpt`.
            container: what they are in, such as `parquet`.
            split: only its records; `none`: those that are in no split.

        Raises:
            InvalidInputError: if something is there already, no record can be written so, or none
                is in the split.
            AdapteryError: what the service raised.
            OSError: if it cannot be written.
        """
        target = Path(path)
        if target.exists():
            raise InvalidInputError(f"{target} exists.", hint="Name a path that does not.")
        wanted = {} if split is None else {"split": split}
        query = urlencode({"format": format, "container": container, **wanted})
        unfinished = target.with_name(f".{target.name}.{new_id('dv')}")
        try:
            with (
                self._connection.stream("GET", f"{self._path('export')}?{query}") as response,
                unfinished.open("xb") as stream,
            ):
                report = parse_json(ExportReport, response.headers[EXPORT_REPORT_HEADER])
                for chunk in response.iter_bytes(_CHUNK_BYTES):
                    stream.write(chunk)
            if container == "folder":
                _unpack(unfinished, target)
            else:
                unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        return report

    def _checked_manifest(self, raw: bytes, trusted: VerifyKey | None) -> Manifest:
        manifest = Manifest.from_bytes(raw)
        if manifest_digest(manifest) != self.info.manifest_digest:
            raise IntegrityError("The manifest is not the one that was published.")
        return manifest if trusted is None else verify_manifest(manifest, trusted)

    def _made_files(
        self, manifest: Manifest, trusted: VerifyKey | None
    ) -> tuple[ManifestFile, ...]:
        """Return the files of records that the service made of a merged version."""
        if manifest.sources is None:
            return ()
        query = {"made": "true"}
        answer = self._connection.send("GET", self._path("manifest"), query=query)
        made = Manifest.from_bytes(answer.content)
        if (made.version, made.content_digest) != (manifest.version, manifest.content_digest):
            raise IntegrityError("The records are not those of the version.")
        return made.files if trusted is None else verify_manifest(made, trusted).files

    def _save_all(self, entries: list[ManifestFile], folder: Path, report: Report | None) -> None:
        came, total = 0, sum(entry.content.bytes for entry in entries)
        for entry in entries:
            for size in self._save(entry, folder):
                came += size
                if report is not None:
                    report(came, total)

    def _save(self, entry: ManifestFile, folder: Path) -> Iterator[int]:
        """Save a file and yield how much of it came, piece by piece."""
        path, hasher = safe_join(folder, entry.path), hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        source = self._path("download") + f"?file={quote(entry.path, safe='')}"
        with self._connection.stream("GET", source) as response, path.open("xb") as stream:
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                hasher.update(chunk)
                stream.write(chunk)
                yield len(chunk)
        if f"sha256:{hasher.hexdigest()}" != entry.content.digest:
            raise IntegrityError(f"The file {entry.path} is not the one that was published.")

    def _path(self, *rest: str) -> str:
        return path_of("api", "versions", self.id, *rest)


def _unpack(archive: Path, target: Path) -> None:
    """Make the folder that an archive holds, whatever that is called in it."""
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            inside = member.filename.partition("/")[2]
            path = safe_join(target, inside)
            path.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(member) as source, path.open("xb") as stream:
                shutil.copyfileobj(source, stream)


def _diff_page(connection: Connection, path: str, before: str, after: str | None) -> VersionDiff:
    query: dict[str, str | int] = {"from": before, "limit": _DIFF_PAGE}
    if after is not None:
        query["after"] = after
    return connection.get(path, VersionDiff, query)
