"""The tables of a draft file, as the steps that made them.

`PRAGMA user_version` says how many steps a file has taken. The first release did not set it, so a
file of that release takes the first step again, which changes nothing.

Invariants:

- All missing steps are one transaction: a file has its old schema or the newest one.
- A step that was released never changes; a change is a new step at the end.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence

from adaptery.errors import UnavailableError
from adaptery_hub.drafts.contents import Change, State, pack
from adaptery_hub.drafts.findings_step import FINDINGS_STEP
from adaptery_hub.drafts.words import length_of, words_of

#: How long a draft may be locked by another thread that upgrades it before a call fails.
UPGRADE_TIMEOUT_SECONDS = 600.0

_FIRST_RELEASE = (
    """
    CREATE TABLE IF NOT EXISTS records (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        record_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        record TEXT NOT NULL,  -- JSON of Record.to_dict()
        file TEXT,             -- id of the file it came from; null: added by hand
        created_at TEXT NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS records_by_id ON records (record_id, position)",
    "CREATE INDEX IF NOT EXISTS records_by_file ON records (file, position)",
    """
    CREATE TABLE IF NOT EXISTS edits (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        editor TEXT NOT NULL,  -- tenant id
        action TEXT NOT NULL,  -- add | replace | remove
        position INTEGER NOT NULL,
        before TEXT,           -- JSON as in records; null: there was none
        after TEXT
    )
    """,
    # Contentless: the words are indexed, the text is kept once, in records.
    "CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5 (text, content='', tokenize='unicode61')",
)

_ORDERS_AND_UNDO = (
    # Characters of all its text.
    "ALTER TABLE records ADD COLUMN length INTEGER NOT NULL DEFAULT 0",
    # When it got its present content.
    "ALTER TABLE records ADD COLUMN changed_at TEXT NOT NULL DEFAULT ''",
    # 1 as long as an edit of it stands.
    "ALTER TABLE records ADD COLUMN edited INTEGER NOT NULL DEFAULT 0",
    # 1 as long as there is another one with its record_id.
    "ALTER TABLE records ADD COLUMN duplicate INTEGER NOT NULL DEFAULT 0",
    # The file of the record: what is deleted with the file goes from the log too.
    "ALTER TABLE edits ADD COLUMN file TEXT",
    # created_at of the record, for its return.
    "ALTER TABLE edits ADD COLUMN record_created_at TEXT",
    # 0: it stands; 1: it can be redone; 2: a new edit ended that.
    "ALTER TABLE edits ADD COLUMN undone INTEGER NOT NULL DEFAULT 0",
    # Made by the client; the same one again adds nothing.
    "ALTER TABLE edits ADD COLUMN key TEXT",
    "CREATE INDEX edits_by_position ON edits (position, undone)",
    "CREATE INDEX edits_by_file ON edits (file)",
    "CREATE INDEX edits_by_editor ON edits (editor, undone, seq)",
    "CREATE UNIQUE INDEX edits_by_key ON edits (editor, key) WHERE key IS NOT NULL",
    "UPDATE edits SET before = json(before), after = json(after)",
    # Nobody knows any more which file these came from, so nothing would ever delete them.
    """
    DELETE FROM edits
    WHERE position NOT IN (SELECT position FROM records)
    AND position NOT IN (SELECT position FROM edits WHERE action = 'add')
    """,
    """
    UPDATE edits SET
        file = (SELECT file FROM records WHERE records.position = edits.position),
        record_created_at = coalesce(
            (SELECT created_at FROM records WHERE records.position = edits.position), at)
    """,
    """
    UPDATE records SET
        length = length_of(record),
        changed_at = coalesce(
            (SELECT max(at) FROM edits WHERE edits.position = records.position), created_at),
        edited = EXISTS (SELECT 1 FROM edits WHERE edits.position = records.position)
    """,
    """
    UPDATE records SET duplicate = 1
    WHERE record_id IN (SELECT record_id FROM records GROUP BY record_id HAVING count(*) > 1)
    """,
    # One index for each order, with all that a filter asks for: see query.py.
    "CREATE INDEX records_by_position ON records (position, kind, edited, duplicate, file)",
    "CREATE INDEX records_by_length ON records (length, position, kind, edited, duplicate, file)",
    "CREATE INDEX records_by_change"
    " ON records (changed_at, position, kind, edited, duplicate, file)",
)


def _pack_old_edits(connection: sqlite3.Connection) -> None:
    """Move the contents of edits into their own table, each packed alone."""
    rows = connection.execute(
        "SELECT seq, at, editor, action, position, before, after, file, record_created_at, undone, "
        "key, (SELECT count(*) FROM old_edits AS earlier WHERE earlier.position = e.position AND "
        "earlier.undone = 0 AND earlier.seq < e.seq) FROM old_edits AS e ORDER BY seq"
    )
    for seq, at, editor, action, position, before, after, file, made, undone, key, edits in rows:
        state = State(edits=1 if action == "add" else edits)
        data = pack([Change(position, before, after, file, made or at, state)])
        connection.execute(
            "INSERT INTO edits (seq, at, editor, action, position, undone, key, bytes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (seq, at, editor, action, position, undone, key, len(data)),
        )
        connection.execute(
            "INSERT INTO edit_contents (seq, file, first, last, contents) VALUES (?, ?, ?, ?, ?)",
            (seq, file, position, position, data),
        )


def _index_words(connection: sqlite3.Connection) -> None:
    """Give the new index of words every record."""
    rows = connection.execute("SELECT position, record FROM records ORDER BY position")
    connection.executemany(
        f"INSERT INTO search (rowid, {', '.join(_FIELDS)}) VALUES (?{', ?' * len(_FIELDS)})",  # noqa: S608
        ((position, *words_of(json.loads(record))) for position, record in rows),
    )


_FIELDS = ("system", "user", "assistant", "tool", "text", "chosen", "rejected", "tools")
_FILTERS = "kind, edited, duplicate, file, language, flags, near_group, split"

_CURATION = (
    # By the last review since the content changed; null: it did not look, or not since.
    "ALTER TABLE records ADD COLUMN language TEXT",
    # A bit for each flag; see query.py.
    "ALTER TABLE records ADD COLUMN flags INTEGER NOT NULL DEFAULT 0",
    # Near-duplicates have the same number; null: there is none.
    "ALTER TABLE records ADD COLUMN near_group INTEGER",
    # train | validation | test; null: none.
    "ALTER TABLE records ADD COLUMN split TEXT",
    # `edited` counts from now on: how many edits of it stand.
    """
    UPDATE records SET edited = max(1, (SELECT count(*) FROM edits
        WHERE edits.position = records.position AND undone = 0))
    WHERE position IN (SELECT position FROM records INDEXED BY records_by_position WHERE edited)
    """,
    "DROP INDEX records_by_position",
    "DROP INDEX records_by_length",
    "DROP INDEX records_by_change",
    f"CREATE INDEX records_by_position ON records (position, length, {_FILTERS})",
    f"CREATE INDEX records_by_length ON records (length, position, {_FILTERS})",
    f"CREATE INDEX records_by_change ON records (changed_at, position, length, {_FILTERS})",
    # The log: an entry for each edit, and what it did to records, packed, in another table.
    "DROP INDEX edits_by_position",
    "DROP INDEX edits_by_file",
    "DROP INDEX edits_by_editor",
    "DROP INDEX edits_by_key",
    "ALTER TABLE edits RENAME TO old_edits",
    """
    CREATE TABLE edits (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        editor TEXT NOT NULL,               -- tenant id
        action TEXT NOT NULL,               -- add | replace | remove | restore | split | mixed
        batch TEXT,                         -- what many were changed for; null: one, by hand
        records INTEGER NOT NULL DEFAULT 1, -- how many it changed
        position INTEGER,                   -- of the record; null: a batch
        undone INTEGER NOT NULL DEFAULT 0,  -- 0: stands; 1: can be redone; 2: a new edit ended that
        key TEXT,                           -- made by the client; the same one again adds nothing
        bytes INTEGER NOT NULL DEFAULT 0,   -- of its contents
        forgotten INTEGER NOT NULL DEFAULT 0 -- 1: some or all of its contents are gone
    )
    """,
    "CREATE INDEX edits_by_editor ON edits (editor, undone, seq)",
    "CREATE UNIQUE INDEX edits_by_key ON edits (editor, key) WHERE key IS NOT NULL",
    """
    CREATE TABLE edit_contents (
        number INTEGER PRIMARY KEY,
        seq INTEGER NOT NULL,     -- of the edit
        file TEXT,                -- of all these records; what is deleted with it goes too
        first INTEGER NOT NULL,   -- the lowest position
        last INTEGER NOT NULL,    -- the highest one
        contents BLOB NOT NULL    -- see contents.py
    )
    """,
    "CREATE INDEX edit_contents_by_edit ON edit_contents (seq, number)",
    "CREATE INDEX edit_contents_by_file ON edit_contents (file)",
    "CREATE INDEX edit_contents_by_position ON edit_contents (last, first)",
    """
    CREATE TRIGGER edits_gone AFTER DELETE ON edits
    BEGIN DELETE FROM edit_contents WHERE seq = old.seq; END
    """,
    _pack_old_edits,
    "DROP TABLE old_edits",
    # What was collated into the draft; `id` is the `file` of its records.
    """
    CREATE TABLE sources (
        id TEXT PRIMARY KEY,
        at TEXT NOT NULL,
        editor TEXT NOT NULL,       -- tenant id
        kind TEXT NOT NULL,         -- dataset | version
        source TEXT NOT NULL,       -- its id
        name TEXT NOT NULL,         -- its full name then
        digest TEXT NOT NULL,       -- of a version, its content; of a draft, what was taken
        available INTEGER NOT NULL, -- records that the filter let through
        taken INTEGER NOT NULL,
        recipe TEXT NOT NULL,       -- JSON: weight, sample, seed, filter, kind
        dropped TEXT NOT NULL       -- JSON: what a change of kind dropped, and how often
    )
    """,
    # What is told of the draft as a whole: one JSON object for each name.
    "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # Records that stand on both sides of a split, or here and elsewhere, by the last check.
    """
    CREATE TABLE leaks (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,        -- exact | prompt | near
        position INTEGER NOT NULL,
        split TEXT,
        source TEXT,               -- id of another dataset or version; null: this draft
        other INTEGER NOT NULL,    -- position there
        other_split TEXT,
        similarity REAL
    )
    """,
    # The words by the field that they stand in. Large blocks of new words are written at once.
    "DROP TABLE search",
    f"CREATE VIRTUAL TABLE search USING fts5 ({', '.join(_FIELDS)}, content='', columnsize=0,"
    " tokenize='unicode61')",
    "INSERT INTO search (search, rank) VALUES ('hashsize', 16777216)",
    _index_words,
)

_STEPS: tuple[Sequence[str | Callable[[sqlite3.Connection], None]], ...] = (
    _FIRST_RELEASE,
    _ORDERS_AND_UNDO,
    _CURATION,
    FINDINGS_STEP,
)


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a draft file to the newest schema; nothing happens if it has it.

    Raises:
        UnavailableError: a newer release wrote the file.
    """
    taken = _steps_taken(connection)
    if taken == len(_STEPS):
        return
    if taken > len(_STEPS):
        raise UnavailableError(
            "A newer release of Adaptery wrote this draft.",
            hint="Ask an administrator to upgrade the service again.",
        )
    connection.execute(f"PRAGMA busy_timeout={int(UPGRADE_TIMEOUT_SECONDS * 1000)}")
    connection.create_function("length_of", 1, _length_of_text, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another thread may have done it while this one waited.
        for step in _STEPS[_steps_taken(connection) :]:
            for part in step:
                if isinstance(part, str):
                    connection.execute(part)
                else:
                    part(connection)
        connection.execute(f"PRAGMA user_version={len(_STEPS)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def is_current(connection: sqlite3.Connection) -> bool:
    """Return whether a draft file needs no step; also one of a newer release."""
    return _steps_taken(connection) >= len(_STEPS)


def _steps_taken(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _length_of_text(record: str) -> int:
    return length_of(json.loads(record))
