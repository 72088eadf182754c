"""Receives files: decides where their bytes go, what a finished file is, what is left of others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy.engine import RowMapping

from adaptery.digests import sha256_file
from adaptery.errors import ConflictError, InvalidInputError, NotFoundError, TooLargeError
from adaptery_hub import logs
from adaptery_hub.at_rest import AtRestDesk
from adaptery_hub.database import Database
from adaptery_hub.database.statements import files as statements
from adaptery_hub.key_store import KeyStoreError
from adaptery_hub.metrics import Metrics
from adaptery_hub.objects.encryption import KeptFile, Readable
from adaptery_hub.uploads.originals import Originals
from adaptery_hub.uploads.receiver import ByteRange, OffsetError, Receiver

T = TypeVar("T")

logger = logging.getLogger(__name__)

UPLOAD_THREADS = 2
#: When to ask again whether a file is not being worked on any more.
BUSY_SECONDS = 5.0


class Uploads:
    """Receives files and keeps them."""

    def __init__(
        self,
        originals: Originals,
        database: Database,
        metrics: Metrics,
        at_rest: AtRestDesk,
        max_bytes: int,
    ) -> None:
        self.originals = originals
        self._database = database
        self._metrics = metrics
        self._at_rest = at_rest
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="upload")
        self._active: set[Path] = set()
        self._placing = asyncio.Lock()  # an original is not removed between its row and its place

    def original(self, dataset_id: str, file_id: str) -> Readable:
        """Return the file as it came, byte for byte; it is not to be changed. Blocking.

        Of a restricted dataset it lies there encrypted, once its records are in the draft.

        Raises:
            NotFoundError: there is no such file, it has not come whole, or it came to a release
                that did not keep it.
        """
        row = self._database.read_now(lambda c: statements.original(c, dataset_id, file_id))
        if row is not None and row["digest"] is not None:
            path = self.originals.original(dataset_id, row["digest"])
            sealed = self.originals.sealed(dataset_id, row["digest"])
            if path.exists():
                if not row["restricted"]:
                    return path
                return KeptFile(path, self._at_rest.sealed(dataset_id, sealed))
            if sealed.exists():
                return self._at_rest.sealed(dataset_id, sealed)
        raise NotFoundError("The bytes of this file are not kept here.")

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
            ConflictError: another request is receiving this file, or its records are being
                imported, or a file of this name and another size is in the draft.
            InvalidInputError: the range is malformed.
            DiskFullError: there is no room for a file.
        """
        part = ByteRange.parse(content_range) if content_range else None
        announced = part.total if part else content_length
        if announced > self._max_bytes:
            raise self._too_large()
        path = self.originals.part(dataset_id, name)
        existing = await self._database.read(lambda c: statements.by_name(c, dataset_id, name))
        if existing is not None:
            _check_replaceable(existing, announced or None)
        if path in self._active:
            raise ConflictError(
                "Another request is uploading this file.", retry_after_seconds=BUSY_SECONDS
            )
        if part and part.first:
            received = path.stat().st_size if path.exists() else 0
            if part.first != received:
                raise OffsetError(received)
        self._active.add(path)
        try:
            self.originals.make_folder(dataset_id)
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
        path = self.originals.part(dataset_id, name)
        return path.stat().st_size if path.exists() else 0

    async def finish(
        self, receiver: Receiver, dataset_id: str, name: str, creator_id: str
    ) -> tuple[RowMapping, bool]:
        """Keep the part, or the file if it is whole.

        Returns:
            The row of the file, and whether its records are still to be imported.

        Raises:
            TooLargeError: more came than was announced or allowed.
            ConflictError: a file of this name with other content is there.
            InvalidInputError: the file is empty, or not as long as was announced.
            DiskFullError: not all of it could be written.
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
            return await self._keep(receiver, dataset_id, name, creator_id)
        except BaseException:
            await self._database.write(lambda c: statements.discard_part(c, dataset_id, name))
            raise
        finally:
            receiver.path.unlink(missing_ok=True)

    async def remove(self, dataset_id: str) -> None:
        """Delete every file of a dataset."""
        await self._in_thread(lambda: self.originals.remove(dataset_id))

    async def drop(self, row: RowMapping) -> None:
        """Delete what is here of a file that no row names any more."""
        dataset_id = row["dataset_id"]
        if row["state"] == "receiving":
            self.originals.part(dataset_id, row["name"]).unlink(missing_ok=True)
        self.originals.problems(dataset_id, row["id"]).unlink(missing_ok=True)
        if row["digest"] is not None:
            await self._drop_original(dataset_id, row["digest"])

    async def drop_original(self, row: RowMapping) -> None:
        """Delete the bytes of a file, unless another file of the dataset has the same."""
        await self._drop_original(row["dataset_id"], row["digest"])

    async def seal(self, dataset_id: str) -> None:
        """Encrypt what a restricted dataset keeps of files whose records are in its draft.

        Raises:
            KeyStoreError: the key store cannot be used.
        """
        async with self._placing:
            digests = await self._database.read(lambda c: statements.to_seal(c, dataset_id))
            await self._in_thread(lambda: self._seal_now(dataset_id, digests))

    async def seal_left(self) -> None:
        """Encrypt what a kill left open; called at start. What cannot be is told in the log."""
        for dataset_id in self.originals.dataset_ids():
            try:
                await self.seal(dataset_id)
            except KeyStoreError as error:
                logs.log(logger, logging.ERROR, "originals_not_encrypted", reason=error.message)
                return

    async def sweep(self, keep_seconds: float) -> None:
        """Remove what a kill or a vanished sender left; called at start and every hour."""
        await self._sweep_parts(keep_seconds)
        for dataset_id in self.originals.dataset_ids():
            async with self._placing:
                await self._sweep_kept(dataset_id)

    async def place_left(self) -> None:
        """Bring to an end what a kill left between a row and its file; called at start."""
        self.originals.remove_scratch()
        for row in await self._database.read(statements.kept):
            original = self.originals.original(row["dataset_id"], row["digest"])
            part = self.originals.part(row["dataset_id"], row["name"])
            if self.originals.holds(row["dataset_id"], row["digest"]):
                continue
            if part.exists() and part.stat().st_size == row["bytes"]:
                part.replace(original)
            elif row["state"] == "received":
                await self._database.write(lambda c, id=row["id"]: statements.remove(c, id))

    def close(self) -> None:
        """Wait for running writes."""
        self._threads.shutdown(wait=True)

    async def _keep(
        self, receiver: Receiver, dataset_id: str, name: str, creator_id: str
    ) -> tuple[RowMapping, bool]:
        self._check_whole(receiver)
        path, size = receiver.path, receiver.size
        # In no thread of ours: a large file takes seconds, and others want to write.
        digest = receiver.digest or await asyncio.to_thread(sha256_file, path)
        before = await self._database.read(lambda c: statements.by_name(c, dataset_id, name))
        if before is not None:
            _check_replaceable(before, size)
            if before["state"] == "ready":
                _check_same(before, digest)
                return before, False
            if before["state"] != "receiving" and before["creator_id"] != creator_id:
                raise _name_taken()  # somebody else is still at it
        async with self._placing:
            row = await self._database.write(
                lambda c: statements.received(c, dataset_id, name, creator_id, size, digest)
            )
            path.replace(self.originals.original(dataset_id, digest))
        if before is not None and before["digest"] not in (None, digest):
            await self._drop_original(dataset_id, before["digest"])
        self.originals.problems(dataset_id, row["id"]).unlink(missing_ok=True)
        return row, True

    def _check_whole(self, receiver: Receiver) -> None:
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

    async def _drop_original(self, dataset_id: str, digest: str) -> None:
        async with self._placing:
            named = await self._database.read(lambda c: statements.named(c, dataset_id))
            if digest not in named.digests:
                self.originals.original(dataset_id, digest).unlink(missing_ok=True)
                self.originals.sealed(dataset_id, digest).unlink(missing_ok=True)

    def _seal_now(self, dataset_id: str, digests: Collection[str]) -> None:
        for digest in digests:
            original = self.originals.original(dataset_id, digest)
            if original.exists():
                sealed = self.originals.sealed(dataset_id, digest)
                self._at_rest.seal_file(dataset_id, original, sealed)

    async def _sweep_parts(self, keep_seconds: float) -> None:
        horizon = time.time() - keep_seconds
        for part in list(self.originals.parts()):
            if part not in self._active and part.stat().st_mtime < horizon:
                part.unlink(missing_ok=True)
        for row in await self._database.read(statements.unfinished):
            dataset_id, name = row["dataset_id"], row["name"]
            part = self.originals.part(dataset_id, name)
            if not part.exists() and part not in self._active:
                await self._database.write(
                    lambda c, d=dataset_id, n=name: statements.discard_part(c, d, n)
                )

    async def _sweep_kept(self, dataset_id: str) -> None:
        kept = self.originals.kept(dataset_id)
        named = await self._database.read(lambda c: statements.named(c, dataset_id))
        for path in kept:
            if not self.originals.named(path, named.digests, named.file_ids):
                path.unlink(missing_ok=True)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"A file may have at most {self._max_bytes} bytes.", hint="Split it into several files."
        )

    async def _in_thread(self, fn: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn)


def _check_replaceable(row: RowMapping, size: int | None) -> None:
    """Refuse what would change a file whose records are in the draft, or about to be."""
    if row["state"] == "importing":
        raise ConflictError(
            "The records of this file are being imported.",
            hint="Wait for the end of the import, or cancel it.",
            retry_after_seconds=BUSY_SECONDS,
        )
    if row["state"] == "ready" and size is not None and size != row["bytes"]:
        raise _name_taken()


def _check_same(row: RowMapping, digest: str) -> None:
    if row["digest"] != digest:
        raise _name_taken()


def _name_taken() -> ConflictError:
    return ConflictError(
        "A file of this name with other content is in the draft.",
        hint="Delete it first, or upload under another name.",
    )
