"""Publishing: how long it takes, what it takes, how both grow; near duplicates; uploads.

Generated instruction records, some of them exact or near duplicates, are imported into a draft.
Then the review looks for exact and near duplicates and makes the profile (quality, language), and
the draft is published: each in a process of its own, as in the service. Goals: 100,000 records in
less than 60 s and 1 GiB; ten times the records in at most eleven times the time; 1,000,000 in less
than 6 GiB. Near duplicates: recall 0.95 and precision 0.99 on a planted set.

Run as: make bench BENCH=data
"""

from __future__ import annotations

import asyncio
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import data_upload
from measures import Measure

from adaptery.records import Record
from adaptery.schemas.review import ReviewOptions
from adaptery.times import now
from adaptery_hub.drafts import Drafts
from adaptery_hub.processes import Processes, Report
from adaptery_hub.publishing.folders import Plan, write_version
from adaptery_hub.publishing.headings import Heading
from adaptery_hub.publishing.merged_cache import Unwatched
from adaptery_hub.review import near_pairs
from adaptery_hub.review.analysis import AnalysisOrder, analyse
from support.planted import plant, shingles

#: Records, and how often each is measured.
SIZES = {10_000: 3, 100_000: 3, 1_000_000: 1}
SHARD_RECORDS = 50_000
EXACT_SHARE, NEAR_SHARE = 0.02, 0.05
MEBIBYTE = 1024 * 1024
MEMORY_BYTES = 8 * 1024 * MEBIBYTE
DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
PLANTED_TEXTS = 20_000
JACCARD = 0.5


@dataclass(frozen=True)
class Spent:
    """What a step took in its process."""

    seconds: float
    peak_bytes: int


def records(count: int, rng: random.Random) -> Iterator[Record]:
    """Yield instruction records of some hundred characters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(20_000)]
    words += ["the", "of", "and", "patient", "report", "a"] * 600
    question: list[str] = []
    answer: list[str] = []
    for _ in range(count):
        kind = rng.random()
        if kind > EXACT_SHARE + NEAR_SHARE or not answer:
            question = rng.choices(words, k=rng.randint(8, 40))
            answer = rng.choices(words, k=rng.randint(20, 90))
        elif kind > EXACT_SHARE:
            answer = [*answer]
            answer[rng.randrange(len(answer))] = rng.choice(words)
        messages = [
            {"role": "user", "content": " ".join(question)},
            {"role": "assistant", "content": " ".join(answer)},
        ]
        yield Record.from_dict({"kind": "chat", "messages": messages})


def measure() -> list[Measure]:
    """Return the lines of the table."""
    spent = {size: measure_size(size, rounds) for size, rounds in SIZES.items()}
    return [*_publish_rows(spent), *near_rows(), *data_upload.measure()]


def measure_size(size: int, rounds: int) -> Spent:
    """Return the median time, and the highest peak, of reviewing and publishing a draft."""
    with tempfile.TemporaryDirectory(prefix="bench-data-") as name:
        folder = Path(name)
        asyncio.run(_import(folder, size))
        measured = [_publish(folder, number) for number in range(rounds)]
    return Spent(
        statistics.median(one.seconds for one in measured),
        max(one.peak_bytes for one in measured),
    )


def near_rows() -> list[Measure]:
    """Return recall and precision of the search for near duplicates."""
    planted = plant(PLANTED_TEXTS)
    cut = [shingles(text) for text in planted.texts]

    def alike(one: int, other: int) -> bool:
        both = len(cut[one] & cut[other])
        return both >= JACCARD * (len(cut[one]) + len(cut[other]) - both)

    true = {pair for pair in map(_ordered, planted.pairs) if alike(*pair)}
    found = set(map(_ordered, near_pairs(planted.texts)))
    how = f"{len(true):,} planted pairs in {len(planted.texts):,} texts"
    right = sum(1 for pair in found if alike(*pair))
    return [
        Measure("near duplicates: recall", len(found & true) / len(true), "", how, goal=0.95),
        Measure("near duplicates: precision", right / len(found), "", how, goal=0.99),
    ]


def _publish_rows(spent: dict[int, Spent]) -> list[Measure]:
    small, middle, large = (spent[size] for size in SIZES)
    how = "exact + near duplicates, profile, publish; median of {} rounds"
    return [
        Measure("publish 100,000", middle.seconds, "s", how.format(SIZES[100_000]), limit=60.0),
        Measure(
            "publish 100,000: peak memory",
            middle.peak_bytes / MEBIBYTE,
            "MiB",
            "largest peak of a step's process",
            limit=1024.0,
        ),
        Measure(
            "100,000 over 10,000",
            middle.seconds / small.seconds,
            "x",
            f"{small.seconds:.2f} s for 10,000",
            limit=11.0,
        ),
        Measure(
            "1,000,000 over 100,000",
            large.seconds / middle.seconds,
            "x",
            f"{large.seconds:.0f} s for 1,000,000, {SIZES[1_000_000]} round",
            limit=11.0,
        ),
        Measure(
            "publish 1,000,000: peak memory",
            large.peak_bytes / MEBIBYTE,
            "MiB",
            "largest peak of a step's process",
            limit=6 * 1024.0,
        ),
    ]


async def _import(folder: Path, size: int) -> None:
    drafts = Drafts(folder / "drafts", 2 * size)
    await drafts.create(DATASET)
    rng = random.Random(size)
    await drafts.write(DATASET, lambda draft: draft.import_records(records(size, rng), "fi_1"))
    drafts.close()


def _publish(folder: Path, number: int) -> Spent:
    target = folder / f"version-{number}"
    target.mkdir()
    draft = folder / "drafts" / f"{DATASET}.sqlite"
    options = ReviewOptions(threshold=0.5)  # the most that near duplicates can cost
    order = AnalysisOrder(draft, 10**7, ("exact", "near", "quality", "language"), options)
    plan = Plan(draft, 10**7, target, SHARD_RECORDS, _heading(), (), {})
    steps = [_step(analyse, order), _step(write_version, plan)]
    return Spent(sum(s.seconds for s in steps), max(s.peak_bytes for s in steps))


def _step(fn: Callable[..., Any], argument: object) -> Spent:
    """Run a step in a process of its own; its start counts."""
    began = time.perf_counter()
    peak = Processes(MEMORY_BYTES, "WARNING").run(_peak_of, Unwatched(), fn, argument)
    return Spent(time.perf_counter() - began, peak)


def _peak_of(report: Report, fn: Callable[..., Any], argument: object) -> int:
    fn(report, argument)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _heading() -> Heading:
    return Heading(DATASET, "dv_1", "@bench/data", 1, "open", "", None, "tn_1", now())


def _ordered(pair: tuple[int, int]) -> tuple[int, int]:
    return (min(pair), max(pair))
