"""Recognisers of personal data: a pattern that is cheap and bounded, then a check of what it found.

Invariants:

- Time grows with the length of the text only: each repetition has a small upper bound, and a match
  can begin only where the character before it is not of the same kind.
- Hits come in order and never overlap; of two that would, the more specific one stays.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from adaptery.schemas.review import PII_KINDS, PiiKind
from adaptery_hub.review.people import People

#: What stands in the place of what was found, unless somebody says otherwise.
REPLACEMENTS: dict[PiiKind, str] = {kind: f"[{kind.upper()}]" for kind in PII_KINDS}
#: Characters before a number that may say what it is.
_CONTEXT_CHARACTERS = 30

_DIGIT = re.compile(r"\d")
#: What may be there in a text without a digit; most texts have none.
_WITHOUT_DIGITS: frozenset[PiiKind] = frozenset({"email", "name"})

_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    "oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_EMAIL = re.compile(
    r"(?<![\w.%+-])[A-Za-z0-9_%+-][\w.%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?!\w)"
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_SSN = re.compile(r"(?<![\w-])(\d{3})([- ]?)(\d{2})\2(\d{4})(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w.+(-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,5}\)|\d{1,5})(?:[ .-]\d{2,7}){1,4}(?![\w-])"
    r"|(?<![\w.+(-])\+?\d{10,15}(?![\w-])"
)
_MRN = re.compile(
    r"\b(?:mrn|(?:medical|patient|hospital) (?:record|chart|account|id)(?: ?(?:number|no\.?|id))?"
    r"|chart (?:number|no\.?)|patient (?:number|no\.?))"
    r"[ \t]{0,3}(?:is|[:#=])?[ \t#]{0,3}([A-Za-z]{0,4}-?\d[\dA-Za-z-]{3,19})(?![\w-])",
    re.IGNORECASE,
)
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_DATES = (
    re.compile(r"(?<![\w/.-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?![\w/-])"),
    re.compile(r"(?<![\w/.-])(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-])"),
    re.compile(
        rf"\b(?:{_MONTHS})\.? (\d{{1,2}})(?:st|nd|rd|th)?(?:,? ?(?:19|20)\d{{2}})?(?!\w)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<!\w)(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?:{_MONTHS})\b\.?(?:,? (?:19|20)\d{{2}})?"
        r"(?!\w)",
        re.IGNORECASE,
    ),
)
_AGES = (
    re.compile(r"(?<![\w.-])(\d{1,3})[ -]{0,2}(?:years?|yrs?\.?)[ -]{0,2}(?:old|of age)\b", re.I),
    re.compile(r"(?<![\w.-])(\d{1,3}) ?(?:y/o|yo|y\.o\.)(?!\w)", re.I),
    re.compile(r"\b(?:aged|age:?|age is|age of) (\d{1,3})(?!\w|[.,]\d)", re.I),
)
_PHONE_WORDS = re.compile(
    r"\b(?:phone|tel|telephone|call|cell|mobile|fax|pager|number|dial)\b", re.I
)
_SSN_WORDS = re.compile(r"\b(?:ssn|social security)\b", re.I)


@dataclass(frozen=True)
class Hit:
    """Something that looks like personal data, in one text."""

    kind: PiiKind
    start: int
    end: int


class Recognisers:
    """Finds personal data of some kinds; make it once for many texts."""

    def __init__(
        self,
        kinds: Collection[PiiKind] = PII_KINDS,
        more_names: frozenset[str] = frozenset(),
        more: Callable[[str], Iterator[Hit]] | None = None,
    ) -> None:
        """Take what to look for.

        Args:
            kinds: what is looked for.
            more_names: names that a deployment adds.
            more: another finder, whose hits count less than those found here.
        """
        people = People(more_names)
        finders: tuple[tuple[PiiKind, _Finder], ...] = (*_FINDERS, ("name", people.find))
        self._finders: list[tuple[PiiKind, _Finder]] = [
            (kind, find) for kind, find in finders if kind in kinds
        ]
        self._more = more
        self._kinds = frozenset(kinds)

    def find(self, text: str) -> list[Hit]:
        """Return the hits in a text, in order."""
        taken: list[Hit] = []
        digits = _DIGIT.search(text) is not None
        for kind, find in self._finders:
            if not digits and kind not in _WITHOUT_DIGITS:
                continue
            taken += [Hit(kind, start, end) for start, end in find(text)]
        if self._more is not None:
            taken += [hit for hit in self._more(text) if hit.kind in self._kinds]
        return _apart(taken) if len(taken) > 1 else taken


def _apart(hits: list[Hit]) -> list[Hit]:
    """Return hits in order without those that overlap one which came before in the list."""
    order = sorted(range(len(hits)), key=lambda i: (hits[i].start, i))
    result: list[int] = []
    for index in order:
        # Only the last one can overlap: those before it end before it begins.
        if result and hits[index].start < hits[result[-1]].end:
            if index < result[-1]:
                result[-1] = index
            continue
        result.append(index)
    return [hits[index] for index in result]


_Finder = Callable[[str], Iterator[tuple[int, int]]]


def _emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        yield from (match.span() for match in _EMAIL.finditer(text))


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = _digits(match[0])
        if digits[0] in "23456" and len(set(digits)) > 1 and _luhn(digits):
            yield match.span()


def _ssns(text: str) -> Iterator[tuple[int, int]]:
    for match in _SSN.finditer(text):
        area, between, group, serial = match.groups()
        # Source: Social Security Administration, "Social Security Number Randomization": never
        # area 000, 666 or 900 and above, group 00, serial 0000.
        never = area in ("000", "666") or area >= "900" or group == "00" or serial == "0000"
        if not never and (between == "-" or _said(_SSN_WORDS, text, match.start())):
            yield match.span()


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _PHONE.finditer(text):
        if _is_phone(match[0], text, match.start()):
            yield match.span()


def _is_phone(found: str, text: str, start: int) -> bool:
    digits = _digits(found)
    if found.startswith("+"):
        return 8 <= len(digits) <= 15
    national = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    if len(national) == 10 and national[0] in "23456789" and national[3] in "23456789":
        groups = [len(part) for part in re.split(r"\D+", found) if part]
        if groups[-3:] == [3, 3, 4] or (groups[-2:] == [3, 4] and "(" in found):
            return True
    return 7 <= len(digits) <= 15 and _said(_PHONE_WORDS, text, start)


def _mrns(text: str) -> Iterator[tuple[int, int]]:
    for match in _MRN.finditer(text):
        if len(_digits(match[1])) >= 4:
            yield match.span(1)


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_IP4, _IP6):
        for match in pattern.finditer(text):
            if len(match[0].strip(":")) > 3 and _is_ip(match[0]):
                yield match.span()


def _is_ip(found: str) -> bool:
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    return True


def _dates(text: str) -> Iterator[tuple[int, int]]:
    for index, pattern in enumerate(_DATES):
        for match in pattern.finditer(text):
            if index == 0:
                good = _is_day(match[3], match[4])
            elif index == 1:
                good = _is_day(match[1], match[3]) or _is_day(match[3], match[1])
            else:
                good = 1 <= int(match[1]) <= 31
            if good:
                yield match.span()


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _ages(text: str) -> Iterator[tuple[int, int]]:
    for pattern in _AGES:
        for match in pattern.finditer(text):
            if int(match[1]) <= 120:
                yield match.span(1)


#: In the order of precedence: what comes first wins where two overlap. Names come after all.
_FINDERS: tuple[tuple[PiiKind, _Finder], ...] = (
    ("email", _emails),
    ("card", _cards),
    ("ssn", _ssns),
    ("mrn", _mrns),
    ("ip", _ips),
    ("date", _dates),
    ("phone", _phones),
    ("age", _ages),
)


def _said(words: re.Pattern[str], text: str, start: int) -> bool:
    return words.search(text, max(0, start - _CONTEXT_CHARACTERS), start) is not None


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _luhn(digits: str) -> bool:
    # Source: ISO/IEC 7812-1, annex B.
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value if value < 10 else value - 9
    return total % 10 == 0
