"""Phrases that many texts repeat, such as how a model names itself: counted by n-grams of words.

Words are numbers and n-grams hashes, so time and memory grow with the number of words. A phrase is
as long as the n-grams in it go on to be frequent; its counts are exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Phrases that are reported, those that take most of the text first.
PHRASES_MAX = 200
#: Candidates whose counts are made exact.
_CANDIDATES_MAX = 2_000
#: Where n-grams side by side differ so much in how frequent they are, a phrase ends.
_STEP = 2.0
#: A phrase inside a longer one is left out if it occurs hardly anywhere else.
_MOSTLY = 0.8
#: Words of one text that are looked at, and of all texts: they take twenty-five bytes each.
TEXT_WORDS, ALL_WORDS = 2_000, 40_000_000

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
#: The same, and what ends a sentence.
_TOKEN = re.compile(rf"{_WORD.pattern}|[.!?\n]")
_SENTENCE_END = 0  # its number; words count from 1
#: What goes with a phrase that is taken out.
_TRAIL = re.compile(r"[ \t]*[.,;:!?]*\s?")
_PRIME = np.uint64(0x9E3779B97F4A7C15)

Words = tuple[str, ...]
Indexes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Phrase:
    """A phrase, in lower case, and where it is."""

    words: Words
    records: int
    occurrences: int
    texts: tuple[int, ...]  # indexes of some texts that hold it


@dataclass(frozen=True)
class _Flat:
    """All texts as numbers of words, 0 where a sentence ends: W words, T texts."""

    words: npt.NDArray[np.int64]  # [W]
    text_of: npt.NDArray[np.int64]  # [W]
    names: Sequence[str]


def find_phrases(
    texts: Sequence[str], least_words: int, least_records: int, examples: int = 20
) -> list[Phrase]:
    """Return the phrases of at least so many words that at least so many texts hold."""
    flat = _flatten(texts)
    grams = _grams(flat, least_words)
    if grams.size == 0:
        return []
    counts = _texts_of_grams(grams, flat.text_of[: grams.size])
    counts[~_inside(flat, least_words)] = 0
    candidates = _runs(flat, counts, least_words, least_records)
    exact = (_count(flat, words, grams, least_words, examples) for words in candidates)
    found = [phrase for phrase in exact if phrase.records >= least_records]
    found.sort(key=lambda phrase: (-phrase.records * len(phrase.words), phrase.words))
    return _without_parts(found)[:PHRASES_MAX]


def spans_of(text: str, words: Words) -> list[tuple[int, int]]:
    """Return where a phrase begins and ends in a text, apart from each other."""
    found = words_and_spans(text)
    spans: list[tuple[int, int]] = []
    index = 0
    while index + len(words) <= len(found):
        if found[index][0] == words[0] and all(
            found[index + k][0] == word for k, word in enumerate(words)
        ):
            spans.append((found[index][1][0], found[index + len(words) - 1][1][1]))
            index += len(words)
        else:
            index += 1
    return spans


def words_and_spans(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Return the words of a text, in lower case, and where they stand."""
    return [(match[0].lower(), match.span()) for match in _WORD.finditer(text)]


def strip_phrase(text: str, words: Words) -> str:
    """Return a text without a phrase and the punctuation right after it."""
    parts: list[str] = []
    past = 0
    for start, end in spans_of(text, words):
        parts.append(text[past:start])
        trail = _TRAIL.match(text, end)
        past = trail.end() if trail else end
    return ("".join(parts) + text[past:]).strip() if past else text


def _flatten(texts: Sequence[str]) -> _Flat:
    names: dict[str, int] = dict.fromkeys(".!?\n", _SENTENCE_END)
    lengths: list[int] = []
    blocks: list[npt.NDArray[np.int64]] = []
    total = 0
    for text in texts:
        words = _TOKEN.findall(text.lower())[:TEXT_WORDS]
        total += len(words)
        if total > ALL_WORDS:
            break
        blocks.append(
            np.fromiter((names.setdefault(w, len(names) - 3) for w in words), np.int64, len(words))
        )
        lengths.append(len(words))
    flat = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int64)
    text_of = np.repeat(np.arange(len(lengths)), lengths)
    return _Flat(flat, text_of, [".", *list(names)[4:]])


def _grams(flat: _Flat, n: int) -> npt.NDArray[np.uint64]:
    """Return the hash of the n words from each word on."""
    count = max(flat.words.size - n + 1, 0)
    hashes = np.zeros(count, dtype=np.uint64)
    for k in range(n):
        hashes *= _PRIME
        hashes += flat.words[k : count + k].astype(np.uint64) + np.uint64(1)
        hashes ^= hashes >> np.uint64(31)
    return hashes


def _inside(flat: _Flat, n: int) -> npt.NDArray[np.bool_]:
    """Return which n-grams do not reach into the next sentence, or the next text."""
    count = flat.words.size - n + 1
    ends = np.append(0, np.cumsum(flat.words == _SENTENCE_END))
    within = ends[n:] == ends[:-n]
    return within & (flat.text_of[:count] == flat.text_of[n - 1 :])


def _texts_of_grams(grams: npt.NDArray[np.uint64], text_of: Indexes) -> Indexes:
    """Return for each n-gram how many texts hold it."""
    order = np.argsort(grams, kind="stable")
    new_gram = np.append(True, grams[order][1:] != grams[order][:-1])
    new_text = new_gram | np.append(True, text_of[order][1:] != text_of[order][:-1])
    group = np.cumsum(new_gram) - 1
    counts = np.bincount(group, weights=new_text).astype(np.int64)
    result = np.empty(grams.size, dtype=np.int64)
    result[order] = counts[group]
    return result


def _runs(flat: _Flat, counts: Indexes, n: int, least: int) -> list[npt.NDArray[np.int64]]:
    """Return the words of each different run of frequent n-grams, the most frequent first."""
    frequent = counts >= least
    before = np.append(0, counts[:-1])
    ratio = np.maximum(counts, before) > _STEP * np.minimum(counts, before)
    moved = np.append(True, flat.text_of[1 : counts.size] != flat.text_of[: counts.size - 1])
    starts = np.flatnonzero(frequent & (ratio | moved))
    ends_here = ~frequent | ratio | moved
    stops = np.flatnonzero(ends_here)
    # A run ends before the next n-gram that is not frequent, or much more or less so.
    after = np.append(stops, counts.size)[np.searchsorted(stops, starts, side="right")]
    seen: dict[bytes, int] = {}
    for start, stop in zip(starts.tolist(), after.tolist(), strict=True):
        key = flat.words[start : stop + n - 1].tobytes()
        seen[key] = seen.get(key, 0) + 1
    often = sorted(seen, key=lambda key: -seen[key] * len(key))[:_CANDIDATES_MAX]
    return [np.frombuffer(key, dtype=np.int64) for key in often]


def _count(
    flat: _Flat, words: Indexes, grams: npt.NDArray[np.uint64], n: int, examples: int
) -> Phrase:
    """Count the places that hold all words of a phrase."""
    at = np.flatnonzero(grams == _grams(_Flat(words[:n], words[:n], []), n)[0])
    at = at[at + len(words) <= flat.words.size]
    for k, word in enumerate(words.tolist()):
        at = at[flat.words[at + k] == word]
    at = at[flat.text_of[at] == flat.text_of[at + len(words) - 1]]
    texts = np.unique(flat.text_of[at])
    names: Words = tuple(str(flat.names[word]) for word in words.tolist())
    return Phrase(names, int(texts.size), int(at.size), tuple(texts[:examples].tolist()))


def _without_parts(phrases: list[Phrase]) -> list[Phrase]:
    """Leave out phrases that are hardly more than a part, or a continuation, of another one."""
    kept: list[Phrase] = []
    for phrase in phrases:
        if len(kept) == PHRASES_MAX:
            break
        if not any(_covers(other, phrase) for other in kept):
            kept.append(phrase)
    return kept


def _covers(other: Phrase, phrase: Phrase) -> bool:
    if len(phrase.words) <= len(other.words):
        return _holds(other.words, phrase.words) and other.records >= _MOSTLY * phrase.records
    return _holds(phrase.words, other.words) and phrase.records < _MOSTLY * other.records


def _holds(words: Words, part: Words) -> bool:
    return any(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))
