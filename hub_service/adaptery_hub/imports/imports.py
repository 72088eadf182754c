"""Starts imports, and looks into files that were received."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy.engine import RowMapping

from adaptery.errors import (
    AdapteryError,
    ConflictError,
    InternalError,
    NotFoundError,
    from_problem,
)
from adaptery.schemas.imports import FilePreview, FileProblem, FileSuggestion
from adaptery.schemas.mappings import Format, Mapping
from adaptery_hub import logs
from adaptery_hub.database import Database
from adaptery_hub.database.statements import files as statements
from adaptery_hub.drafts import Drafts
from adaptery_hub.identity import Identity
from adaptery_hub.imports.problems import problem_page
from adaptery_hub.imports.steps import ImportOrder, LookOrder, preview_file, suggest_file
from adaptery_hub.imports.tokens import Tokenizers, cuts_by_tokens
from adaptery_hub.imports.work import Deadline, ImportWork, Note, Workplace
from adaptery_hub.metrics import Metrics
from adaptery_hub.objects.encryption import KeptFile
from adaptery_hub.operations import Operations, Progress
from adaptery_hub.processes import Processes, Report
from adaptery_hub.storage import StorageDesk
from adaptery_hub.uploads import Uploads

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: A text file up to this size is read in a thread of the service. A process takes 20 ms to start,
#: and a second for the first one; a thread with more to do would slow down everybody.
SMALL_BYTES: Final = 256 * 1024
#: Bytes at the start of a file that say whether it is text.
_HEAD_BYTES: Final = 8 * 1024
#: Files that are looked into at once, how long that may take, and how much memory.
LOOK_THREADS: Final = 4
LOOK_SECONDS: Final = 30.0
LOOK_MEMORY_BYTES: Final = 2 * 1024**3


@dataclass(frozen=True)
class ImportPlan:
    """How a file is to be imported."""

    mapping: Mapping | None = None  # None: as suggested, if that leaves no doubt
    format: Format | None = None  # that the suggestion has to have
    skip_bad_records: bool = False


class Imports:
    """Turns files that were received into records."""

    def __init__(
        self,
        database: Database,
        drafts: Drafts,
        uploads: Uploads,
        operations: Operations,
        processes: Processes,
        storage: StorageDesk,
        metrics: Metrics,
        tokenizers: Tokenizers,
    ) -> None:
        """Take the parts that it works with.

        Args:
            database: where files are named.
            drafts: where their records go.
            uploads: where they lie.
            operations: what runs the imports.
            processes: where large files are read.
            storage: how much room there is.
            metrics: what is counted.
            tokenizers: what a token is; a word where there are none.
        """
        self._database = database
        self._drafts = drafts
        self._uploads = uploads
        self._operations = operations
        self._processes = processes
        self._storage = storage
        self._metrics = metrics
        self._tokenizers = tokenizers
        self._threads = ThreadPoolExecutor(LOOK_THREADS, thread_name_prefix="look")
        self._running: dict[str, tuple[str, str]] = {}  # operation: dataset, file

    async def start(
        self,
        identity: Identity,
        owner_id: str,
        row: RowMapping,
        plan: ImportPlan,
        note: Note,
        *,
        keep: bool = True,
    ) -> RowMapping:
        """Begin to import a file; return the row of the operation.

        Args:
            identity: who wants it.
            owner_id: whose storage it takes.
            row: of the file.
            plan: how to read it.
            note: writes it down, in the transaction that makes it so.
            keep: whether a file that cannot be imported is kept for another try.

        Raises:
            NotFoundError: the file is gone, or its bytes are.
            ConflictError: it has not come whole, or its records are in the draft or about to be.
        """
        file_id, dataset_id = row["id"], row["dataset_id"]
        original = await self._original(row)
        room = await self._database.read(lambda c: self._storage.room(c, owner_id))
        in_process = await asyncio.to_thread(_needs_process, original, plan.mapping)
        row = await self._database.write(lambda c: statements.importing(c, file_id))
        order = ImportOrder(
            original=original,
            name=row["name"],
            draft=self._drafts.path(dataset_id),
            max_records=self._drafts.max_records,
            file_id=file_id,
            problems=self._uploads.originals.problems(dataset_id, file_id),
            scratch=self._uploads.originals.scratch(dataset_id),
            mapping=plan.mapping,
            format=plan.format,
            skip_bad_records=plan.skip_bad_records,
            room_bytes=room,
            tokenizer=await asyncio.to_thread(self._tokenizers.first),
        )
        work = ImportWork(
            self._workplace(), row, order, in_process=in_process, keep=keep, note=note
        )
        try:
            operation = await self._operations.start(
                identity,
                "import",
                file_id,
                work,
                quick=not in_process,
                hold=self._drafts.exclusive(dataset_id),
            )
        except BaseException:
            await self._database.write(lambda c: statements.settle(c, file_id, "received"))
            raise
        self._running[operation["id"]] = (dataset_id, file_id)
        asyncio.create_task(self._forget(operation["id"]))  # noqa: RUF006  (ends with the operation)
        return operation

    async def now(
        self, identity: Identity, owner_id: str, row: RowMapping, plan: ImportPlan, note: Note
    ) -> RowMapping:
        """Import a file and return its row; one that cannot be imported is gone.

        Raises:
            AdapteryError: as `start`, or what made the import fail.
        """
        operation = await self.start(identity, owner_id, row, plan, note, keep=False)
        ended = await self._operations.ended(operation["id"])
        if ended["state"] == "cancelled":
            raise ConflictError("The import was cancelled.")
        if ended["state"] != "completed":
            raise from_problem(ended["error"]) if ended["error"] else InternalError()
        dataset_id, file_id = row["dataset_id"], row["id"]
        ready = await self._database.read(lambda c: statements.by_id(c, dataset_id, file_id))
        if ready is None:
            raise NotFoundError("The file was removed meanwhile.")
        return ready

    async def cancel(self, dataset_id: str, file_id: str | None = None) -> None:
        """End the imports of a dataset, or of one file of it."""
        for operation in self.running(dataset_id, file_id):
            await self._operations.cancel(operation)

    def running(self, dataset_id: str, file_id: str | None = None) -> list[str]:
        """Return the operations that import into a dataset, or one file of it."""
        return [
            operation
            for operation, (dataset, file) in self._running.items()
            if dataset == dataset_id and file_id in (None, file)
        ]

    async def suggest(self, row: RowMapping) -> FileSuggestion:
        """Return how a file would be read, with its first records.

        Raises:
            InvalidInputError: it cannot be read at all.
            NotFoundError: its bytes are not here.
            DeadlineError: it takes too long.
        """
        return await self._look(row, suggest_file, None)

    async def preview(self, row: RowMapping, mapping: Mapping) -> FilePreview:
        """Return the first records of a file as a mapping has them.

        Raises:
            InvalidInputError: it cannot be read so.
            NotFoundError: its bytes are not here.
            DeadlineError: it takes too long.
        """
        return await self._look(row, preview_file, mapping)

    def problems(self, row: RowMapping) -> Path:
        """Return where the problems of a file are listed, if it has any."""
        return self._uploads.originals.problems(row["dataset_id"], row["id"])

    async def problem_page(self, row: RowMapping, after: int, limit: int) -> list[FileProblem]:
        """Return the first problems with a higher id."""
        return await asyncio.to_thread(problem_page, self.problems(row), after, limit)

    async def recover(self) -> None:
        """Take out again what a kill left of imports; called at start."""
        for row in await self._database.read(statements.half_imported):
            dataset_id, file_id = row["dataset_id"], row["id"]
            await self._drafts.upgraded(dataset_id)
            count, size = await self._drafts.write(
                dataset_id, lambda d, f=file_id: (d.remove_file(f), (d.count(), d.size()))[1]
            )
            held = row["digest"] and self._uploads.originals.holds(dataset_id, row["digest"])
            await self._database.write(
                lambda c, d=dataset_id, n=count, s=size: statements.touch_dataset(c, d, n, s)
            )
            if held:
                await self._database.write(lambda c, f=file_id: statements.settle(c, f, "received"))
            else:
                await self._database.write(lambda c, f=file_id: statements.remove(c, f))

    def close(self) -> None:
        """Wait for what is looked into."""
        self._threads.shutdown(wait=True)

    async def _forget(self, operation_id: str) -> None:
        await self._operations.ended(operation_id)
        dataset_id, _ = self._running.pop(operation_id)
        try:
            await self._uploads.seal(dataset_id)
        except AdapteryError as error:  # the next import tries again, and the next start
            logs.log(logger, logging.ERROR, "originals_not_encrypted", reason=error.message)

    def _workplace(self) -> Workplace:
        return Workplace(
            self._database,
            self._uploads,
            self._processes,
            self._metrics,
            asyncio.get_running_loop(),
        )

    async def _original(self, row: RowMapping) -> Path:
        found = await asyncio.to_thread(self._uploads.original, row["dataset_id"], row["id"])
        if isinstance(found, Path):
            return found
        if isinstance(found, KeptFile):
            return found.plain
        raise ConflictError(
            "The records of this file are in the draft, and the file is encrypted.",
            hint="Remove the file and upload it again to read it otherwise.",
        )

    async def _look(
        self,
        row: RowMapping,
        fn: Callable[[Report, LookOrder], T],
        mapping: Mapping | None,
    ) -> T:
        """Look into a file, away from the event loop and from whatever the file may do."""
        path = await self._original(row)
        scratch = self._uploads.originals.scratch(row["dataset_id"])
        tokenizer = await asyncio.to_thread(self._tokenizers.first)
        order = LookOrder(path, row["name"], scratch, tokenizer, mapping)
        progress = Deadline(Progress(asyncio.get_running_loop()), LOOK_SECONDS)

        def look() -> T:
            if not _needs_process(path, mapping):
                return fn(progress.report, order)
            try:
                return self._processes.within(LOOK_MEMORY_BYTES).run(fn, progress, order)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

        return await asyncio.get_running_loop().run_in_executor(self._threads, look)


def _needs_process(path: Path, mapping: Mapping | None) -> bool:
    """Say whether a file is not small and plain: Parquet, Arrow, an archive, or large."""
    if path.stat().st_size > SMALL_BYTES or cuts_by_tokens(mapping):
        return True
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    return b"\x00" in head or head.startswith((b"PK", b"PAR1", b"ARROW1"))
