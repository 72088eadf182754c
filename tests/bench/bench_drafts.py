"""Drafts of 200,000 and of 1,000,000 records: imports, pages of the table, changes of many at once.

Goals: at 200,000 records a page of 100 with its total, in any order, at any offset, under any
filter, within 150 ms at the 95th percentile, and an import that takes no more than half a minute; a
million records take at most 5.5 times as long. What has no goal is told.
No peer: nobody else keeps such drafts.

Run as: make bench BENCH=drafts
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from measures import Measure

from adaptery.records import Record
from adaptery.schemas.curation import SplitRequest
from adaptery_hub.curation import Target, split
from adaptery_hub.drafts import ORDERS, Draft, Drafts, RecordEdit, RecordQuery

RECORDS = 200_000
MANY_RECORDS = 1_000_000
REMOVED = 100_000  # at once
FILES = 4
PAGES = 40  # measured for each kind of query
PAGE_GOAL_MS = 150.0
IMPORT_GOAL_SECONDS = 30.0
DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
#: Filters, each measured in every order at random offsets.
FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "one kind": {"kind": "text"},
    "one file, one kind": {"file": "fi_2", "kind": "chat"},
    "edited": {"edited": True},
    "duplicates": {"duplicates": True},
    "a language": {"language": "de"},
    "a flag": {"flag": 4},
    "near-duplicates": {"near_duplicates": True},
    "one group of near-duplicates": {"group": 2_000},
    "a split": {"split": "train"},
    "a range of lengths": {"min_length": 100, "max_length": 300},
    "a word of two thirds": {"search": "headache"},
    "two letters of a word in all": {"search": "pa"},
    "a rare word": {"search": "xylophone"},
    "a begun word, one kind": {"search": "the hea", "kind": "chat"},
    "a begun word in one field": {"search": "the hea", "field": "assistant"},
    "two common words, a split": {"search": "headache patient", "split": "train"},
    "all at once": {
        "search": "the hea", "field": "assistant", "kind": "chat", "language": "en",
        "split": "train", "min_length": 200,
    },
}  # fmt: skip


def records(rng: random.Random, count: int) -> Iterator[Record]:
    """Yield records of some hundred characters; each word of a few is in very many of them."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(20_000)]
    words += ["headache", "a", "the", "and", "patient"] * 400
    for number in range(count):
        answer = " ".join(rng.choices(words, k=rng.randint(20, 80))) + " patient"
        if number % 50 == 7:
            answer = f"Twice the same: {number % 1000}"
        if number % 20_000 == 9:
            answer += " xylophone"
        if number % 10 == 3:
            yield Record.of_text(f"{answer} {number}")
            continue
        question = " ".join(rng.choices(words, k=rng.randint(8, 30)))
        messages = [
            {"role": "user", "content": question if number % 50 != 7 else "Which?"},
            {"role": "assistant", "content": answer},
        ]
        yield Record.from_dict({"kind": "chat", "messages": messages})


def measure() -> list[Measure]:
    """Return the lines of the table."""
    measures: list[Measure] = []
    seconds: dict[int, float] = {}
    for count in (RECORDS, MANY_RECORDS):
        with tempfile.TemporaryDirectory(prefix="bench-drafts-") as folder:
            drafts = Drafts(Path(folder), count * 2)
            try:
                seconds[count] = asyncio.run(_fill(drafts, count))
                measures += asyncio.run(_measure(drafts, count))
            finally:
                drafts.close()
    few, many = seconds[RECORDS], seconds[MANY_RECORDS]
    how = f"{RECORDS} records, {FILES} files, {RECORDS / few:.0f} a second"
    return [
        Measure("import", few, "s", how, limit=IMPORT_GOAL_SECONDS),
        Measure("import", many, "s", f"{MANY_RECORDS} records", limit=5.5 * few),
        *measures,
    ]


async def _fill(drafts: Drafts, count: int) -> float:
    """Import the files of a draft; return how long that took without making the records."""
    await drafts.create(DATASET)
    rng = random.Random(7)
    made, taken = records(rng, count), 0.0
    for file in range(FILES):
        part = islice(made, count // FILES)
        taken += await drafts.write(DATASET, lambda d, p=part, f=file: _import(d, p, f))
    await drafts.write(DATASET, lambda d: _review(d, rng, count))
    return taken


def _import(draft: Draft, part: Iterator[Record], file: int) -> float:
    making = 0.0

    def timed() -> Iterator[Record]:
        nonlocal making
        while True:
            began = time.perf_counter()
            block = list(islice(part, 1000))
            making += time.perf_counter() - began
            if not block:
                return
            yield from block

    began = time.perf_counter()
    draft.import_records(timed(), f"fi_{file}")
    return time.perf_counter() - began - making


def _review(draft: Draft, rng: random.Random, count: int) -> None:
    """Edit some records, and note what a review and a split would."""
    for position in rng.sample(range(1, count), 2_000):
        draft.replace(position, Record.of_text(f"Edited {position}"), "tn_me")
    everything = range(1, count + 1)
    draft.set_language((at, rng.choice(("en", "en", "en", "de"))) for at in everything)
    draft.set_flags((at, 1 << rng.randrange(8)) for at in everything[::7])
    draft.set_groups((at, at // 2 * 2) for at in range(1_000, 5_000))
    draft.set_splits((at, rng.choice(("train", "train", "train", "test"))) for at in everything)


async def _measure(drafts: Drafts, count: int) -> list[Measure]:
    rng = random.Random(8)
    measures: list[Measure] = []
    for name, wanted in FILTERS.items():
        seconds = [await _page(drafts, wanted, rng) for _ in range(PAGES)]
        p95 = statistics.quantiles(seconds, n=20)[-1] * 1000
        limit = PAGE_GOAL_MS if count == RECORDS else None
        how = f"any order, any offset, {count} records"
        measures.append(Measure(f"p95 page of 100: {name}", p95, "ms", how, limit=limit))
    return [*measures, *await _batches(drafts, count)]


async def _batches(drafts: Drafts, count: int) -> list[Measure]:
    edits = [RecordEdit(position, None) for position in range(1, REMOVED * 2, 2)]
    how = f"{REMOVED} of {count} records, one edit"

    async def timed(fn: Callable[[Draft], object]) -> float:
        began = time.perf_counter()
        await drafts.write(DATASET, fn)
        return time.perf_counter() - began

    removed = await timed(lambda d: d.change_many(edits, "tn_me", "a bench"))
    undone = await timed(lambda d: d.undo("tn_me"))
    target = Target(drafts.path(DATASET), count * 2, "tn_me")
    began = time.perf_counter()
    split(lambda *_: None, target, SplitRequest(test=0.1, group_by="user"))
    taken = time.perf_counter() - began
    return [
        Measure("remove many", removed, "s", how),
        Measure("undo it", undone, "s", how),
        Measure("split by the first user message", taken, "s", f"{count} records"),
    ]


async def _page(drafts: Drafts, wanted: dict[str, Any], rng: random.Random) -> float:
    query = RecordQuery(limit=1, **wanted)
    _, total = await drafts.read(DATASET, lambda d: d.page(query))
    offset = rng.randrange(max(1, total - 100))
    query = RecordQuery(order=rng.choice(ORDERS), offset=offset, limit=101, **wanted)
    began = time.perf_counter()
    await drafts.read(DATASET, lambda d: d.page(query))
    return time.perf_counter() - began
