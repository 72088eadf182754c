"""What somebody probably meant who wrote a word that is none of those that are known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["meant"]

#: Characters of a word that are looked at: comparing takes time that grows with its square.
_CHARACTERS = 100


def meant(word: str, known: Iterable[str]) -> str:
    """Return a remedy: the nearest of the words, those that hold it, or all of them."""
    words = list(known)
    within = [other for other in words if word and word in other]
    near = difflib.get_close_matches(word[:_CHARACTERS], words, n=1) or within[:3]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"use one of: {', '.join(words)}"
