"""Uploads: bytes arrive in a file beside the draft, then become records in one transaction.

`Receiver` takes chunks; `Uploads` decides where they go, what a finished file is and what is left
of a failed one. Rights are checked by the caller.

Invariants:

- A file is never whole in memory; writes happen in a thread, and the sender waits for them.
- An upload that fails (wrong data, too large, cut off without `Content-Range`) leaves no bytes, no
  row and no record. One cut off with `Content-Range` leaves its bytes until it is resumed or
  `upload_keep_hours` have passed.
- At most one request at a time receives a given file.
- A kill during an import leaves a row `importing`; the next start removes it with its records.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from sqlalchemy.engine import RowMapping

from adaptery.digests import sha256_file
from adaptery.errors import (
    AdapteryError,
    ConflictError,
    FieldProblem,
    InvalidInputError,
    NotFoundError,
    RecordError,
    TooLargeError,
)
from adaptery.formats import FORMATS, Format, detect_format, read_records
from adaptery.records import Record
from adaptery_hub.database import Database
from adaptery_hub.database.statements import files as statements
from adaptery_hub.drafts import Drafts
from adaptery_hub.metrics import Metrics

T = TypeVar("T")

#: Wrong records that one error lists.
RECORD_PROBLEMS_LISTED = 20
#: Bytes gathered before a thread writes them.
WRITE_BUFFER_BYTES = 1024 * 1024
UPLOAD_THREADS = 2

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class OffsetError(ConflictError):
    """The chunk does not begin where the last one ended."""

    def __init__(self, received_bytes: int) -> None:
        super().__init__(
            f"{received_bytes} bytes are received; the next chunk must begin there.",
            hint=f"Send Content-Range: bytes {received_bytes}-…, or begin again at 0.",
        )
        self.received_bytes = received_bytes


@dataclass(frozen=True)
class ByteRange:
    """The part of a file that one request brings."""

    first: int
    last: int
    total: int

    @classmethod
    def parse(cls, text: str) -> ByteRange:
        """Return the value of a `Content-Range` header.

        Raises:
            InvalidInputError: it is not `bytes first-last/total` with first <= last < total.
        """
        match = _CONTENT_RANGE.fullmatch(text.strip())
        found = cls(*map(int, match.groups())) if match else None
        if found is None or not found.first <= found.last < found.total:
            raise InvalidInputError(
                errors=[
                    FieldProblem(
                        "Content-Range", "is not a byte range", "Send bytes 0-99/1000, say."
                    )
                ]
            )
        return found

    @property
    def length(self) -> int:
        """Bytes of this part."""
        return self.last - self.first + 1


class Receiver:
    """Takes the bytes of one request."""

    def __init__(
        self, path: Path, part: ByteRange | None, limit_bytes: int, threads: ThreadPoolExecutor
    ) -> None:
        self.path = path
        self.part = part
        self._limit_bytes = limit_bytes
        self._threads = threads
        self._file: BinaryIO = path.open("r+b" if part and part.first else "wb")
        self._file.seek(part.first if part else 0)
        self._buffer = bytearray()
        self._hasher = hashlib.sha256()
        self.received_bytes = 0
        self.closed = False

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; those over the limit are dropped and counted."""
        self.received_bytes += len(chunk)
        if self.too_long or self.closed:
            return
        self._buffer += chunk
        if len(self._buffer) >= WRITE_BUFFER_BYTES:
            await self._flush()

    @property
    def too_long(self) -> bool:
        """Whether more came than may come."""
        return self.received_bytes > (self.part.length if self.part else self._limit_bytes)

    @property
    def complete(self) -> bool:
        """Whether the file is whole with this part."""
        return self.part is None or self.part.last + 1 == self.part.total

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return (self.part.first if self.part else 0) + self.received_bytes

    @property
    def digest(self) -> str | None:
        """Digest of the file if this request brought all of it."""
        whole = self.part is None or self.part.first == 0
        return f"sha256:{self._hasher.hexdigest()}" if whole else None

    async def close(self) -> None:
        """Write what is gathered."""
        if not self.closed:
            await self._flush()
            self.closed = True
            self._file.close()

    def abandon(self) -> None:
        """Close after the sender has gone. Only a part of a larger file is kept, to be resumed."""
        if self.closed:
            return
        self.closed = True
        if self.part is None:
            self._file.close()
            self.path.unlink(missing_ok=True)
            return
        self._file.write(self._buffer)
        self._file.close()

    async def _flush(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        await asyncio.get_running_loop().run_in_executor(self._threads, self._append, data)

    def _append(self, data: bytes) -> None:
        self._hasher.update(data)
        self._file.write(data)


class Uploads:
    """Receives files and imports them into drafts."""

    def __init__(
        self, folder: Path, database: Database, drafts: Drafts, metrics: Metrics, max_bytes: int
    ) -> None:
        self._folder = folder
        self._database = database
        self._drafts = drafts
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="upload")
        self._active: set[Path] = set()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def announced_bytes(self, content_range: str | None, content_length: int) -> int:
        """Return how much a request brings, and those that complete its file will bring.

        Raises:
            TooLargeError: the file is announced larger than the limit.
            InvalidInputError: the range is malformed.
        """
        part = ByteRange.parse(content_range) if content_range else None
        if (part.total if part else content_length) > self._max_bytes:
            raise self._too_large()
        if part is not None:
            return part.total - part.first
        return content_length or self._max_bytes  # it does not say: as much as may come

    async def begin(
        self, dataset_id: str, name: str, content_range: str | None, content_length: int
    ) -> Receiver:
        """Open the place for the bytes of one request.

        Raises:
            TooLargeError: the file is announced larger than the limit.
            OffsetError: the part does not begin where the last one ended.
            ConflictError: another request is receiving this file.
            InvalidInputError: the range is malformed.
        """
        part = ByteRange.parse(content_range) if content_range else None
        if (part.total if part else content_length) > self._max_bytes:
            raise self._too_large()
        path = self._part_path(dataset_id, name)
        if path in self._active:
            raise ConflictError("Another request is uploading this file.", retry_after_seconds=5)
        if part and part.first:
            received = path.stat().st_size if path.exists() else 0
            if part.first != received:
                raise OffsetError(received)
        self._active.add(path)
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            return Receiver(path, part, self._max_bytes, self._threads)
        except BaseException:
            self._active.discard(path)
            raise

    def release(self, receiver: Receiver) -> None:
        """Give the file free for other requests; called once for each `begin`."""
        receiver.abandon()
        self._active.discard(receiver.path)

    def received_bytes(self, dataset_id: str, name: str) -> int:
        """Return how much of an unfinished file is here."""
        path = self._part_path(dataset_id, name)
        return path.stat().st_size if path.exists() else 0

    async def finish(
        self, receiver: Receiver, dataset_id: str, name: str, creator_id: str, format: Format | None
    ) -> tuple[RowMapping, bool]:
        """Keep the part, or import the file if it is whole.

        Returns:
            The row of the file, and whether this call made it ready.

        Raises:
            TooLargeError: more came than was announced or allowed.
            ConflictError: a file of this name with other content is there.
            InvalidInputError: the file cannot be read, or a record in it is wrong.
        """
        await receiver.close()
        if not receiver.path.exists():
            raise NotFoundError("The dataset was deleted meanwhile.")
        self._metrics.upload_bytes.inc(receiver.received_bytes)
        if not receiver.complete and not receiver.too_long:
            row = await self._database.write(
                lambda c: statements.receiving(c, dataset_id, name, creator_id, receiver.size)
            )
            return row, False
        try:
            return await self._take(receiver, dataset_id, name, creator_id, format)
        except BaseException:
            await self._database.write(lambda c: statements.discard(c, dataset_id, name))
            raise
        finally:
            receiver.path.unlink(missing_ok=True)

    async def remove(self, dataset_id: str) -> None:
        """Delete the unfinished uploads of a dataset."""
        await self._in_thread(lambda: shutil.rmtree(self._folder / dataset_id, ignore_errors=True))

    def discard_part(self, dataset_id: str, name: str) -> None:
        """Delete what was received of one unfinished file."""
        self._part_path(dataset_id, name).unlink(missing_ok=True)

    def dataset_ids(self) -> list[str]:
        """Return the datasets that have unfinished uploads."""
        return [path.name for path in self._folder.iterdir() if path.is_dir()]

    async def recover(self, keep_seconds: float) -> None:
        """Remove what a kill or a vanished sender left; called at start and every hour."""
        for row in await self._database.read(statements.unfinished):
            part = self._part_path(row["dataset_id"], row["name"])
            if row["state"] == "importing" and part not in self._active:
                file_id = row["id"]
                await self._drafts.write(row["dataset_id"], lambda d, f=file_id: d.remove_file(f))
                part.unlink(missing_ok=True)
        horizon = time.time() - keep_seconds
        for part in self._folder.glob("*/*.part"):
            if part not in self._active and part.stat().st_mtime < horizon:
                part.unlink(missing_ok=True)
        for row in await self._database.read(statements.unfinished):
            part = self._part_path(row["dataset_id"], row["name"])
            if not part.exists() and part not in self._active:
                dataset_id, name = row["dataset_id"], row["name"]
                await self._database.write(
                    lambda c, d=dataset_id, n=name: statements.discard(c, d, n)
                )

    def close(self) -> None:
        """Wait for running writes."""
        self._threads.shutdown(wait=True)

    async def _take(
        self, receiver: Receiver, dataset_id: str, name: str, creator_id: str, format: Format | None
    ) -> tuple[RowMapping, bool]:
        if receiver.too_long:
            raise (
                self._too_large()
                if receiver.part is None
                else InvalidInputError("More bytes came than Content-Range announced.")
            )
        if receiver.part is not None and receiver.size != receiver.part.total:
            raise InvalidInputError("Fewer bytes came than Content-Range announced.")
        if receiver.size == 0:
            raise InvalidInputError("The file is empty.", hint="Send the bytes of the file.")
        path = receiver.path
        digest = receiver.digest or await self._in_thread(lambda: sha256_file(path))
        existing = await self._database.read(lambda c: statements.by_name(c, dataset_id, name))
        if existing is not None and existing["state"] == "ready":
            if existing["digest"] == digest:
                return existing, False
            raise ConflictError(
                "A file of this name with other content is in the draft.",
                hint="Delete it first, or upload under another name.",
            )
        chosen: Format = format or await self._in_thread(lambda: detect_format(path, name))
        row = await self._database.write(
            lambda c: statements.importing(c, dataset_id, name, creator_id, receiver.size)
        )
        file_id: str = row["id"]
        count = await self._drafts.write(
            dataset_id, lambda draft: draft.import_records(_valid_records(path, chosen), file_id)
        )
        self._metrics.records_imported.inc(count)
        ready = await self._database.write(
            lambda c: statements.ready(c, file_id, digest=digest, format=chosen, records=count)
        )
        return ready, True

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"A file may have at most {self._max_bytes} bytes.", hint="Split it into several files."
        )

    def _part_path(self, dataset_id: str, name: str) -> Path:
        # Names come from users; only their digest goes into a path.
        return self._folder / dataset_id / f"{hashlib.sha256(name.encode()).hexdigest()}.part"

    async def _in_thread(self, fn: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn)


def check_format(text: str | None) -> Format | None:
    """Return the format that a caller named, or None to have it found out.

    Raises:
        InvalidInputError: there is no reader for it.
    """
    if text is None:
        return None
    for format in FORMATS:
        if text == format:
            return format
    raise InvalidInputError(
        errors=[FieldProblem("format", "is not known.", f"Use one of {', '.join(FORMATS)}.")]
    )


def _valid_records(path: Path, format: Format) -> Iterator[Record]:
    """Yield the records of a file; raise one error for all wrong ones at its end."""
    problems: list[FieldProblem] = []
    wrong = good = 0
    try:
        for read in read_records(path, format):
            if read.record is not None:
                good += 1
                if not wrong:  # the import is lost already; only the problems matter from here
                    yield read.record
                continue
            wrong += 1
            if read.problem is not None and len(problems) < RECORD_PROBLEMS_LISTED:
                problems.append(read.problem)
    except AdapteryError as error:
        if not wrong:
            raise
        problems.append(FieldProblem("file", error.message, error.hint or ""))
    if wrong:
        raise RecordError(
            f"{_wrong_of(wrong, wrong + good)} not valid; nothing was imported.",
            hint=_what_is_listed(len(problems), wrong),
            errors=problems,
        )
    if not good:
        raise InvalidInputError("The file holds no record.", hint="Upload a file with records.")


def _wrong_of(wrong: int, records: int) -> str:
    nouns = "record" if records == 1 else "records"
    return f"{wrong} of {records} {nouns} {'is' if wrong == 1 else 'are'}"


def _what_is_listed(listed: int, wrong: int) -> str:
    listing = (
        "Each is listed with its number"
        if listed >= wrong
        else f"The first {listed} are listed with their numbers"
    )
    return f"{listing}; mend the file and upload it again."
