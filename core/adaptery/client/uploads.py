"""The files of a dataset: upload, look into them, import their records, have them back."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from adaptery.client.columns import FILES
from adaptery.client.connection import PAGE_ITEMS, Connection, path_of
from adaptery.client.file_parts import UploadProgress, send_file
from adaptery.client.listing import Listing
from adaptery.client.operations import wait_for
from adaptery.client.progress import Report, shown
from adaptery.errors import DeadlineError, IntegrityError, InternalError, InvalidInputError
from adaptery.schemas.common import parse
from adaptery.schemas.datasets import FileInfo, Operation
from adaptery.schemas.imports import (
    UNCERTAIN,
    BadRecords,
    FilePreview,
    FileProblem,
    FileSuggestion,
    ImportRequest,
    PreviewRequest,
)
from adaptery.schemas.mappings import Format, Mapping

__all__ = ["UploadCalls"]

IMPORT_SECONDS = 3600.0  # how long an import is waited for unless told otherwise
#: An import that is over so soon gets no bar of its own.
QUICK_SECONDS = 1.0
#: The same folder has the same bytes, whenever it is sent. Source: the earliest date of ZIP.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class UploadCalls(ABC):
    """What a dataset can do with files."""

    _connection: Connection

    @property
    @abstractmethod
    def id(self) -> str:
        """The opaque id of the dataset."""

    def _file_path(self, file: FileInfo | str, *more: str) -> str:
        name = file if isinstance(file, str) else file.id
        return path_of("api", "datasets", self.id, "files", name, *more)

    def upload(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        format: Format | None = None,
        mapping: Mapping | None = None,
        bad_records: BadRecords = "refuse",
        later: bool = False,
        progress: bool | UploadProgress | None = None,
    ) -> FileInfo:
        """Add the records of a file to the draft; the file is never whole in memory.

        It is sent in parts: after a lost connection, only the rest is sent again. A file whose
        records are refused stays in the list of files, with what is wrong in it (`problems`), until
        it is mended and uploaded under the same name, imported without them, or deleted.

        Args:
            path: a JSON, JSON Lines, CSV, TSV, Parquet, Arrow or text file, a zip of them, or a
                folder with a `dataset_info.json`.
            name: the name it gets there; its own if absent.
            format: of its records; told from the file if absent.
            mapping: how to read it, as `suggestion` gives it; the suggested one if absent, where
                that leaves no doubt.
            bad_records: `refuse` a file that has any, or `skip` them.
            later: only send it, to be looked at (`suggestion`, `preview`) before `import_file`.
            progress: called with the bytes sent and the bytes in all, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            InvalidInputError: if the file does not exist, it is not certain how to read it, or its
                records are not valid (by number).
            IntegrityError: if the service received other bytes than were sent.
            AdapteryError: what the service raised.
        """
        with _as_file(Path(path)) as source:
            target = self._file_path(name or source.name)
            query = {"import": "later"}
            with shown(source.name, progress, "bytes") as report:
                info = send_file(self._connection, target, source, query, report)
        if later or info.state == "ready":
            return info
        bar = progress if isinstance(progress, bool) else None
        asked = ImportRequest(mapping=mapping, format=format, bad_records=bad_records)
        return self._imported(info, asked, IMPORT_SECONDS, False if callable(progress) else bar)

    def import_file(
        self,
        file: FileInfo | str,
        mapping: Mapping | None = None,
        *,
        bad_records: BadRecords = "refuse",
        timeout_seconds: float = IMPORT_SECONDS,
        progress: bool | Report | None = None,
    ) -> FileInfo:
        """Add the records of a file that was only sent, or was refused, to the draft.

        Args:
            file: as `files` gives it, or its id or name.
            mapping: how to read it, as `suggestion` gives it; the suggested one if absent, where
                that leaves no doubt.
            bad_records: `refuse` a file that has any, or `skip` them.
            timeout_seconds: how long to wait; the import goes on afterwards.
            progress: called with the records done and in all, or whether to show a bar; in
                notebooks there is one if absent.

        Raises:
            InvalidInputError: if it is not certain how to read it, or records are not valid.
            ConflictError: if its records are in the draft already, or the import was cancelled.
            DeadlineError: if it is still running at the end of the time.
            AdapteryError: what the service raised.
        """
        asked = ImportRequest(mapping=mapping, bad_records=bad_records)
        return self._imported(file, asked, timeout_seconds, progress)

    def suggestion(self, file: FileInfo | str) -> FileSuggestion:
        """Return how a file would be read, and its first records.

        Raises:
            InvalidInputError: if it cannot be read at all.
            AdapteryError: what the service raised.
        """
        return self._connection.get(self._file_path(file, "suggestion"), FileSuggestion)

    def preview(self, file: FileInfo | str, mapping: Mapping) -> FilePreview:
        """Return the first records of a file as a mapping has them.

        Raises:
            InvalidInputError: if it cannot be read so.
            AdapteryError: what the service raised.
        """
        body = PreviewRequest(mapping=mapping).model_dump(mode="json", exclude_defaults=True)
        target = self._file_path(file, "preview")
        return self._connection.post(target, FilePreview, body, repeatable=True)

    def problems(self, file: FileInfo | str) -> Iterator[FileProblem]:
        """Yield the bad records of a file: where each is and why.

        Raises:
            AdapteryError: what the service raised.
        """
        path, asked = self._file_path(file, "problems"), {"limit": PAGE_ITEMS}
        return self._connection.pages(path, FileProblem, lambda problem: problem.id, asked)

    def download_file(self, file: FileInfo | str, path: str | Path) -> Path:
        """Write a file as it came, byte for byte; return where.

        Raises:
            NotFoundError: if there is no such file, or its bytes are not kept.
            IntegrityError: if other bytes came than were uploaded.
            AdapteryError: what the service raised.
        """
        target, hasher = Path(path), hashlib.sha256()
        info = self._connection.get(self._file_path(file), FileInfo)
        unfinished = target.with_name(f".{target.name}.{info.id}.part")
        try:
            with (
                self._connection.stream("GET", self._file_path(info, "content")) as response,
                unfinished.open("wb") as stream,
            ):
                for chunk in response.iter_bytes():
                    hasher.update(chunk)
                    stream.write(chunk)
            if f"sha256:{hasher.hexdigest()}" != info.digest:
                raise IntegrityError("Other bytes came than were uploaded.", hint="try again")
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        return target

    def forget_original(self, file: FileInfo | str) -> None:
        """Have the bytes of a file removed, as they came; its records stay in the draft.

        What an edit took out of a record is still in the file that it came from. Versions that were
        published before keep theirs.

        Raises:
            ConflictError: if its records are not in the draft; then delete the file.
            AdapteryError: what the service raised.
        """
        self._connection.send("DELETE", self._file_path(file, "content"))

    def files(self) -> Listing[FileInfo]:
        """Return the files that were uploaded into the draft.

        Raises:
            AdapteryError: what the service raised.
        """
        path = path_of("api", "datasets", self.id, "files")
        found = self._connection.pages(path, FileInfo, lambda file: file.id)
        return Listing(found, "file", FILES, 'upload("file") adds one.')

    def delete_file(self, file: FileInfo | str) -> None:
        """Remove a file (by id or name) and its records from the draft.

        Raises:
            AdapteryError: what the service raised.
        """
        self._connection.send("DELETE", self._file_path(file))

    def _imported(
        self,
        file: FileInfo | str,
        asked: ImportRequest,
        timeout_seconds: float,
        progress: bool | Report | None,
    ) -> FileInfo:
        connection = self._connection
        body = asked.model_dump(mode="json", exclude_defaults=True)
        operation = connection.post(self._file_path(file, "import"), Operation, body)
        quick = min(QUICK_SECONDS, timeout_seconds)
        try:
            done = wait_for(connection, operation, timeout_seconds=quick)
        except DeadlineError:
            name = file if isinstance(file, str) else file.name
            rest = timeout_seconds - quick
            with shown(f"Importing {name}", progress, "records") as report:
                done = wait_for(connection, operation, timeout_seconds=rest, progress=report)
        except InvalidInputError as error:
            raise _in_python(error) from None
        return parse(FileInfo, (done.result or {}).get("file"), InternalError)


def _in_python(error: InvalidInputError) -> InvalidInputError:
    """Return the refusal of a file with what to do about it here."""
    if not error.message.startswith(UNCERTAIN):
        return error
    hint = "look at suggestion(file); then import_file(file, suggestion.mapping), or one of yours"
    return InvalidInputError(error.message, hint=hint)


@contextmanager
def _as_file(path: Path) -> Generator[Path]:
    """Give a file as it is, or a folder as a zip archive of its files."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise InvalidInputError("The file does not exist.", hint="check the path")
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / f"{path.resolve().name}.zip"
        _pack(path, packed)
        yield packed


def _pack(folder: Path, packed: Path) -> None:
    files = sorted(file for file in folder.rglob("*") if _is_sent(file.relative_to(folder), file))
    if not files:
        raise InvalidInputError("The folder holds no file.", hint="check the path")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(1024 * 1024):
                    target.write(chunk)


def _is_sent(name: Path, file: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.parts)
    return not hidden and not file.is_symlink() and file.is_file()
