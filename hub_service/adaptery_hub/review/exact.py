"""Exact duplicates: equal records, and equal prompts with different answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def exact_groups(ids: Iterable[Hashable]) -> list[tuple[int, ...]]:
    """Return the indexes of each id that occurs more than once, in the order of the first ones."""
    first: dict[Hashable, int] = {}
    groups: dict[Hashable, list[int]] = {}
    for index, value in enumerate(ids):
        earlier = first.setdefault(value, index)
        if earlier != index:
            groups.setdefault(value, [earlier]).append(index)
    return sorted(map(tuple, groups.values()))
