"""The tables of findings and decisions, as the step of the schema that made them."""

from __future__ import annotations

#: See `schema.py`, and `findings.py` for what lies in them.
FINDINGS_STEP = (
    # The last analysis of each queue.
    """
    CREATE TABLE reviews (
        queue TEXT PRIMARY KEY,
        at TEXT NOT NULL,       -- when it began: what changed since is stale
        options TEXT NOT NULL,  -- JSON
        details TEXT NOT NULL   -- JSON: counts only
    )
    """,
    """
    CREATE TABLE findings (
        number INTEGER PRIMARY KEY,  -- their order
        queue TEXT NOT NULL,
        key INTEGER NOT NULL,
        rule TEXT NOT NULL,
        source TEXT,                 -- id of the other dataset that it is about; null: none
        position INTEGER NOT NULL,   -- of the record, or of the first one of a group
        records INTEGER NOT NULL,    -- that it is about
        occurrences INTEGER,
        place TEXT,                  -- JSON pointer of the text with the span
        start INTEGER,
        end INTEGER,
        decided INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE UNIQUE INDEX findings_by_key ON findings (queue, key)",
    "CREATE INDEX findings_by_state ON findings (queue, decided, rule, source, number)",
    "CREATE INDEX findings_by_position ON findings (position)",
    # The records of a group; of a phrase, some.
    """
    CREATE TABLE finding_members (
        finding INTEGER NOT NULL,
        number INTEGER NOT NULL,
        position INTEGER NOT NULL,   -- in this draft, or in that of `source`
        source TEXT,
        record_id TEXT,              -- of a record elsewhere, as it was
        similarity REAL,
        PRIMARY KEY (finding, number)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX finding_members_by_position ON finding_members (position)",
    """
    CREATE TABLE decisions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        key INTEGER NOT NULL,
        rule TEXT NOT NULL,
        source TEXT,
        position INTEGER NOT NULL,
        decision TEXT NOT NULL,
        editor TEXT NOT NULL,        -- tenant id
        at TEXT NOT NULL,            -- the same for all that were decided together
        edit INTEGER,                -- what it changed, in the log; null: nothing
        void INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE UNIQUE INDEX decisions_by_key ON decisions (queue, key)",
    "CREATE INDEX decisions_by_edit ON decisions (edit)",
    "CREATE INDEX decisions_by_position ON decisions (position)",
    """
    CREATE TRIGGER decisions_follow_edits AFTER UPDATE OF undone ON edits
    BEGIN UPDATE decisions SET void = (new.undone <> 0) WHERE edit = new.seq; END
    """,
    """
    CREATE TRIGGER decisions_made AFTER INSERT ON decisions
    BEGIN
        UPDATE findings SET decided = 1 - new.void WHERE queue = new.queue AND key = new.key;
    END
    """,
    """
    CREATE TRIGGER decisions_voided AFTER UPDATE OF void ON decisions
    BEGIN
        UPDATE findings SET decided = 1 - new.void WHERE queue = new.queue AND key = new.key;
    END
    """,
    """
    CREATE TRIGGER decisions_gone AFTER DELETE ON decisions
    BEGIN UPDATE findings SET decided = 0 WHERE queue = old.queue AND key = old.key; END
    """,
    # What is about one record only goes with it; if that comes back, it counts as changed.
    """
    CREATE TRIGGER findings_gone AFTER DELETE ON records
    BEGIN
        DELETE FROM findings WHERE position = old.position AND decided = 0
        AND queue IN ('pii', 'quality', 'language');
    END
    """,
    # Records that were looked at again right after a decision had changed them.
    """
    CREATE TABLE rechecks (
        position INTEGER PRIMARY KEY,
        changed_at TEXT NOT NULL     -- as in records then
    )
    """,
    # How long records are in tokens, for one base model: see the review of lengths.
    """
    CREATE TABLE token_counts (
        position INTEGER PRIMARY KEY,
        changed_at TEXT NOT NULL,    -- as in records then
        tokens INTEGER NOT NULL
    )
    """,
    "CREATE TABLE finding_secret (secret BLOB NOT NULL)",
    "INSERT INTO finding_secret VALUES (randomblob(32))",
)
