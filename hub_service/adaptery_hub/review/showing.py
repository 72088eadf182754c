"""Findings as the reviewer sees them: with the records, and the words in question.

Records of other datasets are named here by their place; whoever shows them reads them there, after
asking whether the reviewer may.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from adaptery.schemas.review import (
    Excerpt,
    Finding,
    FindingRecord,
    FindingState,
    Queue,
    ReviewOptions,
)
from adaptery_hub.drafts import Draft, DraftRecord
from adaptery_hub.drafts.findings import DraftDecision, DraftFinding, Member
from adaptery_hub.paging import take_page
from adaptery_hub.review.analysis import pii_key
from adaptery_hub.review.places import Span, flag_span, phrase_of, pii_spans
from adaptery_hub.review.recognisers import REPLACEMENTS, Recognisers
from adaptery_hub.review.record_texts import text_at

#: Records of one finding that are shown.
RECORDS_SHOWN = 20
#: Characters of these; two are shown whatever they have.
FINDING_CHARACTERS = 1024 * 1024
#: Characters around a span.
AROUND = 80
#: Characters of a span that are shown.
SPAN_SHOWN = 400
#: Characters of changed records that are searched for one page: others wait for its thread.
REFOUND_CHARACTERS = 1024 * 1024
_SPACE = re.compile(r"\s")
_KEY_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Shown:
    """A finding to show, and what is still to be looked up."""

    finding: Finding
    decision: DraftDecision | None  # whose editor has no name yet
    size: int  # characters of its records, about


@dataclass(frozen=True)
class Page:
    """What a page of a queue shows."""

    queue: Queue
    state: FindingState
    rule: str | None
    after: int | None
    limit: int
    sources: Collection[str]
    more_names: frozenset[str]


def finding_id(key: int) -> str:
    """Return a key as the API spells it."""
    return f"{key & _KEY_MASK:016x}"


def finding_key(text: str) -> int:
    """Return the key that the API spells so."""
    key = int(text, 16)
    return key - (1 << 64) if key >> 63 else key


def show_page(draft: Draft, page: Page) -> tuple[list[Shown], int]:
    """Return the findings on a page, and how many there are in all."""
    findings = draft.findings
    decided = page.state == "decided"
    total = findings.count(page.queue, decided=decided, rule=page.rule, sources=page.sources)
    rows: list[tuple[DraftFinding, DraftDecision | None]]
    if decided:
        rows = [
            *findings.decided(
                page.queue,
                rule=page.rule,
                sources=page.sources,
                after=page.after,
                limit=page.limit,
            )
        ]
    else:
        found = findings.open(
            page.queue, rule=page.rule, sources=page.sources, after=page.after, limit=page.limit
        )
        rows = [(finding, None) for finding in found]
    return take_page(_Showing(draft, page).show(rows), lambda item: item.size, page.limit), total


class _Showing:
    def __init__(self, draft: Draft, page: Page) -> None:
        self._draft = draft
        self._page = page
        options = draft.findings.options(page.queue) or {}
        self._options = ReviewOptions.model_validate(options)
        self._recognisers: Recognisers | None = None
        self._refound: dict[int, dict[int, Span]] = {}  # by position
        self._refound_characters = 0

    def show(self, rows: Iterable[tuple[DraftFinding, DraftDecision | None]]) -> Iterable[Shown]:
        return itertools.starmap(self._shown, rows)

    def _shown(self, found: DraftFinding, decision: DraftDecision | None) -> Shown:
        members = self._draft.findings.members(found, RECORDS_SHOWN)
        members, items = self._fitting(members or [Member(found.position)])
        size = sum(len(item.text) for item in items if item is not None)
        if found.source is not None:
            size *= 2  # a record of another dataset comes with it, which is much the same
        return Shown(self._finding(found, decision, members, items), decision, size)

    def _fitting(self, members: list[Member]) -> tuple[list[Member], list[DraftRecord | None]]:
        """Return members with their records: two, and more as long as they are not too large."""
        items: list[DraftRecord | None] = []
        size = 0
        for member in members:
            item = self._draft.find(member.position) if member.source is None else None
            size += len(item.text) if item else 0
            if len(items) >= 2 and size > FINDING_CHARACTERS:
                break
            items.append(item)
        return members[: len(items)], items

    def _finding(
        self,
        found: DraftFinding,
        decision: DraftDecision | None,
        members: list[Member],
        items: list[DraftRecord | None],
    ) -> Finding:
        span = self._span(found, next((item for item in items if item is not None), None))
        queue = self._page.queue
        return Finding(
            id=finding_id(found.key),
            queue=queue,
            rule=found.rule,
            state="open" if decision is None else "decided",
            count=found.records,
            occurrences=found.occurrences,
            records=_records(members, items),
            least_similarity=(
                self._draft.findings.least_similarity(found) if queue == "near" else None
            ),
            path=span.place if span else None,
            start=span.start if span else None,
            end=span.end if span else None,
            excerpt=_excerpt(span) if span else None,
            replacement=_REPLACEMENTS.get(found.rule) if queue == "pii" else None,
        )

    def _span(self, found: DraftFinding, item: DraftRecord | None) -> Span | None:
        if self._page.queue == "phrases":
            phrase = phrase_of(self._draft, found)
            return phrase[2] if phrase else None
        if item is None:
            return None
        if self._page.queue == "pii":
            return self._pii_span(found, item)
        if self._page.queue == "quality":
            return flag_span(found, item.record, self._options.short_characters)
        return None

    def _pii_span(self, found: DraftFinding, item: DraftRecord) -> Span | None:
        findings, text = self._draft.findings, text_at(item.record, found.place or "")
        if text is not None and found.start is not None and found.end is not None:
            span = Span(found.place or "", text, found.start, found.end)
            if pii_key(findings, found.rule, found.position, span.match) == found.key:
                return span
        if item.position not in self._refound:  # the record changed
            self._refound[item.position] = self._find_again(item)
        return self._refound[item.position].get(found.key)

    def _find_again(self, item: DraftRecord) -> dict[int, Span]:
        """Return the spans in a record by key; none once the records of a page are too large."""
        self._refound_characters += len(item.text)
        if self._refound_characters > REFOUND_CHARACTERS:
            return {}
        if self._recognisers is None:  # presidio takes too long to load here
            self._recognisers = Recognisers(self._options.pii, self._page.more_names)
        spans = pii_spans(self._draft.findings, item.position, item.record, self._recognisers)
        return {key: span for key, _, span in spans}


def with_others(shown: Shown, records: dict[tuple[str, int], DraftRecord | None]) -> Shown:
    """Return a finding with the records of other datasets, as far as they are as they were."""
    filled = tuple(
        _other(record, records.get((record.dataset, int(record.id))))
        if record.dataset is not None
        else record
        for record in shown.finding.records
    )
    return replace(shown, finding=shown.finding.model_copy(update={"records": filled}))


def others_of(shown: Iterable[Shown]) -> dict[str, list[int]]:
    """Return which records of which other datasets findings show."""
    wanted: dict[str, list[int]] = {}
    for item in shown:
        for record in item.finding.records:
            if record.dataset is not None:
                wanted.setdefault(record.dataset, []).append(int(record.id))
    return wanted


_REPLACEMENTS: dict[str, str] = {**REPLACEMENTS}


def _records(
    members: Sequence[Member], items: Sequence[DraftRecord | None]
) -> tuple[FindingRecord, ...]:
    return tuple(
        FindingRecord(
            dataset=member.source,
            id=str(member.position),
            record_id=member.record_id if item is None else item.record_id,
            record=None if item is None else dict(item.record),
            similarity=member.similarity,
        )
        for member, item in zip(members, items, strict=True)
    )


def _other(shown: FindingRecord, item: DraftRecord | None) -> FindingRecord:
    if item is None or item.record_id != shown.record_id:
        return shown
    return shown.model_copy(update={"record": dict(item.record)})


def _excerpt(span: Span) -> Excerpt:
    """Return a span with whole words around it, as far as they fit."""
    before = span.text[max(0, span.start - AROUND) : span.start]
    after = span.text[span.end : span.end + AROUND]
    if span.start > AROUND:
        before = "…" + before[_gap(before) :].lstrip()
    if span.end + AROUND < len(span.text):
        after = after[: AROUND - _gap(after[::-1])].rstrip() + "…"
    return Excerpt(before=before, match=span.match[:SPAN_SHOWN], after=after)


def _gap(text: str) -> int:
    """Return where a text has its first white space; 0 if it has none."""
    found = _SPACE.search(text)
    return found.start() if found else 0
