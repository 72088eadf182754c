"""Steps of curation that run in a process of their own. See `adaptery_hub.processes`.

Each is one transaction of the draft: all of it is done, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from adaptery.schemas.curation import BulkRequest, BulkResult, SplitRequest
from adaptery.schemas.lineage import Split
from adaptery.times import now, to_text
from adaptery_hub.curation.splitting import COLUMNS, assign, key_of
from adaptery_hub.drafts import BatchResult, Draft, RecordEdit, RecordQuery, Undone, opened
from adaptery_hub.processes import Report

T = TypeVar("T")

#: Records between two reports of a step.
REPORT_RECORDS = 500


@dataclass(frozen=True)
class Target:
    """The draft that a step works on, and for whom."""

    path: Path
    max_records: int
    editor: str  # tenant id

    @contextmanager
    def opened(self, *, write: bool = True) -> Iterator[Draft]:
        """Open it for one transaction.

        Raises:
            NotFoundError: it is gone.
        """
        with opened(self.path, self.max_records, write=write) as draft:
            yield draft


@dataclass(frozen=True)
class Outcome:
    """What a step did, and how the draft is afterwards."""

    result: Mapping[str, object]
    changed: int  # records
    records: int  # of the draft
    bytes: int
    edit: int | None = None  # of the log, that undoes it
    files: tuple[str, ...] = ()  # whose removal undoes it


def bulk_edit(report: Report, target: Target, wanted: BulkRequest) -> Outcome:
    """Remove, restore or split many records, as one edit.

    Raises:
        InvalidInputError: the search of the filter holds no word, or too many.
        TooLargeError: the log cannot keep so much, or the draft is full.
        NotFoundError: the draft is gone.
    """
    with target.opened() as draft:
        if wanted.filter is not None:
            positions, batch = draft.positions(RecordQuery.of(wanted.filter)), "all of a filter"
        else:
            positions, batch = [int(name) for name in wanted.records or ()], "a selection"
        done = _change(draft, wanted, told(report, dict.fromkeys(positions)), target.editor, batch)
        result = BulkResult(
            changed=done.changed,
            passed_over=done.passed_over,
            edit=None if done.seq is None else str(done.seq),
        )
        return outcome_of(draft, result.model_dump(mode="json"), done.changed, edit=done.seq)


def undo_edit(report: Report, target: Target, edit: int | None) -> Outcome:
    """Undo an edit of many records.

    Raises:
        AdapteryError: as `Draft.undo`.
    """
    with target.opened() as draft:
        return _again(draft, draft.undo(target.editor, edit))


def redo_edit(report: Report, target: Target, edit: int | None) -> Outcome:
    """Do an edit of many records again.

    Raises:
        AdapteryError: as `Draft.redo`.
    """
    with target.opened() as draft:
        return _again(draft, draft.redo(target.editor, edit))


def split(report: Report, target: Target, wanted: SplitRequest) -> Outcome:
    """Give every record of a draft to a split, as one edit, and note how.

    Raises:
        NotFoundError: the draft is gone.
        TooLargeError: the log cannot keep so much.
    """
    with target.opened() as draft:
        positions: list[int] = []
        keys: list[str] = []
        kept: list[Split | None] = []
        for row in told(report, draft.iterate(COLUMNS), draft.count() * 2):
            position, record_id, file, group, present, text = cast(
                "tuple[int, str, str | None, int | None, Split | None, str]", row
            )
            positions.append(position)
            keys.append(key_of(wanted.group_by, record_id, file, group, text))
            kept.append(present if wanted.only_new else None)
        splits, groups = assign(keys, wanted.validation, wanted.test, wanted.seed, kept)
        pairs = zip(positions, splits, strict=True)
        done = draft.split_many(
            told(report, pairs, len(positions) * 2, len(positions)), target.editor, "a split"
        )
        recipe = wanted.model_dump(mode="json")
        draft.note("split", {"recipe": recipe, "groups": groups, "at": to_text(now())})
        result = {"changed": done.changed, "groups": groups}
        return outcome_of(draft, result, done.changed, edit=done.seq)


def outcome_of(
    draft: Draft,
    result: Mapping[str, object],
    changed: int,
    *,
    edit: int | None = None,
    files: tuple[str, ...] = (),
) -> Outcome:
    """Return what a step did, with the sizes of the draft."""
    return Outcome(result, changed, draft.count(), draft.size(), edit, files)


def told(
    report: Report, items: Iterable[T], total: int | None = None, before: int = 0
) -> Iterator[T]:
    """Yield items, and report how many were taken.

    Args:
        report: is told.
        items: what is worked on.
        total: how many there are, with those of other parts of the step.
        before: how many other parts have done.
    """
    count = len(cast("list[T]", items)) if total is None else total
    for number, item in enumerate(items):
        if number % REPORT_RECORDS == 0:
            report(before + number, count)
        yield item


def _change(
    draft: Draft, wanted: BulkRequest, positions: Iterable[int], editor: str, batch: str
) -> BatchResult:
    if wanted.action == "remove":
        return draft.change_many((RecordEdit(at, None) for at in positions), editor, batch)
    if wanted.action == "restore":
        return draft.restore_many(positions, editor, batch)
    to = None if wanted.split == "none" else wanted.split
    return draft.split_many(((at, to) for at in positions), editor, batch)


def _again(draft: Draft, done: Undone) -> Outcome:
    result: dict[str, object] = {
        "edit": done.edit.seq,
        "changed": done.changed,
        "passed_over": done.passed_over,
    }
    return outcome_of(draft, result, done.changed)
