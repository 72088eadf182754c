"""One step of curation as an operation. See `adaptery_hub.operations.Work`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import Connection

from adaptery.errors import AdapteryError, NotFoundError
from adaptery_hub.curation.steps import Outcome, Target
from adaptery_hub.database.statements import files as statements
from adaptery_hub.drafts import Drafts, Hold
from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes, Report

P = ParamSpec("P")
T = TypeVar("T")

#: Writes down what was done, in the transaction that makes it so.
Note = Callable[[Connection, Outcome], None]


@dataclass(frozen=True)
class Run:
    """What the run of a step is given."""

    processes: Processes
    progress: Progress
    target: Target
    #: Waits until nobody else writes to the draft, and keeps others from it.
    hold: Callable[[], None]

    def step(
        self, fn: Callable[Concatenate[Report, Target, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a step in a process of its own.

        Raises:
            AdapteryError: as the step, or as `Processes.run`.
            Cancelled: the operation was cancelled.
        """
        return self.processes.run(fn, self.progress, self.target, *args, **kwargs)


class CurationWork:
    """One operation on one draft."""

    def __init__(
        self,
        drafts: Drafts,
        processes: Processes,
        dataset_id: str,
        editor: str,
        run: Callable[[Run], Outcome],
        note: Note,
        check: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        """Take what is to be done.

        Args:
            drafts: all drafts.
            processes: where steps run.
            dataset_id: the draft.
            editor: who wants it (tenant id).
            run: does it; called in a thread.
            note: writes down that it was done.
            check: raises if what was done must not stay; called in a thread.
        """
        self._check = check
        self._processes = processes
        self._dataset_id = dataset_id
        self._target = Target(drafts.path(dataset_id), drafts.max_records, editor)
        self._run = run
        self._note = note
        self._hold = Hold(drafts, asyncio.get_running_loop())
        self._outcome: Outcome | None = None

    def run(self, progress: Progress) -> None:
        """Do it.

        Raises:
            AdapteryError: as its steps, or as `Processes.run`.
            Cancelled: the operation was cancelled.
        """

        def hold() -> None:
            self._hold.take(self._dataset_id, progress.check)

        self._outcome = self._run(Run(self._processes, progress, self._target, hold))
        self._check(self._outcome)

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Note the new size of the draft."""
        outcome = self._outcome
        assert outcome is not None
        statements.touch_dataset(connection, self._dataset_id, outcome.records, outcome.bytes)
        self._note(connection, outcome)
        self._hold.release()
        return outcome.result

    def abandon(self) -> None:
        """Take back what was done, if the end of the operation could not be written down."""
        try:
            if self._outcome is not None:
                self._take_back(self._outcome)
        finally:
            self._hold.release()

    def _take_back(self, outcome: Outcome) -> None:
        with suppress(NotFoundError), self._target.opened() as draft:  # the dataset may be gone
            for file in outcome.files:
                draft.remove_source(file)
            if outcome.edit is not None:
                with suppress(AdapteryError):  # somebody else changed its records since
                    draft.undo(self._target.editor, outcome.edit)
