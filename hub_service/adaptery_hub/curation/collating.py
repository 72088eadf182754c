"""Collating: records of other drafts and versions are drawn and appended to a draft.

The records keep nothing of where they were but their content: what was found in them there, and
their split, is of the draft they come from. Where they came from is noted, and how they were drawn.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from adaptery.digests import content_digest
from adaptery.errors import InvalidInputError, RecordError
from adaptery.formats import convert_kind
from adaptery.records import Kind, Record
from adaptery.schemas.curation import CollateSource
from adaptery.times import now
from adaptery_hub.curation.drawing import draw, rank, shares
from adaptery_hub.curation.origins import Origin, OriginReader
from adaptery_hub.curation.steps import REPORT_RECORDS, Outcome, Target, outcome_of
from adaptery_hub.drafts import Draft, DraftSource
from adaptery_hub.processes import Report

#: What is told of records that cannot be turned into the kind that is wanted.
LEFT_OUT = "records of which the kind cannot be made"


@dataclass(frozen=True)
class Source:
    """One source of a collation."""

    id: str  # that its records get as their file
    origin: Origin
    wanted: CollateSource


def collate(report: Report, target: Target, sources: Sequence[Source]) -> Outcome:
    """Append what is drawn from each source, in their order.

    Raises:
        InvalidInputError: nothing was found, or a search holds no word.
        TooLargeError: the draft is full.
        NotFoundError: a draft is gone.
    """
    progress = _Progress(report, sum(source.origin.records for source in sources) * 2)
    made: list[DraftSource] = []
    with target.opened() as draft:
        weights = [source.wanted.weight for source in sources]
        for source, share in zip(sources, shares(weights), strict=True):
            made.append(_take(draft, source, share, target.editor, progress))
        if not any(source.taken for source in made):
            raise InvalidInputError(
                "The sources hold no record that their filters let through.",
                hint="Widen the filters.",
            )
        ids = tuple(source.id for source in made)
        taken = sum(source.taken for source in made)
        return outcome_of(draft, {"records": taken, "sources": ids}, taken, files=ids)


@dataclass
class _Progress:
    report: Report
    total: int
    done: int = 0

    def step(self) -> None:
        if self.done % REPORT_RECORDS == 0:
            self.report(min(self.done, self.total), self.total)
        self.done += 1


@dataclass
class _Taken:
    """What is taken from one source."""

    kind: Kind | None
    ids: list[str] = field(default_factory=list[str])
    dropped: Counter[str] = field(default_factory=Counter[str])

    def record(self, text: str) -> Record | None:
        """Return the record that a text is, as it is taken; None: it cannot be of the kind."""
        record = Record.from_dict(json.loads(text))
        if self.kind is not None and record.kind != self.kind:
            try:
                converted = convert_kind(record, self.kind)
            except RecordError:
                self.dropped[LEFT_OUT] += 1
                return None
            self.dropped.update(converted.dropped)
            record = converted.record
        self.ids.append(record.record_id())
        return record


def _take(
    draft: Draft, source: Source, share: float, editor: str, progress: _Progress
) -> DraftSource:
    origin, wanted = source.origin, source.wanted
    taken = _Taken(wanted.kind)
    with origin.opened() as reader:
        drawn = _drawn(reader, wanted, share, progress)
        draft.import_records(_records(reader, wanted, drawn, taken, progress), source.id)
    note = DraftSource(
        id=source.id,
        at=now(),
        editor=editor,
        kind=origin.kind,
        source=origin.id,
        name=origin.name,
        digest=origin.digest or content_digest(taken.ids),
        available=len(drawn),
        taken=len(taken.ids),
        recipe=wanted.model_dump(mode="json", exclude_defaults=True),
        dropped=dict(taken.dropped),
    )
    draft.add_source(note)
    return note


def _drawn(
    reader: OriginReader, wanted: CollateSource, share: float, progress: _Progress
) -> Sequence[bool]:
    ranks: list[int] = []
    for row in reader.rows(wanted.filter):
        ranks.append(rank(wanted.seed, row.record_id))
        progress.step()
    return draw(np.array(ranks, np.uint64), share, wanted.sample).tolist()


def _records(
    reader: OriginReader,
    wanted: CollateSource,
    drawn: Sequence[bool],
    taken: _Taken,
    progress: _Progress,
) -> Iterator[Record]:
    for row, is_drawn in zip(reader.rows(wanted.filter), drawn, strict=True):
        progress.step()
        if is_drawn and (record := taken.record(row.text)) is not None:
            yield record
