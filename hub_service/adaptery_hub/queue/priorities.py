"""Priorities as words and as the numbers that the order of a queue compares."""

from __future__ import annotations

from collections.abc import Mapping

from adaptery.schemas.jobs import Priority

__all__ = ["NUMBERS", "priority_word"]

NUMBERS: Mapping[Priority, int] = {"low": -1, "normal": 0, "high": 1}


def priority_word(number: int) -> Priority:
    """Returns what a number is called; one beyond the words has the nearest."""
    return min(NUMBERS, key=lambda word: abs(NUMBERS[word] - number))
