"""The profile of a draft or version: counts of what its records are, in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from adaptery_hub.review.languages import language_of
from adaptery_hub.review.quality import SHORT_CHARACTERS, flags_of
from adaptery_hub.review.record_texts import Plain, language_text_of, places_of


@dataclass
class Profile:
    """Counts over records; `add` takes the next one."""

    records: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    languages: Counter[str] = field(default_factory=Counter[str])
    flags: Counter[str] = field(default_factory=Counter[str])
    #: Records by the characters of all their text; a set of any size has few different ones.
    lengths: Counter[int] = field(default_factory=Counter[int])
    roles: Counter[str] = field(default_factory=Counter[str])

    def add(self, record: Plain, short_characters: int = SHORT_CHARACTERS) -> None:
        """Count a record."""
        self.records += 1
        self.kinds[record["kind"]] += 1
        self.languages[language_of(language_text_of(record))] += 1
        self.flags.update(flag.flag for flag in flags_of(record, short_characters))
        self.lengths[sum(len(text) for _, text in places_of(record))] += 1
        self.roles.update(message["role"] for message in record.get("messages", ()))


def profile(records: Iterable[Plain]) -> Profile:
    """Return the profile of records, as plain JSON."""
    result = Profile()
    for record in records:
        result.add(record)
    return result
