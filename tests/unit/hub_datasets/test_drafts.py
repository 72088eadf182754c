"""A draft: positions, search, the edit log, and one transaction for each call."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adaptery.errors import InvalidInputError, NotFoundError, TooLargeError
from adaptery.records import Record
from adaptery_hub.drafts import ORDERS, Draft, Drafts, RecordQuery
from adaptery_hub.drafts.found import Found
from adaptery_hub.drafts.patience import impatient
from adaptery_hub.drafts.pool import DRAFT_THREADS
from adaptery_hub.drafts.schema import upgrade

DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"


def texts(*words: str) -> list[Record]:
    return [Record.of_text(word) for word in words]


async def find(drafts: Drafts, **wanted: object) -> list[int]:
    query = RecordQuery(**wanted)  # type: ignore[arg-type]
    records, total = await drafts.read(DATASET, lambda d: d.page(query))
    assert total == len(records) or "limit" in wanted or "offset" in wanted or "after" in wanted
    return [record.position for record in records]


@pytest.fixture
async def drafts(tmp_path: Path):  # type: ignore[no-untyped-def]
    drafts = Drafts(tmp_path, max_records=10)
    await drafts.create(DATASET)
    yield drafts
    drafts.close()


async def test_a_position_is_never_given_twice(drafts: Drafts) -> None:
    def edit(draft: Draft) -> list[int]:
        first = draft.add(texts("one")[0], "tn_x").position
        draft.remove(first, "tn_x")
        return [first, draft.add(texts("two")[0], "tn_x").position]

    assert await drafts.write(DATASET, edit) == [1, 2]


async def test_a_failed_write_leaves_nothing(drafts: Drafts) -> None:
    def fail(draft: Draft) -> None:
        draft.import_records(texts("one", "two"), "fi_x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await drafts.write(DATASET, fail)
    assert await drafts.read(DATASET, Draft.count) == 0
    assert await find(drafts, search="one") == []


async def test_search_follows_every_change(drafts: Drafts) -> None:
    await drafts.write(DATASET, lambda d: d.import_records(texts("a cold", "a cough"), "fi_x"))
    assert await find(drafts, search="a") == [1, 2]
    await drafts.write(DATASET, lambda d: d.replace(1, texts("a fever")[0], "tn_x"))
    assert await find(drafts, search="cold") == []
    assert await find(drafts, search="fever") == [1]
    await drafts.write(DATASET, lambda d: d.remove(2, "tn_x"))
    assert await find(drafts, search="cough") == []
    await drafts.write(DATASET, lambda d: d.remove_file("fi_x"))
    assert await find(drafts, search="fever") == []


@pytest.mark.parametrize("search", ["", " ", "w " * 17, "x" * 401, ".w" * 33])
async def test_a_search_has_bounds(drafts: Drafts, search: str) -> None:
    with pytest.raises(InvalidInputError):
        await find(drafts, search=search)


def test_a_search_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
        with pytest.raises(InvalidInputError, match="took longer"), impatient(connection, 0.01):
            connection.execute(f"{numbers} SELECT count(*) FROM n").fetchone()
        with impatient(connection):
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError), impatient(connection):
            connection.execute("SELECT")


@pytest.mark.parametrize(
    "search", ['"', "a OR b", "NEAR(", "x*", "col:x", "-x", "^x", "(", "'; --", "a\0x", '"\0"']
)
async def test_a_search_is_words_and_no_query_language(drafts: Drafts, search: str) -> None:
    await drafts.write(DATASET, lambda d: d.import_records(texts("a b"), "fi_x"))
    assert await find(drafts, search=search) == []


async def test_the_last_word_of_a_search_may_go_on(drafts: Drafts) -> None:
    words = ("a headache", "heat", "the head", "a cold", "頭痛", "x ray")
    await drafts.write(DATASET, lambda d: d.import_records(texts(*words), "fi_x"))
    assert await find(drafts, search="hea") == [1, 2, 3]
    assert await find(drafts, search="a HEAD") == [1]
    assert await find(drafts, search="hea a") == []
    assert await find(drafts, search="頭") == [5]
    assert await find(drafts, search="h") == []  # one letter is a word, not the begin of any


async def test_every_order_goes_both_ways_and_starts_anywhere(drafts: Drafts) -> None:
    await drafts.write(DATASET, lambda d: d.import_records(texts("ccc", "a", "bb", "d"), "fi_x"))
    await drafts.write(DATASET, lambda d: d.replace(2, texts("zzzzz")[0], "tn_x"))
    expected = {"position": [1, 2, 3, 4], "length": [4, 3, 1, 2], "changed": [1, 3, 4, 2]}
    for order, positions in expected.items():
        assert await find(drafts, order=order) == positions
        assert await find(drafts, order=f"-{order}") == positions[::-1]
        assert await find(drafts, order=order, offset=1, limit=2) == positions[1:3]
    assert await find(drafts, offset=4) == []
    assert await find(drafts, after=2) == [3, 4]


async def test_filters_work_together(drafts: Drafts) -> None:
    chat = Record.from_dict(
        {
            "kind": "chat",
            "messages": [
                {"role": "user", "content": "a cold?"},
                {"role": "assistant", "content": "a cold"},
            ],
        }
    )
    cold = texts("a cold")[0]
    await drafts.write(DATASET, lambda d: d.import_records([cold, chat, cold], "fi_x"))
    await drafts.write(DATASET, lambda d: d.import_records([chat, *texts("a fever")], "fi_y"))
    await drafts.write(DATASET, lambda d: d.add(cold, "tn_x"))
    assert await find(drafts, kind="chat") == [2, 4]
    assert await find(drafts, file="fi_x") == [1, 2, 3]
    assert await find(drafts, edited=True) == [6]
    assert await find(drafts, duplicates=True) == [1, 2, 3, 4, 6]
    assert await find(drafts, search="cold", file="fi_x", kind="text", order="-length") == [3, 1]
    query = RecordQuery(search="a", kind="text", duplicates=True, offset=1, limit=1)
    records, total = await drafts.read(DATASET, lambda d: d.page(query))
    assert ([record.position for record in records], total) == ([3], 3)


async def test_duplicates_follow_every_change(drafts: Drafts) -> None:
    async def duplicates_after(change: Callable[[Draft], object]) -> list[int]:
        await drafts.write(DATASET, change)
        return await find(drafts, duplicates=True)

    a, b = texts("a", "b")
    assert await duplicates_after(lambda d: d.import_records([a, b, a], "fi_x")) == [1, 3]
    assert await duplicates_after(lambda d: d.remove(1, "tn_x")) == []
    assert await duplicates_after(lambda d: d.undo("tn_x")) == [1, 3]
    assert await duplicates_after(lambda d: d.add(b, "tn_x")) == [1, 2, 3, 4]
    assert await duplicates_after(lambda d: d.replace(3, b, "tn_x")) == [2, 3, 4]
    assert await duplicates_after(lambda d: d.remove(2, "tn_x")) == [3, 4]
    assert await duplicates_after(lambda d: d.import_records([a], "fi_y")) == [1, 3, 4, 5]
    assert await duplicates_after(lambda d: d.remove_file("fi_x")) == []


def test_no_query_sorts_or_reads_the_wide_rows(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "draft.sqlite", isolation_level=None)
    upgrade(connection)
    plans: list[str] = []
    connection.set_trace_callback(plans.append)
    for order in ORDERS:
        for query in (
            RecordQuery(order=order),
            RecordQuery(order=order, kind="chat", file="fi_x", edited=True, duplicates=True),
            RecordQuery(order=order, language="en", flag=4, group=1, split="test", min_length=9),
            RecordQuery(order=order, search="a", kind="text"),
        ):
            found = Found(connection, query)
            found.total()
            found.positions()
    connection.set_trace_callback(None)
    asked = [text for text in plans if "INDEXED BY" in text]
    # With words, page and total are one statement.
    assert len(asked) == len(ORDERS) * (3 * 2 + 1)
    for text in asked:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}"))
        assert "USING COVERING INDEX" in plan and "TEMP B-TREE" not in plan, plan
    connection.close()


async def test_unique_records_keep_their_first_position(drafts: Drafts) -> None:
    await drafts.write(DATASET, lambda d: d.import_records(texts("a", "b", "a", "c", "b"), "fi_x"))
    kept = await drafts.read(DATASET, lambda d: [r.position for r in d.unique_records()])
    assert kept == [1, 2, 4]


async def test_nobody_waits_for_imports_to_look(drafts: Drafts) -> None:
    go_on = threading.Event()
    others = [f"{DATASET[:-1]}{i}" for i in range(DRAFT_THREADS)]
    for other in others:
        await drafts.create(other)
    imports = [asyncio.create_task(drafts.write(other, lambda _: go_on.wait())) for other in others]
    try:
        assert await asyncio.wait_for(drafts.read(DATASET, Draft.count), timeout=10) == 0
    finally:
        go_on.set()
        await asyncio.gather(*imports)


async def test_nobody_waits_for_the_searches_of_one_tenant(drafts: Drafts) -> None:
    go_on = threading.Event()
    many = [
        asyncio.create_task(drafts.search("tn_many", DATASET, lambda _: go_on.wait()))
        for _ in range(2 * DRAFT_THREADS)
    ]
    try:
        await asyncio.sleep(0)
        assert await asyncio.wait_for(drafts.read(DATASET, Draft.count), timeout=10) == 0
        look = drafts.search("tn_other", DATASET, Draft.count)
        assert await asyncio.wait_for(look, timeout=10) == 0
    finally:
        go_on.set()
        await asyncio.gather(*many)


async def test_a_draft_has_room_for_so_many(drafts: Drafts) -> None:
    await drafts.write(DATASET, lambda d: d.import_records(texts(*"abcdefghij"), "fi_x"))
    for change in (
        lambda d: d.add(texts("k")[0], "tn_x"),
        lambda d: d.import_records(texts("k"), "fi_y"),
    ):
        with pytest.raises(TooLargeError):
            await drafts.write(DATASET, change)


async def test_only_create_makes_a_draft(drafts: Drafts, tmp_path: Path) -> None:
    await drafts.remove(DATASET)
    for call in (drafts.read, drafts.write):
        with pytest.raises(NotFoundError):
            await call(DATASET, Draft.count)
    assert list(tmp_path.iterdir()) == []
    await drafts.remove(DATASET)


async def test_deleted_text_is_not_left_in_the_file(drafts: Drafts, tmp_path: Path) -> None:
    canary = "canary" * 20
    await drafts.write(DATASET, lambda d: d.import_records(texts(canary), "fi_x"))
    await drafts.write(DATASET, lambda d: d.replace(1, texts(canary + "2")[0], "tn_x"))
    await drafts.write(DATASET, lambda d: d.remove_file("fi_x"))
    await drafts.write(DATASET, Draft.count)
    for path in tmp_path.iterdir():
        assert canary.encode() not in path.read_bytes(), path.name
