"""Quality flags: rules that anyone can check by looking, each with the span that broke it.

No pattern here can match in two ways, and each repetition is bounded: time grows with the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from adaptery.schemas.review import QualityFlag
from adaptery_hub.review.record_texts import (
    Plain,
    answer_of,
    calls_tools,
    places_of,
    question_of,
)

#: An answer of fewer characters is flagged as short.
SHORT_CHARACTERS = 15
#: Where a refusal stands, if the answer is one.
REFUSAL_CHARACTERS = 300
#: Lines of a transcript that begin with a speaker, at least, for it to be one.
SPEAKER_LINES = 4

_REFUSAL = re.compile(
    r"\bI(?:['\u2019]m| am) (?:very |really |so )?(?:sorry|afraid|unable|not able)\b[^.!?\n]{0,80}"
    r"\b(?:can(?:no|['\u2019])t|unable|not able|don['\u2019]t|do not|won['\u2019]t)\b"
    r"|\bI (?:cannot|can['\u2019]t|can not|won['\u2019]t|will not|am unable to|am not able to) "
    r"(?:\w{1,12} )?(?:assist|help|provide|answer|fulfil|comply|generate|create|write|do that)"
    r"|\bI(?:['\u2019]m| am) (?:unable|not able) to (?:assist|help|provide|answer|fulfil|comply)"
    r"|\bas an? (?:AI|artificial intelligence|large)(?: language)? (?:model|assistant)\b",
    re.IGNORECASE,
)
#: Not what Review puts in place of personal data, such as [NAME]: that is there on purpose.
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{1,60}\}\}"
    r"|\[(?:your|insert|enter|add|company|recipient|sender|customer|client|product|patient)"
    r"(?:['\u2019]s)?[ _-][^\[\]\n]{0,40}\]"
    r"|<(?:your|insert|enter)[ _-][^<>\n]{1,40}>"
    r"|\blorem ipsum\b",
    re.IGNORECASE,
)
#: UTF-8 read as Windows-1252, replacement characters, controls but for tab and line ends.
_DAMAGE = re.compile(
    r"[\u00c2\u00c3][\u0080-\u00bf]|\u00e2(?:\u20ac|\u0080)[\u0080-\u00bf\u0153\u2013-\u2122]"
    r"|\u00ef\u00bb\u00bf|[\ufffd\ufeff\ufffe\ud800-\udfff]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"
)
_GAP = re.compile(
    r"\[ ?(?:\.{3,6}|\u2026|illegible|unintelligible|unclear|inaudible|unreadable|unk) ?\]"
    r"|\[_{2,20}\]|\u25aa{2,20}|\u2047",
    re.IGNORECASE,
)
_SPEAKER = re.compile(r"^[ \t]{0,4}(?:\[([A-Za-z][\w ]{0,24})\]|([A-Z][\w ]{0,24}):)", re.MULTILINE)

#: Flags, what finds them, and the characters of which there is one in everything found: to look for
#: those first takes a tenth of the time.
_BY_PATTERN: tuple[tuple[QualityFlag, re.Pattern[str], re.Pattern[str]], ...] = (
    ("placeholder", _PLACEHOLDER, re.compile(r"[{\[<]|lorem ipsum", re.IGNORECASE)),
    ("encoding", _DAMAGE, re.compile(r"[^\t\n\r -~]")),
    ("illegible", _GAP, re.compile("[\\[\u25aa\u2047]")),
)


@dataclass(frozen=True)
class Flag:
    """A rule that a record breaks, and where first, if it is in one place."""

    flag: QualityFlag
    place: str | None = None
    start: int = 0
    end: int = 0


def flags_of(record: Plain, short_characters: int = SHORT_CHARACTERS) -> list[Flag]:
    """Return the flags of a record, each once."""
    found = [Flag(flag) for flag in _answer_flags(record, short_characters)]
    seen = {flag.flag for flag in found}
    for flag in _span_flags(record):
        if flag.flag not in seen:
            seen.add(flag.flag)
            found.append(flag)
    return found


def holds_placeholder(record: Plain) -> bool:
    """Whether something in a record was to be filled in, and was not."""
    return any(_PLACEHOLDER.search(text) for _, text in places_of(record))


def _answer_flags(record: Plain, short_characters: int) -> Iterator[QualityFlag]:
    answer = answer_of(record).strip()
    if not calls_tools(record):
        if not any(map(str.isalnum, answer)):
            yield "empty"
        elif len(answer) < short_characters:
            yield "short"
    if record["kind"] == "text":
        return
    if answer and answer == question_of(record).strip():
        yield "echo"
    if _REFUSAL.search(answer, 0, REFUSAL_CHARACTERS):
        yield "refusal"


def _span_flags(record: Plain) -> Iterator[Flag]:
    for place, text in places_of(record):
        for flag, pattern, hint in _BY_PATTERN:
            if (at := hint.search(text)) and (match := pattern.search(text, at.start())):
                yield Flag(flag, place, *match.span())
        if span := _speaker_out_of_order(text):
            yield Flag("roles", place, *span)


def _speaker_out_of_order(text: str) -> tuple[int, int] | None:
    """Return the first speaker of a transcript of two who speaks twice in a row.

    One of the two tags is probably the other's, or a turn is missing.
    """
    if "\n" not in text:
        return None
    tags = [(m[1] or m[2], m.span()) for m in _SPEAKER.finditer(text)]
    if len(tags) < SPEAKER_LINES or len({name.lower() for name, _ in tags}) != 2:
        return None
    for (before, _), (name, span) in pairwise(tags):
        if name.lower() == before.lower():
            return span
    return None
