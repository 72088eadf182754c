"""A draft file of the first release becomes one of today, whole or not at all."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adaptery.errors import UnavailableError
from adaptery.records import Record
from adaptery_hub.drafts import Draft, Drafts, RecordQuery
from adaptery_hub.drafts.schema import upgrade

DATASET = "ds_01hzzzzzzzzzzzzzzzzzzzzzzz"
#: As the first release made it.
FIRST_RELEASE = """
CREATE TABLE records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    record TEXT NOT NULL,
    file TEXT,
    created_at TEXT NOT NULL
);
CREATE INDEX records_by_id ON records (record_id, position);
CREATE INDEX records_by_file ON records (file, position);
CREATE TABLE edits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    editor TEXT NOT NULL,
    action TEXT NOT NULL,
    position INTEGER NOT NULL,
    before TEXT,
    after TEXT
);
CREATE VIRTUAL TABLE search USING fts5 (text, content='', tokenize='unicode61');
"""
AT = "2026-01-01T00:00:00.000Z"
LATER = "2026-02-01T00:00:00.000Z"


def text(word: str) -> str:
    return json.dumps({"kind": "text", "text": word}, separators=(",", ":"))


def spaced(word: str) -> str:  # the first release logged what was there with spaces
    return json.dumps({"kind": "text", "text": word})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an old draft: 1 twice the same, 3 edited, 4 and 5 removed, 6 added by hand, 7 too."""
    path = tmp_path / f"{DATASET}.sqlite"
    records = [(1, "same", "fi_x"), (2, "same", "fi_y"), (3, "new", "fi_x"), (6, "mine", None)]
    edits = [
        ("replace", 3, spaced("old"), text("new")),
        ("remove", 4, spaced("of a file"), None),
        ("add", 5, None, text("gone")),
        ("remove", 5, spaced("gone"), None),
        ("add", 6, None, text("mine")),
        ("add", 7, None, text("last")),
        ("remove", 7, spaced("last"), None),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FIRST_RELEASE)
        for position, word, file in records:
            row = (position, Record.of_text(word).record_id(), text(word), file, AT)
            connection.execute("INSERT INTO records VALUES (?, ?, 'text', ?, ?, ?)", row)
            connection.execute("INSERT INTO search (rowid, text) VALUES (?, ?)", (position, word))
        for edit in edits:
            connection.execute(
                "INSERT INTO edits (at, editor, action, position, before, after) "
                "VALUES (?, 'tn_me', ?, ?, ?, ?)",
                (LATER, *edit),
            )
        connection.execute("UPDATE sqlite_sequence SET seq = 7 WHERE name = 'records'")
    return path


@pytest.fixture
def drafts(path: Path):  # type: ignore[no-untyped-def]
    drafts = Drafts(path.parent, max_records=100)
    yield drafts
    drafts.close()


def found(drafts: Drafts, query: RecordQuery) -> list[int]:
    records, _ = drafts.read_now(DATASET, lambda d: d.page(query))
    return [record.position for record in records]


async def test_an_old_draft_is_upgraded_when_it_is_opened(drafts: Drafts) -> None:
    assert found(drafts, RecordQuery(search="ne")) == [3]
    assert found(drafts, RecordQuery(duplicates=True)) == [1, 2]
    assert found(drafts, RecordQuery(edited=True)) == [3, 6]
    assert found(drafts, RecordQuery(order="length")) == [3, 1, 2, 6]
    assert found(drafts, RecordQuery(order="-changed")) == [6, 3, 2, 1]
    item = await drafts.write(DATASET, lambda d: d.add(Record.of_text("next"), "tn_me"))
    assert item.position == 8  # also that of a record that is gone is not given again


async def test_old_edits_can_be_undone(drafts: Drafts) -> None:
    def undo_all(draft: Draft) -> list[int]:
        return [draft.undo("tn_me")[0].position for _ in range(6)]

    # The record at 4 is left out: its file is not known any more.
    assert await drafts.write(DATASET, undo_all) == [7, 7, 6, 5, 5, 3]
    assert found(drafts, RecordQuery()) == [1, 2, 3]
    assert found(drafts, RecordQuery(search="old")) == [3]
    await drafts.write(DATASET, lambda d: d.remove_file("fi_x"))
    edits = drafts.read_now(DATASET, lambda d: d.edits(None, 9))
    assert {edit.position for edit in edits} == {5, 6, 7}


def shape(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT type, name FROM sqlite_master ORDER BY type, name"
        ).fetchall() + [
            (row[1], row[2])
            for table in ("records", "edits")
            for row in connection.execute(f"PRAGMA table_info({table})")
        ]


async def test_an_upgraded_draft_has_the_shape_of_a_new_one(drafts: Drafts, path: Path) -> None:
    other = DATASET[:-1] + "0"
    await drafts.create(other)
    drafts.read_now(DATASET, Draft.count)
    assert shape(path) == shape(path.with_name(f"{other}.sqlite"))


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", range(3, 27, 4))
def test_a_kill_in_the_middle_leaves_the_old_draft(path: Path, at: int) -> None:
    before = shape(path)

    class Dying(sqlite3.Connection):
        statements = 0

        def execute(self, *args: object) -> sqlite3.Cursor:  # type: ignore[override]
            self.statements += 1
            if self.statements == at:
                raise Killed
            return super().execute(*args)  # type: ignore[arg-type]

    with (
        closing(sqlite3.connect(path, isolation_level=None, factory=Dying)) as connection,
        pytest.raises(Killed),
    ):
        upgrade(connection)
    assert shape(path) == before
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        upgrade(connection)
        upgrade(connection)  # again: nothing to do
    assert shape(path) != before


async def test_a_large_draft_is_upgraded_in_a_process_of_its_own(
    drafts: Drafts, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptery_hub.drafts.upgrading.LARGE_BYTES", 1)
    monkeypatch.setattr("adaptery_hub.drafts.upgrading.WAIT_SECONDS", 0.0)
    for call in (drafts.read, drafts.write):
        with pytest.raises(UnavailableError) as caught:
            await call(DATASET, Draft.count)
        assert caught.value.retry_after_seconds
    assert await drafts.size(DATASET) > 0
    await drafts.upgraded(DATASET)
    assert await drafts.read(DATASET, Draft.count) == 4
    assert found(drafts, RecordQuery(search="ne", field="text")) == [3]


def test_a_draft_of_a_newer_release_is_left_alone(drafts: Drafts, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    calls: list[Callable[[], object]] = [lambda: drafts.read_now(DATASET, Draft.count)] * 2
    for call in calls:
        with pytest.raises(UnavailableError, match="newer release"):
            call()
