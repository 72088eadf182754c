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

from adaptery.errors import UnavailableError
from adaptery_hub.drafts.records import length_of

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

_STEPS = (_FIRST_RELEASE, _ORDERS_AND_UNDO)


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
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(_STEPS)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _steps_taken(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _length_of_text(record: str) -> int:
    return length_of(json.loads(record))
