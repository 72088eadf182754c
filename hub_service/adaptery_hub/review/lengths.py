"""How long records are in tokens of a base model, and what a cutoff would take.

Counted is the text of the records, tool calls and descriptions included; what a chat template adds
is not. Counts are kept in the draft and made again only for records that changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from adaptery.errors import NotFoundError
from adaptery.schemas.review import LengthBin, Lengths
from adaptery.times import now, to_text
from adaptery_hub.drafts import Draft, opened
from adaptery_hub.processes import Report
from adaptery_hub.review.record_texts import whole_of

#: Records that are counted together, and characters of them.
BATCH_RECORDS, BATCH_CHARACTERS = 1_000, 4_000_000
#: Characters of a token where nothing better is known; of English text, with most tokenizers.
CHARACTERS_PER_TOKEN = 4
BINS = 32


@dataclass(frozen=True)
class LengthsOrder:
    """What to count, and by what."""

    draft: Path
    max_records: int
    base_model: str
    tokenizer: Path | None  # None: this host has none; characters are divided


@dataclass(frozen=True)
class _Batch:
    places: list[tuple[int, str]]  # position, changed_at
    texts: list[str]


def count_lengths(report: Report, order: LengthsOrder) -> dict[str, int]:
    """Count the tokens of every record that was not counted yet; return how many there were.

    Raises:
        NotFoundError: the draft is gone.
    """
    at, counted = to_text(now()), 0
    tokenizer = _Tokenizer(order.tokenizer)
    options = {"base_model": order.base_model, "exact": order.tokenizer is not None}
    with opened(order.draft, order.max_records) as draft:
        known = (draft.findings.options("lengths") or {}) == options
        total = draft.count()
        todo = _todo(draft, everything=not known)
        with opened(order.draft, order.max_records, write=True) as writing:
            writing.findings.begin_lengths(everything=not known)
        for batch in todo:
            counts = tokenizer.count(batch.texts)
            rows = [(*place, n) for place, n in zip(batch.places, counts, strict=True)]
            with opened(order.draft, order.max_records, write=True) as writing:
                writing.findings.add_lengths(rows)
            counted += len(rows)
            report(min(counted, total), total)
    with opened(order.draft, order.max_records, write=True) as writing:
        writing.findings.end("lengths", at, options, {})
    report(1, 1)
    return {"counted": counted}


def summarise(draft: Draft, cutoff: int) -> Lengths:
    """Return what the counts of a draft come to.

    Raises:
        NotFoundError: they were never made.
    """
    state = draft.findings.state("lengths")
    if state.analysed_at is None or state.options is None:
        raise NotFoundError(
            "The lengths of this draft were not counted yet.",
            hint="Count them by POST to this address.",
        )
    counts = draft.findings.lengths()
    lengths = [tokens for tokens, _ in counts]
    records = sum(count for _, count in counts)
    return Lengths(
        base_model=state.options["base_model"],
        tokenizer="exact" if state.options["exact"] else "estimate",
        cutoff=cutoff,
        analysed_at=state.analysed_at,
        stale=state.stale,
        records=records,
        tokens=sum(tokens * count for tokens, count in counts),
        median=_quantile(counts, records, 0.5),
        p95=_quantile(counts, records, 0.95),
        max=lengths[-1] if lengths else 0,
        bins=tuple(length_bins(counts, max(_quantile(counts, records, 0.99), 1))),
        records_cut=sum(count for tokens, count in counts if tokens > cutoff),
        tokens_cut=sum((tokens - cutoff) * count for tokens, count in counts if tokens > cutoff),
    )


class _Tokenizer:
    def __init__(self, path: Path | None) -> None:
        self._encode = None
        if path is not None:
            from tokenizers import Tokenizer  # late: only a child process needs it

            loaded = Tokenizer.from_file(str(path))
            loaded.no_truncation()
            loaded.no_padding()
            self._encode = loaded.encode_batch_fast

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has."""
        if self._encode is None:
            return [math.ceil(len(text) / CHARACTERS_PER_TOKEN) for text in texts]
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return [len(found.ids) for found in self._encode(clean, add_special_tokens=False)]


def _todo(draft: Draft, *, everything: bool) -> Iterator[_Batch]:
    """Yield the records that were not counted as they are now."""
    rows = iter(draft.findings.uncounted(everything=everything))
    while True:
        batch, characters = _Batch([], []), 0
        for position, changed_at, text in islice(rows, BATCH_RECORDS):
            batch.places.append((position, changed_at))
            batch.texts.append(whole_of(json.loads(text)))
            characters += len(text)
            if characters > BATCH_CHARACTERS:
                break
        if not batch.places:
            return
        yield batch


def _quantile(counts: Sequence[tuple[int, int]], records: int, share: float) -> int:
    passed = 0
    for tokens, count in counts:
        passed += count
        if passed >= share * records:
            return tokens
    return 0


def length_bins(counts: Sequence[tuple[int, int]], highest: int) -> Iterator[LengthBin]:
    """Yield bins of equal width up to nearly the longest record; the last one takes the rest."""
    if not counts:
        return
    width = _round_up(highest / (BINS - 1))
    found = [0] * BINS
    for tokens, count in counts:
        found[min(tokens // width, BINS - 1)] += count
    last = max(index for index, count in enumerate(found) if count)
    for index in range(last + 1):
        end = (index + 1) * width - 1
        longest = max(end, counts[-1][0]) if index == BINS - 1 else end
        yield LengthBin(start=index * width, end=longest, records=found[index])


def _round_up(value: float) -> int:
    """Return the next number of the form 1, 2 or 5 times a power of ten."""
    if value <= 1:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
