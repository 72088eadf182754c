"""Drafts of 200,000 records: what an import takes, and what any page of the table takes.

Goals: a page of 100 with its total, in any order, at any offset, under any filter, within 150 ms at
the 95th percentile, and an import that takes no more than a minute. No peer: nobody else keeps such
drafts.

Run as: make bench BENCH=drafts
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measures import Measure

from adaptery.records import Record
from adaptery_hub.drafts import ORDERS, Draft, Drafts, RecordQuery

RECORDS = 200_000
FILES = 4
PAGES = 40  # measured for each kind of query
DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
#: Filters, each measured in every order at random offsets.
FILTERS: dict[str, dict[str, object]] = {
    "everything": {},
    "one kind": {"kind": "text"},
    "one file, one kind": {"file": "fi_2", "kind": "chat"},
    "edited": {"edited": True},
    "duplicates": {"duplicates": True},
    "a word of two thirds": {"search": "headache"},
    "two letters of a word in all": {"search": "pa"},
    "a rare word": {"search": "xylophone"},
    "a begun word, one kind": {"search": "the hea", "kind": "chat"},
}


def records(rng: random.Random) -> Iterator[Record]:
    """Yield records of some hundred characters; each word of a few is in very many of them."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(20_000)]
    words += ["headache", "a", "the", "and", "patient"] * 400
    for number in range(RECORDS):
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
    with tempfile.TemporaryDirectory(prefix="bench-drafts-") as folder:
        drafts = Drafts(Path(folder), RECORDS * 2)
        try:
            return asyncio.run(_measure(drafts))
        finally:
            drafts.close()


async def _measure(drafts: Drafts) -> list[Measure]:
    await drafts.create(DATASET)
    rng = random.Random(7)
    made = list(records(rng))
    began = time.perf_counter()
    size = RECORDS // FILES
    for file in range(FILES):
        part = made[file * size : (file + 1) * size]
        await drafts.write(DATASET, lambda d, p=part, f=file: d.import_records(p, f"fi_{f}"))
    measures = [
        Measure("import", time.perf_counter() - began, "s", f"{RECORDS} records, {FILES} files")
    ]
    await drafts.write(DATASET, lambda d: _edit(d, rng))
    for name, wanted in FILTERS.items():
        seconds = [await _page(drafts, wanted, rng) for _ in range(PAGES)]
        p95 = statistics.quantiles(seconds, n=20)[-1] * 1000
        measures.append(Measure(f"p95 page of 100: {name}", p95, "ms", "any order, any offset"))
    return measures


def _edit(draft: Draft, rng: random.Random) -> None:
    for position in rng.sample(range(1, RECORDS), 2_000):
        draft.replace(position, Record.of_text(f"Edited {position}"), "tn_me")


async def _page(drafts: Drafts, wanted: dict[str, object], rng: random.Random) -> float:
    query = RecordQuery(limit=1, **wanted)  # type: ignore[arg-type]
    _, total = await drafts.read(DATASET, lambda d: d.page(query))
    offset = rng.randrange(max(1, total - 100))
    query = RecordQuery(order=rng.choice(ORDERS), offset=offset, limit=101, **wanted)  # type: ignore[arg-type]
    began = time.perf_counter()
    await drafts.read(DATASET, lambda d: d.page(query))
    return time.perf_counter() - began
