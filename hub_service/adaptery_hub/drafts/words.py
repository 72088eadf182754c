"""The words of a record, by the field that they stand in: what the index of a draft is given.

A field is what one role says, or a part of the record. A contentless index must be told exactly the
text that it was given when a record goes: so what `words_of` returns for a record may never change
without a step of the schema that builds the index anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from adaptery.schemas.curation import RECORD_FIELDS

#: Values below these names are said of every record.
_NOT_CONTENT = frozenset({"kind", "role"})

Words = tuple[str | None, ...]  # one for each of RECORD_FIELDS; None: the record has no such field


def words_of(record: Mapping[str, object]) -> Words:
    """Return the text of a record in each of RECORD_FIELDS."""
    return words_and_length(record)[0]


def length_of(record: Mapping[str, object]) -> int:
    """Return the characters of all text in a record."""
    return words_and_length(record)[1]


def words_and_length(record: Mapping[str, object]) -> tuple[Words, int]:
    """Return both, for little more than one of them takes."""
    found: dict[str, list[str]] = {}
    for message in cast("list[Mapping[str, object]]", record.get("messages", ())):
        said = found.setdefault(str(message["role"]), [])
        if len(message) == 2:  # role and content: nearly all are
            said.append(cast("str", message["content"]))
        else:
            said.extend(texts(message))
    for name in ("text", "chosen", "rejected", "tools"):
        if (value := record.get(name)) is not None:
            found.setdefault(name, []).extend(texts(value))
    words = tuple("\n".join(found[field]) if field in found else None for field in RECORD_FIELDS)
    return words, sum(len(text) for said in found.values() for text in said)


def texts(value: object) -> Iterator[str]:
    """Yield every text in a record, or in a part of one, in a fixed order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name in sorted(cast("Mapping[str, object]", value)):
            if name not in _NOT_CONTENT or not isinstance(value[name], str):
                yield from texts(value[name])
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            yield from texts(item)
