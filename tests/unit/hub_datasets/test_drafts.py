"""A draft: positions, search, the edit log, and one transaction for each call."""

from pathlib import Path

import pytest

from adaptery.errors import InvalidInputError, NotFoundError, TooLargeError
from adaptery.records import Record
from adaptery_hub.drafts import Draft, Drafts

DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"


def texts(*words: str) -> list[Record]:
    return [Record.of_text(word) for word in words]


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
    assert await drafts.read(DATASET, lambda d: (d.count(), d.page(0, 9, search="one"))) == (0, [])


async def test_search_follows_every_change(drafts: Drafts) -> None:
    def find(word: str):  # type: ignore[no-untyped-def]
        return drafts.read(DATASET, lambda d: [r.position for r in d.page(0, 9, search=word)])

    await drafts.write(DATASET, lambda d: d.import_records(texts("a cold", "a cough"), "fi_x"))
    assert await find("a") == [1, 2]
    await drafts.write(DATASET, lambda d: d.replace(1, texts("a fever")[0], "tn_x"))
    assert (await find("cold"), await find("fever")) == ([], [1])
    await drafts.write(DATASET, lambda d: d.remove(2, "tn_x"))
    assert await find("cough") == []
    await drafts.write(DATASET, lambda d: d.remove_file("fi_x"))
    assert await find("fever") == []


@pytest.mark.parametrize("search", ["", " ", "w " * 17, "x" * 401])
async def test_a_search_has_bounds(drafts: Drafts, search: str) -> None:
    with pytest.raises(InvalidInputError):
        await drafts.read(DATASET, lambda d: d.page(0, 9, search=search))


@pytest.mark.parametrize(
    "search", ['"', "a OR b", "NEAR(", "x*", "col:x", "-x", "^x", "(", "'; --"]
)
async def test_a_search_is_words_and_no_query_language(drafts: Drafts, search: str) -> None:
    await drafts.write(DATASET, lambda d: d.import_records(texts("a b"), "fi_x"))
    assert await drafts.read(DATASET, lambda d: d.page(0, 9, search=search)) == []


async def test_unique_records_keep_their_first_position(drafts: Drafts) -> None:
    await drafts.write(DATASET, lambda d: d.import_records(texts("a", "b", "a", "c", "b"), "fi_x"))
    kept = await drafts.read(DATASET, lambda d: [r.position for r in d.unique_records()])
    assert kept == [1, 2, 4]


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
