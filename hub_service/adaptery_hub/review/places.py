"""Where findings are now: a record may have changed since they were made.

Everything is looked up anew in the record as it is, by the key of the finding; what is not there
any more is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adaptery_hub.drafts import Draft, DraftRecord
from adaptery_hub.drafts.findings import DraftFinding, Findings, Member
from adaptery_hub.review.analysis import pii_key
from adaptery_hub.review.phrases import Words, words_and_spans
from adaptery_hub.review.quality import flags_of
from adaptery_hub.review.recognisers import Recognisers
from adaptery_hub.review.record_texts import Plain, places_of, spoken_places_of


@dataclass(frozen=True)
class Span:
    """A span of one text of a record."""

    place: str
    text: str
    start: int
    end: int

    @property
    def match(self) -> str:
        """What stands there."""
        return self.text[self.start : self.end]


def pii_spans(
    findings: Findings, position: int, record: Plain, recognisers: Recognisers
) -> Iterator[tuple[int, str, Span]]:
    """Yield key, kind and span of all personal data in a record, in order."""
    for place, text in places_of(record):
        for hit in recognisers.find(text):
            span = Span(place, text, hit.start, hit.end)
            yield pii_key(findings, hit.kind, position, span.match), hit.kind, span


def flag_span(finding: DraftFinding, record: Plain, short_characters: int) -> Span | None:
    """Return what broke a rule, if it is one span."""
    texts = dict(places_of(record))
    for flag in flags_of(record, short_characters):
        if flag.flag == finding.rule and flag.place is not None:
            return Span(flag.place, texts[flag.place], flag.start, flag.end)
    return None


def phrase_of(draft: Draft, finding: DraftFinding) -> tuple[Words, DraftRecord, Span] | None:
    """Return the words of a phrase, with a record that holds it and where; None: none does."""
    count = finding.end or 0
    for member in draft.findings.members(finding):
        item = draft.find(member.position)
        if item is None:
            continue
        for place, text in spoken_places_of(item.record):
            found = words_and_spans(text)
            for index in range(len(found) - count + 1):
                words = tuple(word for word, _ in found[index : index + count])
                if draft.findings.key("phrases", words) == finding.key:
                    start, end = found[index][1][0], found[index + count - 1][1][1]
                    return words, item, Span(place, text, start, end)
    return None


def phrase_positions(draft: Draft, words: Words) -> list[int]:
    """Return the records that may hold a phrase: the index of words has the same ones in a row."""
    quoted = '"' + " ".join(words).replace('"', "") + '"'
    rows = draft.connection.execute(
        "SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid",
        (f"{{assistant text chosen}} : {quoted}",),
    )
    return [row[0] for row in rows]


def own_records(
    draft: Draft, finding: DraftFinding, members: Sequence[Member]
) -> list[tuple[Member, DraftRecord]]:
    """Return the members of a group that are in this draft as they were when it was found."""
    found = [(m, draft.find(m.position)) for m in members if m.source is None]
    return [
        (member, item)
        for member, item in found
        if item is not None and member.record_id in (None, item.record_id)
    ]
