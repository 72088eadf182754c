"""The analysis of a draft: fills review queues, in a process of its own.

It reads one snapshot of the draft, which others may edit meanwhile: what they change counts as
stale. What was found is written queue by queue, each in a short transaction.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from adaptery.digests import sha256_bytes
from adaptery.schemas.review import Queue, ReviewOptions
from adaptery.times import now, to_text
from adaptery_hub.drafts import Draft, flag_bits, opened
from adaptery_hub.drafts.findings import FINDINGS_KEPT, DraftFinding, Findings, Member
from adaptery_hub.processes import Report
from adaptery_hub.review.exact import exact_groups
from adaptery_hub.review.languages import UNDETERMINED, language_of
from adaptery_hub.review.near import near_groups, near_matches
from adaptery_hub.review.phrases import find_phrases
from adaptery_hub.review.quality import flags_of
from adaptery_hub.review.recognisers import Recognisers
from adaptery_hub.review.record_texts import (
    Plain,
    answer_of,
    language_text_of,
    places_of,
    prompt_of,
    spoken_places_of,
    whole_of,
)

#: Records between two reports.
REPORT_RECORDS = 500
#: Records whose language and flags are written in one transaction, and the pause after it: others
#: write to the draft in between.
BLOCK_RECORDS = 20_000
PAUSE_SECONDS = 0.05
#: Records of a group that a finding keeps.
MEMBERS_KEPT = 10_000

_PARTS: dict[str, Callable[[Plain], str]] = {
    "record": whole_of,
    "prompt": prompt_of,
    "answer": answer_of,
}


@dataclass(frozen=True)
class AnalysisOrder:
    """What to analyse."""

    draft: Path
    max_records: int
    queues: tuple[Queue, ...]
    options: ReviewOptions
    more_names: frozenset[str] = frozenset()
    against: tuple[tuple[str, Path], ...] = ()  # other datasets: id, draft


@dataclass
class _Read:
    """What one pass over a draft keeps."""

    positions: list[int] = field(default_factory=list[int])
    ids: list[str] = field(default_factory=list[str])
    prompts: list[str] = field(default_factory=list[str])  # digests
    texts: list[str] = field(default_factory=list[str])
    answers: list[str] = field(default_factory=list[str])
    languages: list[str] = field(default_factory=list[str])
    flags: list[int] = field(default_factory=list[int])


def analyse(report: Report, order: AnalysisOrder) -> dict[str, int]:
    """Fill the queues; return how many findings each has, decided ones included.

    Raises:
        NotFoundError: the draft, or another one, is gone.
        MissingExtraError: presidio is wanted and not installed.
    """
    return _Analysis(report, order).run()


class _Analysis:
    def __init__(self, report: Report, order: AnalysisOrder) -> None:
        self._order = order
        self._options = order.options
        self._report = report
        self._at = to_text(now())
        self._counts: dict[str, int] = {}
        queues = order.queues
        self._steps = 1 + ("near" in queues) * (1 + len(order.against)) + ("phrases" in queues)
        self._step = 0
        self._total = 0
        self._found: dict[Queue, list[DraftFinding]] = {queue: [] for queue in queues}
        self._left_out: Counter[Queue] = Counter()

    def run(self) -> dict[str, int]:
        with opened(self._order.draft, self._order.max_records) as draft:
            findings = draft.findings
            self._total = draft.count()
            read = self._read(draft, findings)
        self._write_columns(read)
        for queue in self._order.queues:
            if queue in _GROUPS:
                _GROUPS[queue](self, findings, read)
            if queue == "language":
                self._language(findings, read)
            if queue != "lengths":
                self._write(queue, read)
        self._report(self._steps, self._steps)
        return self._counts

    # -- one pass over the draft --------------------------------------------------------------

    def _read(self, draft: Draft, findings: Findings) -> _Read:
        read, queues = _Read(), self._order.queues
        recognisers = make_recognisers(self._options, self._order.more_names)
        part = _PARTS[self._options.part]
        for done, (position, record_id, text) in enumerate(
            draft.iterate(("position", "record_id", "record"))
        ):
            if done % REPORT_RECORDS == 0:
                self._tell(done, self._total)
            record = json.loads(str(text))
            place = int(str(position))
            read.positions.append(place)
            read.ids.append(str(record_id))
            if "exact" in queues:
                read.prompts.append(_prompt_digest(record))
            if "near" in queues:
                read.texts.append(part(record))
            if "phrases" in queues:
                read.answers.append("\n".join(text for _, text in spoken_places_of(record)))
            if "quality" in queues:
                found = quality_findings(findings, place, record, self._options)
                read.flags.append(flag_bits(finding.rule for finding in found))  # type: ignore[misc]
                self._keep("quality", found)
            if "language" in queues:
                read.languages.append(language_of(language_text_of(record)))
            if "pii" in queues:
                self._keep("pii", pii_findings(findings, place, record, recognisers))
        self._step += 1
        return read

    def _keep(self, queue: Queue, found: Sequence[DraftFinding]) -> None:
        room = FINDINGS_KEPT - len(self._found[queue])
        self._found[queue] += found[:room]
        self._left_out[queue] += max(len(found) - room, 0)

    # -- queues of groups ---------------------------------------------------------------------

    def _exact(self, findings: Findings, read: _Read) -> None:
        for group in exact_groups(read.ids):
            key = findings.key("exact", "record", read.ids[group[0]])
            self._keep("exact", [_group(key, "record", read, group)])
        for group in exact_groups(read.prompts):
            if read.prompts[group[0]] and len({read.ids[i] for i in group}) > 1:
                key = findings.key("exact", "prompt", read.prompts[group[0]])
                self._keep("exact", [_group(key, "prompt", read, group)])
        own = {record_id: index for index, record_id in reversed(list(enumerate(read.ids)))}
        for source, path in self._order.against:
            with opened(path, self._order.max_records) as other:
                for position, record_id in other.iterate(("position", "record_id")):
                    index = own.get(str(record_id))
                    if index is not None:
                        there = Member(int(str(position)), source, str(record_id), 1.0)
                        key = findings.key("exact", source, record_id, read.positions[index])
                        self._keep("exact", [_pair(key, "record", read, index, there)])

    def _near(self, findings: Findings, read: _Read) -> None:
        threshold = self._options.threshold
        for group in near_groups(read.texts, threshold, self._tell):
            ids = sorted({read.ids[i] for i in group.members})
            if len(ids) > 1:  # equal records are for the other queue
                key = findings.key("near", ids, self._options.part)
                made = _group(key, "group", read, group.members, group.similarities)
                self._keep("near", [made])
        self._step += 1
        for source, path in self._order.against:
            self._near_between(findings, read, source, path)
            self._step += 1

    def _near_between(self, findings: Findings, read: _Read, source: str, path: Path) -> None:
        positions: list[int] = []
        ids: list[str] = []
        texts: list[str] = []
        part, own = _PARTS[self._options.part], set(read.ids)
        with opened(path, self._order.max_records) as other:
            for position, record_id, text in other.iterate(("position", "record_id", "record")):
                if record_id in own:  # equal records are for the other queue
                    continue
                positions.append(int(str(position)))
                ids.append(str(record_id))
                texts.append(part(json.loads(str(text))))
        for match in near_matches(read.texts, texts, self._options.threshold, self._tell):
            there = Member(
                positions[match.other], source, ids[match.other], round(match.similarity, 4)
            )
            key = findings.key("near", source, read.ids[match.text], there.record_id)
            self._keep("near", [_pair(key, "between", read, match.text, there)])

    def _phrases(self, findings: Findings, read: _Read) -> None:
        options = self._options
        self._tell(0, 1)
        for phrase in find_phrases(read.answers, options.phrase_words, options.phrase_records):
            key = findings.key("phrases", phrase.words)
            members = tuple(Member(read.positions[index]) for index in phrase.texts)
            made = DraftFinding(
                key,
                "phrase",
                members[0].position,
                phrase.records,
                occurrences=phrase.occurrences,
                end=len(phrase.words),  # in words: where it stands is looked up
                members=members,
            )
            self._keep("phrases", [made])
        self._step += 1

    def _language(self, findings: Findings, read: _Read) -> None:
        expected = expected_languages(self._options, Counter(read.languages))
        for position, language in zip(read.positions, read.languages, strict=True):
            self._keep("language", language_findings(findings, position, language, expected))

    # -- writing ------------------------------------------------------------------------------

    def _write(self, queue: Queue, read: _Read) -> None:
        found = self._found.pop(queue)
        details: dict[str, Any] = {"left_out": self._left_out[queue]}
        if queue == "language":
            details["languages"] = dict(Counter(read.languages).most_common())
        with opened(self._order.draft, self._order.max_records, write=True) as draft:
            draft.findings.begin(queue)
            draft.findings.add(queue, found)
            draft.findings.end(queue, self._at, options_of(queue, self._options), details)
            if queue == "near":
                draft.clear_groups()
                draft.set_groups(_near_groups(found))
        self._counts[queue] = len(found)
        time.sleep(PAUSE_SECONDS)

    def _write_columns(self, read: _Read) -> None:
        """Note languages and flags of the records that are as they were."""
        for column, values in (("language", read.languages), ("flags", read.flags)):
            rows = zip(read.positions, values, strict=True) if values else iter(())
            while block := list(islice(rows, BLOCK_RECORDS)):
                with opened(self._order.draft, self._order.max_records, write=True) as draft:
                    changed = draft.findings.changed_since(self._at)
                    kept = ((place, value) for place, value in block if place not in changed)
                    if column == "language":
                        draft.set_language(kept)  # type: ignore[arg-type]
                    else:
                        draft.set_flags(kept)  # type: ignore[arg-type]
                time.sleep(PAUSE_SECONDS)

    def _tell(self, done: int, total: int) -> None:
        whole = max(self._total, 1)
        share = round(whole * done / max(total, 1))
        self._report(self._step * whole + share, self._steps * whole)


_GROUPS: dict[Queue, Callable[[_Analysis, Findings, _Read], None]] = {
    "exact": _Analysis._exact,  # pyright: ignore[reportPrivateUsage]
    "near": _Analysis._near,  # pyright: ignore[reportPrivateUsage]
    "phrases": _Analysis._phrases,  # pyright: ignore[reportPrivateUsage]
}


# -- findings of one record -----------------------------------------------------------------------


def make_recognisers(options: ReviewOptions, more_names: frozenset[str]) -> Recognisers:
    """Return the recognisers that an analysis with these options uses.

    Raises:
        MissingExtraError: presidio is wanted and not installed.
    """
    if not options.presidio:
        return Recognisers(options.pii, more_names)
    from adaptery_hub.review.presidio import presidio_finder

    return Recognisers(options.pii, more_names, presidio_finder())


def pii_findings(
    findings: Findings, position: int, record: Plain, recognisers: Recognisers
) -> list[DraftFinding]:
    """Return the personal data of a record: one finding for each different text and kind."""
    found: dict[int, DraftFinding] = {}
    for place, text in places_of(record):
        for hit in recognisers.find(text):
            key = pii_key(findings, hit.kind, position, text[hit.start : hit.end])
            known = found.get(key)
            if known is None:
                found[key] = DraftFinding(
                    key, hit.kind, position, 1, None, 1, place, hit.start, hit.end
                )
            else:
                found[key] = _once_more(known)
    return list(found.values())


def pii_key(findings: Findings, kind: str, position: int, text: str) -> int:
    """Return the key of personal data in a record; it stays when the rest of the record changes."""
    return findings.key("pii", kind, position, text)


def quality_findings(
    findings: Findings, position: int, record: Plain, options: ReviewOptions
) -> list[DraftFinding]:
    """Return a finding for each flag of a record."""
    return [
        DraftFinding(
            findings.key("quality", flag.flag, position),
            flag.flag,
            position,
            place=flag.place,
            start=flag.start if flag.place else None,
            end=flag.end if flag.place else None,
        )
        for flag in flags_of(record, options.short_characters)
    ]


def language_findings(
    findings: Findings, position: int, language: str, expected: Collection[str]
) -> list[DraftFinding]:
    """Return the finding that a record is in a language that is not expected, if it is."""
    if language == UNDETERMINED or language in expected:
        return []
    return [DraftFinding(findings.key("language", language, position), language, position)]


def expected_languages(options: ReviewOptions, counts: Mapping[str, int]) -> frozenset[str]:
    """Return the languages that records may have: those named, or else the most frequent one."""
    known = Counter({name: count for name, count in counts.items() if name != UNDETERMINED})
    return frozenset(options.languages or (name for name, _ in known.most_common(1)))


def options_of(queue: Queue, options: ReviewOptions) -> dict[str, Any]:
    """Return the options that count for a queue."""
    return options.model_dump(mode="json", include=set(_OPTIONS.get(queue, ())))


_OPTIONS: dict[Queue, tuple[str, ...]] = {
    "near": ("threshold", "part"),
    "phrases": ("phrase_words", "phrase_records"),
    "pii": ("pii", "presidio"),
    "quality": ("short_characters",),
    "language": ("languages",),
}


def _once_more(finding: DraftFinding) -> DraftFinding:
    return replace(finding, occurrences=(finding.occurrences or 0) + 1)


def _group(
    key: int,
    rule: str,
    read: _Read,
    indexes: Sequence[int],
    similarities: Sequence[float] | None = None,
) -> DraftFinding:
    values = similarities or [None] * len(indexes)
    members = tuple(
        Member(read.positions[index], None, read.ids[index], value)
        for index, value in islice(zip(indexes, values, strict=True), MEMBERS_KEPT)
    )
    return DraftFinding(key, rule, members[0].position, len(indexes), members=members)


def _pair(key: int, rule: str, read: _Read, index: int, there: Member) -> DraftFinding:
    here = Member(read.positions[index], None, read.ids[index])
    return DraftFinding(key, rule, here.position, 2, there.source, members=(here, there))


def _near_groups(found: Iterable[DraftFinding]) -> Iterator[tuple[int, int]]:
    for finding in found:
        if finding.rule == "group":
            for member in finding.members:
                yield member.position, finding.position


def _prompt_digest(record: Plain) -> str:
    prompt = prompt_of(record)
    return sha256_bytes(prompt.encode("utf-8", "surrogatepass")) if prompt else ""
