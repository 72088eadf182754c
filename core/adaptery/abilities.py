"""What a job may need of the machine that trains it, beyond what every machine can.

A worker tries which of these it can, its agent says so, and a job goes only to an agent whose
workers can all that it needs. An ability has the name of the option's value that asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations

#: What it takes to have each of them, for whoever is refused.
ABILITIES: Mapping[str, frozenset[str]] = {
    "fp16": frozenset({"a GPU"}),
    "8bit": frozenset({"bitsandbytes"}),
    "4bit": frozenset({"bitsandbytes"}),
    "flash": frozenset({"a GPU", "flash-attn"}),
}
#: Fields of the section `optim` that may ask for one.
_FIELDS = ("precision", "quantization", "attention")


def needed_abilities(optim: Mapping[str, object]) -> dict[str, str]:
    """Return what a job with this section of its spec needs, by the field that asks for it."""
    asked = {field: str(optim.get(field)) for field in _FIELDS}
    return {field: value for field, value in asked.items() if value in ABILITIES}


def required(abilities: Iterable[str]) -> str:
    """Return what somebody must have for all of these, in words."""
    return " and ".join(sorted(frozenset[str]().union(*map(ABILITIES.__getitem__, abilities))))


def needs_text(abilities: Iterable[str]) -> str:
    """Return abilities as one text, the same for the same ones."""
    return " ".join(sorted(abilities))


def met_needs(abilities: Collection[str]) -> Iterator[str]:
    """Yield every text of needs that whoever has these abilities meets."""
    for count in range(len(abilities) + 1):
        yield from map(needs_text, combinations(abilities, count))
