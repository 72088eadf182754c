"""Decisions about findings: what they change, as one edit of the draft that one undo takes back.

Everything is looked up in the records as they are: what changed since the analysis is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError, RecordError
from adaptery.records import Record
from adaptery.schemas.review import DECISIONS, Decision, Queue, ReviewOptions
from adaptery_hub.drafts import Draft, RecordEdit, flag_bits, opened
from adaptery_hub.drafts.findings import RECHECKED, STAYING, DraftFinding, Member
from adaptery_hub.processes import Report
from adaptery_hub.review.analysis import (
    expected_languages,
    language_findings,
    make_recognisers,
    pii_findings,
    pii_key,
    quality_findings,
)
from adaptery_hub.review.languages import language_of
from adaptery_hub.review.phrases import Words, strip_phrase
from adaptery_hub.review.places import own_records, phrase_of, phrase_positions, pii_spans
from adaptery_hub.review.quality import flags_of
from adaptery_hub.review.recognisers import REPLACEMENTS
from adaptery_hub.review.record_texts import (
    Plain,
    language_text_of,
    spoken_places_of,
    with_texts,
)

#: Changed records are searched again. More text than this, about, is left to a process: a mebibyte
#: takes up to seconds, and the service answers nobody faster meanwhile.
CHARACTERS_AT_ONCE = 2 * 1024 * 1024


@dataclass(frozen=True)
class DecisionOrder:
    """A decision, and about what."""

    queue: Queue
    decision: Decision
    editor: str  # tenant id
    keys: tuple[int, ...] | None = None  # None: all that are open
    like: int | None = None  # of these, only those like the finding with this key
    rule: str | None = None
    replacement: str | None = None
    keep: frozenset[int] = frozenset()
    forget: bool = False
    sources: frozenset[str] = frozenset()  # other datasets that the editor may view
    more_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class UndoOrder:
    """The undoing of somebody's newest decision."""

    queue: Queue
    editor: str  # tenant id
    more_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """What a decision did, or its undoing."""

    decided: int
    changed: int = 0
    skipped: int = 0
    edit: int | None = None


@dataclass
class _Wanted:
    """What shall become of records, and the findings that this settles."""

    edits: dict[int, Plain | None] = field(default_factory=dict[int, "Plain | None"])
    settled: list[DraftFinding] = field(default_factory=list[DraftFinding])


def check_decision(queue: Queue, decision: Decision) -> None:
    """Refuse a decision that a queue does not know.

    Raises:
        InvalidInputError: it does not.
    """
    if decision not in DECISIONS[queue]:
        known = ", ".join(DECISIONS[queue]) or "none"
        raise InvalidInputError(
            errors=[FieldProblem("decision", "is not one of this queue.", f"Known here: {known}.")]
        )


def check_like(order: DecisionOrder) -> None:
    """Refuse to look for findings that are like one where each is about records of its own.

    Raises:
        InvalidInputError: the queue is such.
    """
    if order.like is not None and order.queue not in RECHECKED:
        known = f"Only {', '.join(RECHECKED)} know it; name the findings here."
        raise InvalidInputError(errors=[FieldProblem("all_like", "is not known here.", known)])


def decide_in_process(
    report: Report, path: Path, max_records: int, order: DecisionOrder
) -> Outcome:
    """Like `decide`, as a step of `adaptery_hub.processes`."""
    report(0, 1)
    with opened(path, max_records, write=True) as draft:
        outcome = decide(draft, order)
    report(1, 1)
    return outcome


def undo_in_process(report: Report, path: Path, max_records: int, order: UndoOrder) -> Outcome:
    """Like `undo`, as a step of `adaptery_hub.processes`."""
    report(0, 1)
    with opened(path, max_records, write=True) as draft:
        outcome = undo(draft, order)
    report(1, 1)
    return outcome


def decide(draft: Draft, order: DecisionOrder) -> Outcome:
    """Carry out a decision, in the transaction of a draft.

    Raises:
        InvalidInputError: the queue does not know this decision.
        TooLargeError: the log cannot keep what it changes.
    """
    check_decision(order.queue, order.decision)
    check_like(order)
    chosen = _chosen(draft, order)
    if order.decision in STAYING:
        draft.findings.decide(order.queue, chosen, order.decision, order.editor, None)
        return Outcome(len(chosen), skipped=_missing(order, chosen))
    wanted = _CHANGES[order.decision](draft, chosen, order)
    skipped = len(chosen) - len(wanted.settled) + _missing(order, chosen)
    edits, refused = _edits_of(wanted)
    skipped += refused
    if not edits:
        return Outcome(0, skipped=skipped)
    label = f"review: {order.decision} ({order.queue})"
    result = draft.change_many(edits, order.editor, label)
    draft.findings.decide(order.queue, wanted.settled, order.decision, order.editor, result.seq)
    replaced = [edit.position for edit in edits if edit.record is not None]
    recheck(draft, replaced, order.more_names)
    if order.forget and result.seq is not None:
        draft.forget_edit(result.seq)
    return Outcome(len(wanted.settled) - refused, result.changed, skipped, result.seq)


def undo(draft: Draft, order: UndoOrder) -> Outcome:
    """Take back the newest decision of an editor in a queue.

    Raises:
        ConflictError: there is none, or what it changed was forgotten or changed since.
    """
    findings = draft.findings
    newest = findings.newest_decision(order.queue, order.editor)
    if newest is None:
        raise ConflictError(
            "You have nothing to undo in this queue.",
            hint="Only your own decisions can be undone.",
        )
    if newest.edit is None:
        return Outcome(findings.take_back(order.queue, newest))
    positions = findings.of_edit(newest.edit)
    done = draft.undo(order.editor, newest.edit)
    recheck(draft, positions, order.more_names)
    return Outcome(len(positions), done.changed, done.passed_over, newest.edit)


def takes_long(draft: Draft, order: DecisionOrder | UndoOrder, at_once: int) -> bool:
    """Whether a decision, or its undoing, is more than a request should wait for."""
    changes = isinstance(order, UndoOrder) or order.decision not in STAYING
    presidio = (draft.findings.options("pii") or {}).get("presidio", False)
    if changes and presidio:  # changed records are looked at again, and it takes long to load
        return True
    records = _records_of(draft, order)
    return records > at_once or (changes and records * draft.longest() > CHARACTERS_AT_ONCE)


def _records_of(draft: Draft, order: DecisionOrder | UndoOrder) -> int:
    """Return how many records a decision may change, or its undoing, about."""
    findings = draft.findings
    if isinstance(order, UndoOrder):
        newest = findings.newest_decision(order.queue, order.editor)
        edit = None if newest is None else newest.edit
        return 0 if edit is None else draft.edit(edit).records
    if order.keys is None:
        one = None if order.like is None else _liked(draft, order)
        rule = one.rule if one is not None else order.rule
        return findings.count(order.queue, decided=False, rule=rule, sources=order.sources)
    named = findings.named(order.queue, order.keys, order.sources)
    return sum(finding.records for finding in named)


def recheck(draft: Draft, positions: Iterable[int], more_names: frozenset[str]) -> None:
    """Look at changed records again, for the queues that are about single records."""
    findings = draft.findings
    states = {queue: findings.options(queue) for queue in RECHECKED}
    options = {q: ReviewOptions.model_validate(o) for q, o in states.items() if o is not None}
    items = [item for place in positions if (item := draft.find(place)) is not None]
    if not options or not items:
        return
    places = [item.position for item in items]
    if "pii" in options:
        recognisers = make_recognisers(options["pii"], more_names)
        findings.drop_open("pii", places)
        for item in items:
            findings.add("pii", pii_findings(findings, item.position, item.record, recognisers))
    if "quality" in options:
        findings.drop_open("quality", places)
        for item in items:
            found = quality_findings(findings, item.position, item.record, options["quality"])
            findings.add("quality", found)
            short = options["quality"].short_characters
            bits = flag_bits(flag.flag for flag in flags_of(item.record, short))
            draft.set_flags([(item.position, bits)])
    if "language" in options:
        counts = findings.details("language").get("languages", {})
        expected = expected_languages(options["language"], counts)
        findings.drop_open("language", places)
        for item in items:
            language = language_of(language_text_of(item.record))
            draft.set_language([(item.position, language)])
            findings.add("language", language_findings(findings, item.position, language, expected))
    findings.note_recheck(places)


def _chosen(draft: Draft, order: DecisionOrder) -> list[DraftFinding]:
    if order.keys is not None:
        return draft.findings.named(order.queue, dict.fromkeys(order.keys), order.sources)
    if order.like is not None:
        return list(_all_like(draft, order))
    return draft.findings.open(order.queue, rule=order.rule, sources=order.sources)


def _liked(draft: Draft, order: DecisionOrder) -> DraftFinding | None:
    keys = () if order.like is None else (order.like,)
    return next(iter(draft.findings.named(order.queue, keys, order.sources)), None)


def _all_like(draft: Draft, order: DecisionOrder) -> Iterator[DraftFinding]:
    """Yield the open findings that are like one, which is gone if nothing comes."""
    one = _liked(draft, order)
    if one is None:
        return
    alike = draft.findings.open(order.queue, rule=one.rule, sources=order.sources)
    if order.queue != "pii":
        yield from alike
        return
    value = _value_of(draft, one, order)
    if value is None:
        return
    # A key is made of the value: no other record is read.
    for found in alike:
        if found.key == pii_key(draft.findings, one.rule, found.position, value):
            yield found


def _value_of(draft: Draft, finding: DraftFinding, order: DecisionOrder) -> str | None:
    """Return the personal data that a finding is about; None: it is not there any more."""
    item = draft.find(finding.position)
    if item is None:
        return None
    state = draft.findings.options("pii") or {}
    recognisers = make_recognisers(ReviewOptions.model_validate(state), order.more_names)
    spans = pii_spans(draft.findings, finding.position, item.record, recognisers)
    return next((span.match for key, _, span in spans if key == finding.key), None)


def _missing(order: DecisionOrder, chosen: list[DraftFinding]) -> int:
    if order.like is not None:
        return 0 if chosen else 1
    return 0 if order.keys is None else len(set(order.keys)) - len(chosen)


def _edits_of(wanted: _Wanted) -> tuple[list[RecordEdit], int]:
    """Return the edits, and how many would leave a record that is none."""
    edits: list[RecordEdit] = []
    refused: set[int] = set()
    for position, plain in sorted(wanted.edits.items()):
        try:
            record = None if plain is None else Record.from_dict(plain)
        except RecordError:
            refused.add(position)
            continue
        edits.append(RecordEdit(position, record))
    before = len(wanted.settled)
    wanted.settled = [f for f in wanted.settled if f.position not in refused or f.members]
    return edits, before - len(wanted.settled)


# -- what each decision changes -------------------------------------------------------------------


def _drop(draft: Draft, chosen: list[DraftFinding], order: DecisionOrder) -> _Wanted:
    wanted = _Wanted()
    for finding in chosen:
        gone = _dropped(draft, finding, order)
        if gone:
            wanted.edits.update(dict.fromkeys(gone))
            wanted.settled.append(finding)
    return wanted


def _dropped(draft: Draft, finding: DraftFinding, order: DecisionOrder) -> list[int]:
    """Return the positions that dropping a finding removes."""
    if order.queue == "quality":
        return _still_flagged(draft, finding)
    if order.queue == "language":
        item = draft.find(finding.position)
        return [item.position] if item is not None and item.language == finding.rule else []
    members = draft.findings.members(finding)
    present = [member for member, _ in own_records(draft, finding, members)]
    if finding.source is not None:
        return [member.position for member in present if member.position not in order.keep]
    kept = {member.position for member in present} & order.keep
    if kept:
        return [member.position for member in present if member.position not in kept]
    return [member.position for member in present[1:] if _goes(draft, member, members, present)]


def _goes(draft: Draft, member: Member, members: list[Member], present: list[Member]) -> bool:
    """Whether a member goes if the first one stays: only if it is like that one itself."""
    if member.similarity is None:
        return True
    options = draft.findings.options("near") or {}
    return present[0] is members[0] and member.similarity >= options.get("threshold", 0.5)


def _still_flagged(draft: Draft, finding: DraftFinding) -> list[int]:
    item = draft.find(finding.position)
    if item is None:
        return []
    options = draft.findings.options("quality") or {}
    flags = flags_of(item.record, ReviewOptions.model_validate(options).short_characters)
    return [item.position] if finding.rule in {flag.flag for flag in flags} else []


def _strip(draft: Draft, chosen: list[DraftFinding], order: DecisionOrder) -> _Wanted:
    wanted = _Wanted()
    for finding in chosen:
        found = phrase_of(draft, finding)
        if found is None:
            continue
        words = found[0]
        for position in phrase_positions(draft, words):
            item = draft.find(position)
            record = wanted.edits.get(position) or (None if item is None else item.record)
            if record is not None and (texts := _stripped(record, words)):
                wanted.edits[position] = with_texts(record, texts)
        wanted.settled.append(finding)
    return wanted


def _stripped(record: Plain, words: Words) -> dict[str, str]:
    texts = {place: (text, strip_phrase(text, words)) for place, text in spoken_places_of(record)}
    return {place: after for place, (before, after) in texts.items() if before != after}


def _replace(draft: Draft, chosen: list[DraftFinding], order: DecisionOrder) -> _Wanted:
    wanted = _Wanted()
    state = draft.findings.options("pii") or {}
    recognisers = make_recognisers(ReviewOptions.model_validate(state), order.more_names)
    by_record: dict[int, dict[int, DraftFinding]] = {}
    for finding in chosen:
        by_record.setdefault(finding.position, {})[finding.key] = finding
    for position, named in by_record.items():
        item = draft.find(position)
        if item is None:
            continue
        texts: dict[str, str] = {}
        hits = list(pii_spans(draft.findings, position, item.record, recognisers))
        for key, kind, span in reversed(hits):
            if key in named:
                new = REPLACEMENTS[kind] if order.replacement is None else order.replacement  # type: ignore[index]
                text = texts.get(span.place, span.text)
                texts[span.place] = text[: span.start] + new + text[span.end :]
        if texts:
            wanted.edits[position] = with_texts(item.record, texts)
            found = {key for key, _, _ in hits}
            wanted.settled += [finding for key, finding in named.items() if key in found]
    return wanted


_CHANGES: Mapping[Decision, Callable[[Draft, list[DraftFinding], DecisionOrder], _Wanted]] = {
    "drop": _drop,
    "strip": _strip,
    "accept": _replace,
    "replace": _replace,
}
