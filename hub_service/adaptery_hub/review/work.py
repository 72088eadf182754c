"""Analyses and large decisions as operations. See `adaptery_hub.operations.Work`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from sqlalchemy.engine import Connection

from adaptery.errors import AdapteryError
from adaptery_hub.database.statements import files as statements
from adaptery_hub.drafts import Drafts, Hold, opened
from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes
from adaptery_hub.review.analysis import AnalysisOrder, analyse
from adaptery_hub.review.decisions import (
    DecisionOrder,
    Outcome,
    UndoOrder,
    decide_in_process,
    undo_in_process,
)
from adaptery_hub.review.lengths import LengthsOrder, count_lengths

#: Writes down what was done, in the transaction that makes it so.
Note = Callable[[Connection, Mapping[str, object]], None]


class _DraftWork:
    """What the kinds of work on one draft share."""

    def __init__(self, drafts: Drafts, processes: Processes, dataset_id: str, note: Note) -> None:
        self._drafts = drafts
        self._processes = processes
        self._dataset_id = dataset_id
        self._note = note
        self._result: Mapping[str, object] = {}
        self._records, self._bytes = 0, 0

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Note the new size of the draft."""
        statements.touch_dataset(connection, self._dataset_id, self._records, self._bytes)
        self._note(connection, self._result)
        return self._result

    def abandon(self) -> None:
        """Leave what was found: it is true, whoever asked for it."""

    def _measure(self) -> None:
        self._records, self._bytes = self._drafts.read_now(
            self._dataset_id, lambda draft: (draft.count(), draft.size())
        )


class AnalysisWork(_DraftWork):
    """Fills queues. Others may edit the draft meanwhile."""

    def __init__(
        self,
        drafts: Drafts,
        processes: Processes,
        dataset_id: str,
        note: Note,
        order: AnalysisOrder,
        lengths: LengthsOrder | None = None,
    ) -> None:
        """Take what is to be done.

        Args:
            drafts: all drafts.
            processes: where it runs.
            dataset_id: the draft.
            note: writes down that it was done.
            order: which queues, and how.
            lengths: what to count tokens by, if that is wanted.
        """
        super().__init__(drafts, processes, dataset_id, note)
        self._order = order
        self._lengths = lengths

    def run(self, progress: Progress) -> None:
        """Analyse the draft.

        Raises:
            AdapteryError: as `analyse` and `count_lengths`, or as `Processes.run`.
            Cancelled: the operation was cancelled.
        """
        result: dict[str, object] = {}
        if self._order.queues:
            result["findings"] = self._processes.run(analyse, progress, self._order)
        if self._lengths is not None:
            result |= self._processes.run(count_lengths, progress, self._lengths)
        self._result = result
        self._measure()


class DecisionWork(_DraftWork):
    """Carries out a decision about many records, or its undoing, while nobody else writes."""

    def __init__(
        self,
        drafts: Drafts,
        processes: Processes,
        dataset_id: str,
        note: Note,
        order: DecisionOrder | UndoOrder,
    ) -> None:
        """Take what is to be done; see `AnalysisWork`."""
        super().__init__(drafts, processes, dataset_id, note)
        self._order = order
        self._hold = Hold(drafts, asyncio.get_running_loop())
        self._outcome: Outcome | None = None

    def run(self, progress: Progress) -> None:
        """Decide.

        Raises:
            AdapteryError: as `decide`, or as `Processes.run`.
            Cancelled: the operation was cancelled.
        """
        self._hold.take(self._dataset_id, progress.check)
        path = self._drafts.path(self._dataset_id)
        order, most = self._order, self._drafts.max_records
        if isinstance(order, UndoOrder):
            undone = self._processes.run(undo_in_process, progress, path, most, order)
            self._result = describe_undone(undone)
        else:
            self._outcome = self._processes.run(decide_in_process, progress, path, most, order)
            self._result = describe_outcome(self._outcome)
        self._measure()

    def commit(self, connection: Connection) -> Mapping[str, object]:
        """Note what was decided."""
        result = super().commit(connection)
        self._hold.release()
        return result

    def abandon(self) -> None:
        """Take back what was decided, if the end of the operation could not be written down."""
        try:
            if self._outcome is not None and self._outcome.edit is not None:
                self._take_back(self._outcome.edit)
        finally:
            self._hold.release()

    def _take_back(self, edit: int) -> None:
        path = self._drafts.path(self._dataset_id)
        with (
            suppress(AdapteryError),  # the dataset may be gone, or its records changed since
            opened(path, self._drafts.max_records, write=True) as draft,
        ):
            draft.undo(self._order.editor, edit)


def describe_outcome(outcome: Outcome) -> dict[str, object]:
    """Return what a decision did, as the API shows it."""
    return {
        "decided": outcome.decided,
        "changed_records": outcome.changed,
        "skipped": outcome.skipped,
        "batch": None if outcome.edit is None else str(outcome.edit),
    }


def describe_undone(outcome: Outcome) -> dict[str, object]:
    """Return what the undoing of a decision did, as the API shows it."""
    return {"reopened": outcome.decided, "changed_records": outcome.changed}
