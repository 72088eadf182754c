"""Near duplicates: texts whose 5-character shingles are alike, by MinHash LSH and exact Jaccard.

How: texts that share one of 64 bands of 4 slots of their sketches are candidates. Two texts with
Jaccard 0.5 share one with probability 1 - (1 - 0.5**4)**64 = 0.984, two with 0.05 in one case of
2,500. Candidates whose sketches look alike are compared exactly, so no pair is reported that is
not as alike as was asked for.

Invariants:

- Time and memory grow with the number of texts, not with that of pairs: in a band, a text is
  compared with at most `NEIGHBOURS` others on each side, and with none that its group has already.
- Equal texts are one text here, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from adaptery_hub.processes import Report
from adaptery_hub.review.shingles import SLOTS, Indexes, Sketches, jaccard, sketch

#: The least threshold for which the bands find what they promise.
THRESHOLD = 0.5
BANDS, ROWS = 64, 4
assert BANDS * ROWS == SLOTS

#: In the order of a band, how far from each other two texts may stand to be compared.
NEIGHBOURS = 8
#: Other texts of one band that a text is compared with, between two sets.
MATCHES_TRIED = 4
#: A sketch tells how alike two texts are to within so many standard deviations.
_DEVIATIONS = 4.0
#: Members of a group whose pairs are all listed by `near_pairs`.
PAIRED_MEMBERS = 64
_PAIRS_AT_ONCE = 20_000
#: Odd constants that spread the bits of a band; see `shingles`.
_SPREAD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_HALF = np.uint64(32)


@dataclass(frozen=True)
class NearGroup:
    """Texts that are connected by being alike; the first one is the earliest."""

    members: tuple[int, ...]  # indexes, ascending
    similarities: tuple[float, ...]  # of each with the first; below the threshold: by others only


@dataclass(frozen=True)
class Match:
    """A text and one of another set that is like it."""

    text: int
    other: int
    similarity: float


def near_groups(
    texts: Sequence[str], threshold: float = THRESHOLD, report: Report | None = None
) -> list[NearGroup]:
    """Return the groups of texts with a Jaccard of at least `threshold`, in order.

    Equal texts are in one group as well. Empty texts are in none.

    Args:
        texts: the texts.
        threshold: from 0.5 to 1.
        report: told how many texts are done.
    """
    twins = _twins(texts)
    firsts = list(twins.values())
    distinct = [texts[members[0]] for members in firsts]
    groups = _Groups(len(distinct))
    _connect(distinct, threshold, groups, report)
    found: list[NearGroup] = []
    for parts in groups.all(min_size=1):
        if len(parts) == 1 and len(firsts[parts[0]]) == 1:
            continue
        found.append(_group(distinct, parts, firsts))
    return sorted(found, key=lambda group: group.members)


def near_pairs(texts: Sequence[str], threshold: float = THRESHOLD) -> Iterator[tuple[int, int]]:
    """Yield the pairs of texts with a Jaccard of at least `threshold`, by index.

    Of a group with more than `PAIRED_MEMBERS` members only those with its first one.
    """
    for group in near_groups(texts, threshold):
        pairs = list(combinations(group.members[:PAIRED_MEMBERS], 2))
        pairs += [(group.members[0], member) for member in group.members[PAIRED_MEMBERS:]]
        lefts, rights = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
        alike = jaccard(texts, lefts, rights) >= threshold
        yield from (pair for pair, holds in zip(pairs, alike, strict=True) if holds)


def near_matches(
    texts: Sequence[str],
    others: Sequence[str],
    threshold: float = THRESHOLD,
    report: Report | None = None,
) -> list[Match]:
    """Return for each text the one of another set that is most like it, if one is alike enough."""
    if not texts or not others:
        return []
    together = _Joined(texts, others)
    sketches = sketch(together, report)
    best: dict[int, Match] = {}
    seen: set[int] = set()
    for lefts, rights in _between(sketches, len(texts)):
        keys = lefts * len(together) + rights
        new = np.array([key not in seen for key in keys.tolist()], dtype=bool)
        lefts, rights, keys = lefts[new], rights[new], keys[new]
        likely = _agreement(sketches, lefts, rights) >= _least_agreement(threshold)
        seen.update(keys[likely].tolist())
        lefts, rights = lefts[likely], rights[likely]
        values = jaccard(together, lefts, rights)
        for left, right, value in zip(lefts.tolist(), rights.tolist(), values, strict=True):
            known = best.get(left)
            if value >= threshold and (known is None or known.similarity < value):
                best[left] = Match(left, right - len(texts), float(value))
    return [best[text] for text in sorted(best)]


class _Joined(Sequence[str]):
    """Two sequences of texts, one after the other, without a copy."""

    def __init__(self, first: Sequence[str], second: Sequence[str]) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, index: int) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        if index >= len(self):
            raise IndexError
        count = len(self._first)
        return self._first[index] if index < count else self._second[index - count]


class _Groups:
    """Which texts are connected (union-find); the root of a group is its first text."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count)

    def find(self, index: int) -> int:
        parents = self._parents
        while (parent := int(parents[index])) != index:
            parents[index] = parents[parent]
            index = parent
        return index

    def connect(self, left: int, right: int) -> None:
        first, second = sorted((self.find(left), self.find(right)))
        self._parents[second] = first

    def roots(self) -> Indexes:
        """Return the root of each text."""
        while True:
            above = self._parents[self._parents]
            if np.array_equal(above, self._parents):
                return above
            self._parents = above

    def all(self, min_size: int) -> Iterator[list[int]]:
        roots = self.roots()
        order = np.argsort(roots, kind="stable")
        ends = np.flatnonzero(np.diff(roots[order])) + 1
        for members in np.split(order, ends):
            if len(members) >= min_size:
                yield members.tolist()


def _twins(texts: Sequence[str]) -> dict[str, list[int]]:
    """Return the indexes of each different text that is not empty."""
    twins: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        if text:
            twins.setdefault(text, []).append(index)
    return twins


def _group(texts: Sequence[str], parts: list[int], twins: Sequence[list[int]]) -> NearGroup:
    first = min(parts, key=lambda part: twins[part][0])
    lefts = np.full(len(parts), first, dtype=np.int64)
    values = jaccard(texts, lefts, np.array(parts, dtype=np.int64))
    members = sorted(
        (index, float(value))
        for part, value in zip(parts, values, strict=True)
        for index in twins[part]
    )
    return NearGroup(
        tuple(index for index, _ in members), tuple(round(value, 4) for _, value in members)
    )


def _connect(
    texts: Sequence[str], threshold: float, groups: _Groups, report: Report | None
) -> None:
    """Connect all texts that are found to be alike."""
    if len(texts) < 2:
        return
    sketches = sketch(texts, report)
    least = _least_agreement(threshold)
    failed: set[int] = set()
    for lefts, rights in _neighbours(sketches):
        roots = groups.roots()
        apart = roots[lefts] != roots[rights]
        lefts, rights = lefts[apart], rights[apart]
        likely = _agreement(sketches, lefts, rights) >= least
        lefts, rights = lefts[likely], rights[likely]
        keys = (lefts * len(texts) + rights).tolist()
        new = np.array([key not in failed for key in keys], dtype=bool)
        lefts, rights = lefts[new], rights[new]
        values = jaccard(texts, lefts, rights)
        for left, right, value in zip(lefts.tolist(), rights.tolist(), values, strict=True):
            if value >= threshold:
                groups.connect(left, right)
            else:
                failed.add(left * len(texts) + right)


def _neighbours(sketches: Sketches) -> Iterator[tuple[Indexes, Indexes]]:
    """Yield pairs of texts that share a band and stand near each other in it."""
    for keys in _band_keys(sketches):
        order = np.argsort(keys, kind="stable")
        bands = (keys[order] >> _HALF).astype(np.uint32)
        for distance in range(1, NEIGHBOURS + 1):
            same = np.flatnonzero(bands[distance:] == bands[:-distance])
            if same.size == 0:
                break
            ends = order[same], order[same + distance]
            yield np.minimum(*ends), np.maximum(*ends)


def _between(sketches: Sketches, count: int) -> Iterator[tuple[Indexes, Indexes]]:
    """Yield pairs of one of the first `count` texts and one of the others that share a band."""
    for keys in _band_keys(sketches):
        bands = (keys >> _HALF).astype(np.uint32)
        order = np.argsort(bands[count:], kind="stable")
        theirs = bands[count:][order]
        start = np.searchsorted(theirs, bands[:count], side="left")
        end = np.searchsorted(theirs, bands[:count], side="right")
        for step in range(MATCHES_TRIED):
            mine = np.flatnonzero(start + step < end)
            yield mine, order[start[mine] + step] + count


def _band_keys(sketches: Sketches) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield for each band one number a text: its slots above, those of the next band below.

    So texts that share this band stand in the order of the next one, the most alike side by side.
    """
    halves = [_mixed(sketches, band) for band in (0, 1)]
    for band in range(BANDS):
        yield (halves[0] << _HALF) | halves[1]
        halves = [halves[1], _mixed(sketches, (band + 2) % BANDS)]


def _mixed(sketches: Sketches, band: int) -> npt.NDArray[np.uint64]:
    slots = np.ascontiguousarray(sketches[:, band * ROWS : (band + 1) * ROWS])
    wide = slots.view(np.uint64)  # [N, 2]
    mixed = wide[:, 0] * _SPREAD[0] ^ (wide[:, 1] * _SPREAD[1] >> np.uint64(7))
    return (mixed * _SPREAD[1]) >> _HALF


def _agreement(sketches: Sketches, lefts: Indexes, rights: Indexes) -> npt.NDArray[np.float64]:
    """Return in how many slots, of 1, pairs of sketches are equal."""
    result = np.zeros(len(lefts))
    for start in range(0, len(lefts), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        result[part] = (sketches[lefts[part]] == sketches[rights[part]]).mean(axis=1)
    return result


def _least_agreement(threshold: float) -> float:
    return threshold - _DEVIATIONS * (threshold * (1 - threshold) / SLOTS) ** 0.5
