"""How like a held out answer a written one is: ROUGE-L and exact match. No torch.

Source: Lin, 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 3.1: F1 of the
longest common subsequence of words. A word is what is made of letters and digits, in lower case, of
any script, and nothing is stemmed; so for English the numbers are those of the package rouge-score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: An underscore is no letter to rouge-score.
_WORD = re.compile(r"[^\W_]+")


def rouge_l(wanted: str, written: str) -> float:
    """Return the F1 of ROUGE-L, from 0 to 1; 0 where either has no words."""
    reference, answer = _words(wanted), _words(written)
    common = _common_length(reference, answer)
    return 2 * common / (len(reference) + len(answer)) if common else 0.0


def is_exact(wanted: str, written: str) -> bool:
    """Say whether two answers are the same but for white space."""
    return wanted.split() == written.split()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = row
        row = [0]
        for place, against in enumerate(other):
            same = before[place] + 1 if word == against else 0
            row.append(max(same, row[place], before[place + 1]))
    return row[-1]
