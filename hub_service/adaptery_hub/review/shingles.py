"""5-character shingles of texts, as hashes: how alike two texts are, and their MinHash sketches.

Everything is done for many texts at a time, on flat arrays of integers: a text of 600 characters
costs some ten microseconds, and no shingle is ever a string.

Shapes: N texts, H shingles of all texts of a batch together, S slots of a sketch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]

from adaptery_hub.processes import Report

#: Characters of one shingle. A shorter text is one shingle.
SHINGLE_CHARACTERS = 5
#: Characters of a text that are compared: a whole book would take the memory of a million records.
TEXT_CHARACTERS = 100_000
#: Slots of a sketch. What 64 bands of 4 make of them is in `near`.
SLOTS = 256
SEED = 1

#: Characters of the texts of one batch; a batch takes some fifty bytes for each.
_BATCH_CHARACTERS = 500_000
#: Texts of one batch: their number and a part of a hash share 64 bits.
_BATCH_TEXTS = 1 << 15
_PAIR_HASH_BITS = np.uint64(48)
#: Odd constants that spread the bits. Source: the multiplier of Steele and Vigna, "Computationally
#: easy, spectrally good multipliers", and 2**64 divided by the golden ratio.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD1342543DE82EF95)

Integers = npt.NDArray[np.uint64]
Indexes = npt.NDArray[np.int64]
Sketches = npt.NDArray[np.uint32]


def sketch(texts: Sequence[str], report: Report | None = None) -> Sketches:
    """Return the MinHash sketches of texts: in each slot, two are equal as often as they are alike.

    Args:
        texts: N texts.
        report: told how many are done.
    """
    result = np.zeros((len(texts), SLOTS), dtype=np.uint32)  # [N, S]
    for start, end in _batches(list(map(len, texts))):
        hashes, offsets = _shingles([texts[i] for i in range(start, end)])
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, SLOTS, SEED)
        result[start:end] = matrix.to_rows()
        if report is not None:
            report(end, len(texts))
    return result


def jaccard(texts: Sequence[str], lefts: Indexes, rights: Indexes) -> npt.NDArray[np.float64]:
    """Return how alike pairs of texts are: shared shingles by all shingles of both.

    Args:
        texts: the texts.
        lefts: indexes of the first texts of the pairs.
        rights: of the second ones.
    """
    result = np.zeros(len(lefts))
    lengths = [len(texts[i]) + len(texts[j]) for i, j in zip(lefts, rights, strict=True)]
    for start, end in _batches(lengths):
        ends = np.stack([lefts[start:end], rights[start:end]], axis=1)
        result[start:end] = _jaccard([texts[i] for i in ends.ravel().tolist()])
    return result


def _jaccard(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return how alike the texts 0 and 1, 2 and 3, ... are."""
    hashes, offsets = _shingles(texts)
    counts = np.diff(offsets.astype(np.int64))
    rows = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)  # [H]
    # Sorted, not np.unique: that makes a table of hashes, which takes five times as long.
    keys = np.sort((rows << _PAIR_HASH_BITS) | (hashes >> (np.uint64(64) - _PAIR_HASH_BITS)))
    keys = keys[np.append(keys[1:] != keys[:-1], True)]
    rows = keys >> _PAIR_HASH_BITS
    distinct = np.bincount(rows.astype(np.int64), minlength=len(texts))
    # Without the last bit of the row, what both texts of a pair have stands there twice.
    hash_of = keys & ((np.uint64(1) << _PAIR_HASH_BITS) - np.uint64(1))
    keys = np.sort(((rows >> np.uint64(1)) << _PAIR_HASH_BITS) | hash_of)
    twice = keys[1:][keys[1:] == keys[:-1]] >> _PAIR_HASH_BITS
    shared = np.bincount(twice.astype(np.int64), minlength=len(texts) // 2)
    both = distinct[0::2] + distinct[1::2] - shared
    return shared / np.maximum(both, 1)


def _shingles(texts: Sequence[str]) -> tuple[Integers, Integers]:
    """Return the hashes of all shingles of some texts, and where those of each begin and end."""
    # A text of fewer characters is filled up with NULs to one shingle.
    cut = [text[:TEXT_CHARACTERS].ljust(SHINGLE_CHARACTERS, "\0") for text in texts]
    data = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    windows = max(data.size - SHINGLE_CHARACTERS + 1, 0)
    hashes = np.zeros(windows, dtype=np.uint64)
    for k in range(SHINGLE_CHARACTERS):
        hashes *= _STEP
        hashes += data[k : windows + k]
    hashes *= _SPREAD
    hashes ^= hashes >> np.uint64(29)
    lengths = np.fromiter(map(len, cut), dtype=np.int64, count=len(cut))
    ends = np.cumsum(lengths)
    inside = np.ones(windows, dtype=bool)
    for k in range(1, SHINGLE_CHARACTERS):  # those that reach into the next text
        inside[ends[:-1] - k] = False
    offsets = np.zeros(len(cut) + 1, dtype=np.uint64)
    np.cumsum(lengths - SHINGLE_CHARACTERS + 1, out=offsets[1:], dtype=np.uint64)
    return hashes[inside], offsets


def _batches(lengths: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the beginnings and ends of batches of texts with these lengths."""
    start = characters = end = 0
    for end, length in enumerate(lengths, start=1):
        characters += min(length, 2 * TEXT_CHARACTERS)
        if characters >= _BATCH_CHARACTERS or end - start == _BATCH_TEXTS // 2:
            yield start, end
            start, characters = end, 0
    if end > start:
        yield start, end
