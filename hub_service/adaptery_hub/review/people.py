"""Finds names of people in a text, by lists of names and by what stands before them.

One pass over the words. A word that is on a list counts if it is written like a name; in text
without capitals, such as a transcript, if it is no word of everyday English. What follows a title
or a greeting counts if it looks like a name or is on a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adaptery_hub.review.names import COMMON_WORDS, FIRST_NAMES, LAST_NAMES, NAME_WORDS

#: Letters with apostrophes and hyphens between them. No part of it can match in two ways.
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
#: The next word, after what may stand there.
_AFTER_TITLE = re.compile(rf" ?\.? ?({_WORD.pattern})")
_AFTER_GREETING = re.compile(rf" ?,? ({_WORD.pattern})")
_AFTER_NAME_IS = re.compile(rf"(?: is|'s)? ?:? ({_WORD.pattern})")
_NEXT = re.compile(rf"\.? ({_WORD.pattern})")

_TITLES = frozenset({"mr", "mrs", "ms", "miss", "mister", "dr", "prof", "sir", "madam"})
_GREETINGS = frozenset(
    {"hi", "hello", "hey", "morning", "afternoon", "evening", "welcome", "bye", "thanks"}
)
_SUFFIXES = ("'s", "\u2019s")
_LISTED = FIRST_NAMES | LAST_NAMES
_NO_NAMES = (
    "a an and are as at but by can could denies did do does for from had has have he her his how i "
    "if in is it let let's me my no not of on or our please presents reports said says she should "
    "so that the there they this to was we were what when where who why will with would yes you "
    "your"
)
#: Written with a capital after a first name or a title, these are no names.
_NO_NAME_SET = frozenset(_NO_NAMES.split())

_Match = re.Match[str]


class People:
    """Finds names; make it once, with the names that a deployment adds."""

    def __init__(self, more_names: frozenset[str] = frozenset()) -> None:
        self._more: dict[str, list[tuple[str, ...]]] = {}
        for name in more_names:
            words = tuple(name.split())
            self._more.setdefault(words[0], []).append(words)
        self._triggers = _LISTED | _TITLES | _GREETINGS | {"name"} | self._more.keys()

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where names begin and end, in order and apart from each other."""
        triggers, past = self._triggers, 0
        for word in _WORD.finditer(text):
            lower = word[0].lower()
            if lower.endswith(_SUFFIXES):
                lower = lower[:-2]
            if lower in triggers and word.start() >= past:
                span = self._name_at(text, word, lower)
                if span is not None:
                    past = span[1]
                    yield span

    def _name_at(self, text: str, word: _Match, lower: str) -> tuple[int, int] | None:
        """Return the name that begins at a word, or right after it."""
        if (end := self._listed_by_admin(text, word, lower)) > 0:
            return word.start(), end
        for trigger, pattern, capitals in _CONTEXTS:
            if lower in trigger and (after := pattern.match(text, word.end())):
                name = after[1]
                listed = _stem(name) in _LISTED
                if listed or (capitals and name[0].isupper() and name.lower() not in _NO_NAME_SET):
                    end = _extend(text, name, after.end(1))
                    # One letter alone, as in "Dr. X", stands for a name that was taken out.
                    return (after.start(1), end) if end - after.start(1) > 1 else None
        if lower in _LISTED and _written_as_name(text, word, lower):
            return word.start(), _extend(text, word[0], word.end())
        return None

    def _listed_by_admin(self, text: str, word: _Match, lower: str) -> int:
        """Return where a name of the deployment ends that begins with a word; 0 if none does."""
        for name in self._more.get(lower, ()):
            end, words = word.end(), [lower]
            while len(words) < len(name) and (after := _NEXT.match(text, end)):
                words.append(_stem(after[1]))
                end = after.end(1)
            if tuple(words) == name:
                return _without_suffix(text, end)
        return 0


#: What tells that a name follows: words, what may stand between, and whether a capital is enough.
_CONTEXTS = (
    (_TITLES, _AFTER_TITLE, True),
    (_GREETINGS, _AFTER_GREETING, False),
    (frozenset({"name"}), _AFTER_NAME_IS, True),
)


def _written_as_name(text: str, word: _Match, lower: str) -> bool:
    if not word[0][0].isupper():
        return lower in FIRST_NAMES and lower not in COMMON_WORDS
    if lower not in COMMON_WORDS:
        return True
    # An everyday word with a capital: only as the first name before a surname.
    after = _NEXT.match(text, word.end()) if lower in FIRST_NAMES else None
    return after is not None and after[1][0].isupper() and _stem(after[1]) in LAST_NAMES


def _extend(text: str, first: str, end: int) -> int:
    """Return where the name ends whose first word ends here."""
    before = first
    for _ in range(NAME_WORDS - 1):
        after = _NEXT.match(text, end)
        if after is None or (after[0][0] == "." and len(before) > 1):  # only initials have a stop
            break
        before = word = after[1]
        capital = first[0].isupper() and word[0].isupper() and word.lower() not in _NO_NAME_SET
        listed = not first[0].isupper() and _stem(word) in LAST_NAMES
        if not (capital or listed):
            break
        end = after.end(1)
    return _without_suffix(text, end)


def _without_suffix(text: str, end: int) -> int:
    return end - 2 if text.endswith(_SUFFIXES, 0, end) else end


def _stem(word: str) -> str:
    lower = word.lower()
    return lower[:-2] if lower.endswith(_SUFFIXES) else lower
