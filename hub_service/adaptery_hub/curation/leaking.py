"""Leaks: records that are tested on and trained on, or that another dataset has as well.

Three kinds, of which a record is told the first that holds: the same record; the same user messages
with another answer; nearly the same text. Within a draft, the records of test are looked for in the
other splits, those of validation in train. What other datasets hold is looked up for every record.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adaptery.schemas.curation import LeakCount, LeakReport
from adaptery.schemas.lineage import Split
from adaptery.times import now
from adaptery_hub.curation.origins import Origin
from adaptery_hub.curation.steps import Outcome, Target, outcome_of, told
from adaptery_hub.drafts import Column, LeakPair, Leaks
from adaptery_hub.drafts.leaks import PAIRS_KEPT, LeakKind
from adaptery_hub.processes import Report
from adaptery_hub.publishing.shards import Row
from adaptery_hub.review.near import near_matches
from adaptery_hub.review.record_texts import whole_of

#: Which records within a draft must not be known to which others.
_WITHIN: tuple[tuple[Split, tuple[Split, ...]], ...] = (
    ("test", ("train", "validation")),
    ("validation", ("train",)),
)


@dataclass(frozen=True)
class FoundLeaks:
    """What a check found."""

    records: int  # of the draft
    pairs: Sequence[LeakPair]  # those that are kept
    counts: Mapping[tuple[LeakKind, str | None], int]  # of records, by kind and source


def find_leaks(
    report: Report, target: Target, others: Sequence[Origin], similarity: float
) -> FoundLeaks:
    """Look for leaks; the draft is only read.

    Raises:
        NotFoundError: a draft is gone.
    """
    with target.opened(write=False) as draft:
        done = draft.count()
        total = done + sum(other.records for other in others)
        columns: tuple[Column, ...] = ("position", "record_id", "record", "split")
        rows = (Row(*row) for row in draft.iterate(columns))  # type: ignore[arg-type]
        ours = _texts(told(report, rows, total))
    pairs = _within(ours, similarity)
    for other in others:
        with other.opened() as reader:
            theirs = _texts(told(report, reader.rows(), total, done))
        pairs += _between(ours, theirs, other.id, similarity)
        done += other.records
    counts = Counter[tuple[LeakKind, str | None]]((pair.kind, pair.source) for pair in pairs)
    return FoundLeaks(len(ours), pairs[:PAIRS_KEPT], counts)


def keep_leaks(target: Target, found: FoundLeaks) -> Outcome:
    """Keep what a check found, instead of what the check before found.

    Raises:
        NotFoundError: the draft is gone.
    """
    report = LeakReport(
        checked_at=now(),
        records=found.records,
        counts=tuple(
            LeakCount(kind=kind, source=source, records=count)
            for (kind, source), count in found.counts.items()
        ),
        left_out=sum(found.counts.values()) - len(found.pairs),
    )
    with target.opened() as draft:
        Leaks(draft.connection).replace(found.pairs)
        draft.note("leaks", report.model_dump(mode="json"))
        leaking = sum(found.counts.values())
        return outcome_of(draft, report.model_dump(mode="json"), leaking)


@dataclass(frozen=True, slots=True)
class _Text:
    position: int
    split: Split | None
    record: bytes  # digests
    prompt: bytes | None
    text: str


def _texts(rows: Iterable[Row]) -> list[_Text]:
    return [_text_of(row) for row in rows]


def _text_of(row: Row) -> _Text:
    record = json.loads(row.text)
    said = [m["content"] for m in record.get("messages", ()) if m["role"] == "user"]
    prompt = _digest(json.dumps(said)) if said else None
    return _Text(row.position, row.split, _digest(row.record_id), prompt, whole_of(record))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _within(ours: Sequence[_Text], similarity: float) -> list[LeakPair]:
    pairs: list[LeakPair] = []
    for split, known in _WITHIN:
        here = [text for text in ours if text.split == split]
        there = [text for text in ours if text.split in known]
        pairs += _between(here, there, None, similarity)
    return pairs


def _between(
    here: Sequence[_Text], there: Sequence[_Text], source: str | None, similarity: float
) -> list[LeakPair]:
    """Return a pair for each record that leaks, of the first kind that holds."""
    by_record = {text.record: text for text in reversed(there)}
    by_prompt = {text.prompt: text for text in reversed(there) if text.prompt is not None}
    pairs: list[LeakPair] = []
    rest: list[_Text] = []
    for text in here:
        if (twin := by_record.get(text.record)) is not None:
            pairs.append(_pair("exact", text, twin, source))
        elif text.prompt is not None and (twin := by_prompt.get(text.prompt)) is not None:
            pairs.append(_pair("prompt", text, twin, source))
        else:
            rest.append(text)
    texts, others = [text.text for text in rest], [text.text for text in there]
    for match in near_matches(texts, others, similarity):
        twin = there[match.other]
        pairs.append(_pair("near", rest[match.text], twin, source, round(match.similarity, 4)))
    return sorted(pairs, key=lambda pair: pair.position)


def _pair(
    kind: LeakKind, text: _Text, twin: _Text, source: str | None, similarity: float | None = None
) -> LeakPair:
    return LeakPair(kind, text.position, text.split, source, twin.position, twin.split, similarity)
