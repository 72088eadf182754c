"""One import as an operation: see `adaptery_hub.operations.Work`."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import AdapteryError, DeadlineError, NotFoundError
from adaptery_hub.database import Database
from adaptery_hub.database.statements import files as statements
from adaptery_hub.drafts import opened
from adaptery_hub.imports.descriptions import describe_file
from adaptery_hub.imports.problems import count_problems
from adaptery_hub.imports.steps import ImportOrder, ImportOutcome, import_file
from adaptery_hub.metrics import Metrics
from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes
from adaptery_hub.uploads import Uploads

#: How long an import may take; a million records take minutes.
IMPORT_SECONDS = 3600.0
#: Characters of `files.reason`.
REASON_LIMIT = 500

#: Writes down that records came into a draft, in the transaction that makes it so.
Note = Callable[[Connection, RowMapping], None]


class Deadline(Progress):
    """The progress of something that has to be done in time."""

    def __init__(
        self,
        inner: Progress,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        error: Callable[[], DeadlineError] = lambda: DeadlineError(
            "Reading this file takes too long.", hint="Split it."
        ),
    ) -> None:
        self._inner = inner
        self._error = error
        self._clock = clock
        self._end = clock() + seconds

    def report(self, done: int, total: int) -> None:
        """See `Progress`."""
        self.check()
        self._inner.report(done, total)

    def check(self) -> None:
        """Go on only while there is time.

        Raises:
            Cancelled: the work shall end.
            DeadlineError: its time is up.
        """
        self._inner.check()
        if self._clock() > self._end:
            raise self._error()


@dataclass(frozen=True)
class Workplace:
    """What imports work with."""

    database: Database
    uploads: Uploads
    processes: Processes
    metrics: Metrics
    loop: asyncio.AbstractEventLoop

    def wait(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Have the event loop do something, and wait for it in this thread."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


class ImportWork:
    """One import. See `adaptery_hub.operations.Work`."""

    def __init__(
        self,
        place: Workplace,
        row: RowMapping,
        order: ImportOrder,
        *,
        in_process: bool,
        keep: bool,
        note: Note,
    ) -> None:
        """Take what is to be done.

        Args:
            place: what it works with.
            row: of the file.
            order: how it is imported.
            in_process: whether the file is read in a process of its own.
            keep: whether a file that cannot be imported is kept for another try.
            note: called in the transaction that makes its records part of the draft.
        """
        self._place = place
        self._dataset_id: str = row["dataset_id"]
        self._row = row
        self._order = order
        self._in_process = in_process
        self._keep = keep
        self._note = note
        self._outcome: ImportOutcome | None = None
        self._error: AdapteryError | None = None

    def run(self, progress: Progress) -> None:
        """Put the records into the draft.

        Raises:
            AdapteryError: as `import_file`, or as `Processes.run`.
            Cancelled: the operation was cancelled.
        """
        self._order.problems.unlink(missing_ok=True)  # of the try before
        limited = Deadline(progress, IMPORT_SECONDS)
        try:
            if self._in_process:
                self._outcome = self._place.processes.run(import_file, limited, self._order)
            else:
                self._outcome = import_file(limited.report, self._order)
        except AdapteryError as error:
            self._error = error
            raise
        finally:
            shutil.rmtree(self._order.scratch, ignore_errors=True)  # a child that is killed cannot

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Make the file ready."""
        outcome = self._outcome
        assert outcome is not None
        mapping = outcome.mapping
        row = statements.settle(
            connection,
            self._order.file_id,
            "ready",
            format=mapping.format,
            container=mapping.container,
            mapping=mapping.model_dump(mode="json", exclude_defaults=True),
            tokenizer=outcome.tokenizer,
            records=outcome.records,
            problems=outcome.problems,
            kept_bytes=self._row["bytes"] + outcome.problems_bytes,
        )
        if row is None:
            raise NotFoundError("The file was removed meanwhile.")
        statements.touch_dataset(
            connection, self._dataset_id, outcome.draft_records, outcome.draft_bytes
        )
        self._note(connection, row)
        self._place.metrics.records_imported.inc(outcome.records)
        return {"file": describe_file(row).model_dump(mode="json")}

    def abandon(self) -> None:
        """Take the records out again, and leave the file as it came or not at all."""
        self._take_out()
        self._settle()

    def _take_out(self) -> None:
        # A child that was killed may have committed before it could say so.
        order = self._order
        with (
            suppress(NotFoundError),  # the dataset is gone
            opened(order.draft, order.max_records, write=True) as draft,
        ):
            if draft.count(order.file_id):
                draft.remove_file(order.file_id)

    def _settle(self) -> None:
        database, file_id = self._place.database, self._order.file_id
        if not self._keep:
            database.write_now(lambda c: statements.remove(c, file_id))
            self._place.wait(self._place.uploads.drop(self._row))
            return
        listed = self._order.problems
        problems_bytes = listed.stat().st_size if listed.exists() else 0
        values = {"kept_bytes": self._row["bytes"] + problems_bytes}
        if self._error is None:
            database.write_now(lambda c: statements.settle(c, file_id, "received", **values))
            return
        reason = str(self._error)[:REASON_LIMIT]
        database.write_now(
            lambda c: statements.settle(
                c, file_id, "refused", reason=reason, problems=count_problems(listed), **values
            )
        )
