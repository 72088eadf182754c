"""What reviews found in a draft, and what people decided: rows, inside one transaction.

A finding has a key that is the same in each analysis of the same thing, so decisions are kept apart
from findings and outlive them. Findings hold positions and spans, never text; keys are made with a
secret of the draft, so that nobody learns from one what stood there.

Invariants:

- A finding is decided exactly if a decision with its key stands. One that left the thing in place
  (keep, ignore) holds for later analyses too; one that changed records holds until it is undone.
- A decision is void while the edit that it made is undone, whoever undid it.
- What came with a file goes with it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adaptery.schemas.review import Decision, Queue
from adaptery.times import from_text, now, to_text

#: Findings of one queue; more are counted and left out.
FINDINGS_KEPT = 500_000
#: Decisions after which a thing is still there.
STAYING: tuple[Decision, ...] = ("keep", "ignore")


@dataclass(frozen=True)
class Member:
    """A record of a group."""

    position: int
    source: str | None = None
    record_id: str | None = None
    similarity: float | None = None


@dataclass(frozen=True)
class DraftFinding:
    """One finding."""

    key: int
    rule: str
    position: int
    records: int = 1
    source: str | None = None
    occurrences: int | None = None
    place: str | None = None
    start: int | None = None
    end: int | None = None
    members: Sequence[Member] = ()
    number: int = 0


@dataclass(frozen=True)
class DraftDecision:
    """One decision; its finding may be gone."""

    number: int
    decision: Decision
    editor: str
    at: datetime
    edit: int | None


@dataclass(frozen=True)
class QueueState:
    """How one queue is."""

    analysed_at: datetime | None = None
    open: int = 0
    decided: int = 0
    stale: int = 0
    rules: Mapping[str, int] = field(default_factory=dict[str, int])  # open, by rule
    options: Mapping[str, Any] | None = None
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


#: Of these queues a record that a decision changed is looked at again at once.
RECHECKED: tuple[Queue, ...] = ("pii", "quality", "language")

_COLUMNS = "key, rule, position, records, source, occurrences, place, start, end"
_FROM_DECISIONS = (
    "d.key, d.rule, d.position, coalesce(f.records, 1), d.source, f.occurrences, f.place, f.start, "
    "f.end"
)


class Findings:
    """Findings and decisions of one draft."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (self._secret,) = connection.execute("SELECT secret FROM finding_secret").fetchone()

    def key(self, *parts: object) -> int:
        """Return the key of a thing, made of what it is."""
        text = json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "big", signed=True)

    # -- an analysis --------------------------------------------------------------------------

    def begin(self, queue: Queue) -> None:
        """Drop what the analysis before found."""
        self._connection.execute(
            "DELETE FROM finding_members WHERE finding IN "
            "(SELECT number FROM findings WHERE queue = ?)",
            (queue,),
        )
        self._connection.execute("DELETE FROM findings WHERE queue = ?", (queue,))

    def add(self, queue: Queue, findings: Iterable[DraftFinding]) -> None:
        """Put findings at the end of a queue; one that is there already stays as it is."""
        for finding in findings:
            number = self._connection.execute(
                f"INSERT INTO findings (queue, {_COLUMNS}, decided) "  # noqa: S608
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, EXISTS (SELECT 1 FROM decisions "
                "WHERE queue = ?1 AND key = ?2 AND void = 0 AND decision IN ('keep', 'ignore'))) "
                "ON CONFLICT (queue, key) DO NOTHING RETURNING number",
                (queue, *_values(finding)),
            ).fetchone()
            if number is not None and finding.members:
                self._connection.executemany(
                    "INSERT INTO finding_members VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        (number[0], i, m.position, m.source, m.record_id, m.similarity)
                        for i, m in enumerate(finding.members)
                    ),
                )

    def end(
        self, queue: Queue, at: str, options: Mapping[str, Any], details: Mapping[str, Any]
    ) -> None:
        """Note that a queue was analysed; what it found in records that are gone goes."""
        self._connection.execute(
            "DELETE FROM findings WHERE queue = ? AND queue IN ('pii', 'quality', 'language') "
            "AND position NOT IN (SELECT position FROM records)",
            (queue,),
        )
        # What was looked at again meanwhile was dropped with the findings before.
        self._connection.execute("DELETE FROM rechecks WHERE changed_at >= ?", (at,))
        self._connection.execute(
            "INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?)",
            (queue, at, json.dumps(options), json.dumps(details)),
        )

    def changed_since(self, at: str) -> set[int]:
        """Return where records are that got their content at a moment or after it."""
        rows = self._connection.execute(
            "SELECT position FROM records INDEXED BY records_by_change WHERE changed_at >= ?", (at,)
        )
        return {row[0] for row in rows}

    def drop_open(self, queue: Queue, positions: Iterable[int]) -> None:
        """Drop the open findings of single records, which are looked at again."""
        self._connection.executemany(
            "DELETE FROM findings WHERE position = ? AND queue = ? AND decided = 0",
            ((position, queue) for position in positions),
        )

    def note_recheck(self, positions: Iterable[int]) -> None:
        """Note that records were looked at again, as they are now."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO rechecks SELECT position, changed_at FROM records "
            "WHERE position = ?",
            ((position,) for position in positions),
        )

    # -- reading ------------------------------------------------------------------------------

    def state(self, queue: Queue, sources: Collection[str] = ()) -> QueueState:
        """Return how a queue is for whom may see these other datasets."""
        review = self._connection.execute(
            "SELECT at, options, details FROM reviews WHERE queue = ?", (queue,)
        ).fetchone()
        if review is None:
            return QueueState()
        at, options, details = review
        clause, values = _seen(sources)
        rows = self._connection.execute(
            f"SELECT rule, count(*) FROM findings WHERE queue = ? AND decided = 0 AND {clause} "  # noqa: S608
            "GROUP BY rule",
            (queue, *values),
        ).fetchall()
        decided = self._connection.execute(
            f"SELECT count(*) FROM decisions WHERE queue = ? AND void = 0 AND {clause}",  # noqa: S608
            (queue, *values),
        ).fetchone()[0]
        return QueueState(
            from_text(at),
            sum(count for _, count in rows),
            decided,
            self.stale(queue, at),
            dict(rows),
            json.loads(options),
            json.loads(details),
        )

    def options(self, queue: Queue) -> Mapping[str, Any] | None:
        """Return how a queue was looked through last; None: it was not."""
        row = self._connection.execute(
            "SELECT options FROM reviews WHERE queue = ?", (queue,)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def details(self, queue: Queue) -> Mapping[str, Any]:
        """Return what the last analysis of a queue counted; nothing if there was none."""
        row = self._connection.execute(
            "SELECT details FROM reviews WHERE queue = ?", (queue,)
        ).fetchone()
        return {} if row is None else json.loads(row[0])

    def stale(self, queue: Queue, at: str) -> int:
        """Return how many records changed since a moment and were not looked at again."""
        changed = self._connection.execute(
            "SELECT count(*) FROM records INDEXED BY records_by_change WHERE changed_at >= ?", (at,)
        ).fetchone()[0]
        if not changed or queue not in RECHECKED:
            return changed
        again = self._connection.execute(
            "SELECT count(*) FROM rechecks AS c JOIN records AS r USING (position) "
            "WHERE r.changed_at = c.changed_at AND r.changed_at >= ?",
            (at,),
        ).fetchone()[0]
        return changed - again

    def sources(self) -> list[str]:
        """Return the other datasets that findings and decisions are about."""
        rows = self._connection.execute(
            "SELECT source FROM findings WHERE source IS NOT NULL UNION "
            "SELECT source FROM decisions WHERE source IS NOT NULL"
        )
        return [row[0] for row in rows]

    def count(
        self, queue: Queue, *, decided: bool, rule: str | None, sources: Collection[str]
    ) -> int:
        """Return how many findings are open, or decided."""
        clause, values = _seen(sources, rule)
        table, state = ("decisions", "void = 0") if decided else ("findings", "decided = 0")
        return self._connection.execute(
            f"SELECT count(*) FROM {table} WHERE queue = ? AND {state} AND {clause}",  # noqa: S608
            (queue, *values),
        ).fetchone()[0]

    def open(
        self,
        queue: Queue,
        *,
        rule: str | None = None,
        sources: Collection[str] = (),
        after: int | None = None,
        limit: int = -1,
    ) -> list[DraftFinding]:
        """Return open findings in order, from the one after a key."""
        clause, values = _seen(sources, rule)
        place = (
            "0" if after is None else "(SELECT number FROM findings WHERE queue = ? AND key = ?)"
        )
        rows = self._connection.execute(
            f"SELECT {_COLUMNS}, number FROM findings WHERE queue = ? AND decided = 0 "  # noqa: S608
            f"AND {clause} AND number > coalesce({place}, 0) ORDER BY number LIMIT ?",
            (queue, *values, *(() if after is None else (queue, after)), limit),
        )
        return [_finding(row) for row in rows]

    def named(
        self, queue: Queue, keys: Iterable[int], sources: Collection[str]
    ) -> list[DraftFinding]:
        """Return findings by key, open or not; those that are not there are left out."""
        clause, values = _seen(sources)
        statement = (
            f"SELECT {_COLUMNS}, number FROM findings WHERE queue = ? AND {clause} AND key = ?"  # noqa: S608
        )
        found = (self._connection.execute(statement, (queue, *values, key)) for key in keys)
        return [_finding(row) for rows in found for row in rows]

    def decided(
        self,
        queue: Queue,
        *,
        rule: str | None,
        sources: Collection[str],
        after: int | None,
        limit: int,
    ) -> list[tuple[DraftFinding, DraftDecision]]:
        """Return what was decided, newest first, from the one after a key."""
        clause, values = _seen(sources, rule, "d.")
        place = "(SELECT number FROM decisions WHERE queue = ? AND key = ?)"
        before = "" if after is None else f"AND d.number < coalesce({place}, 0)"
        rows = self._connection.execute(
            f"SELECT {_FROM_DECISIONS}, coalesce(f.number, 0), d.number, d.decision, d.editor, "  # noqa: S608
            "d.at, d.edit FROM decisions AS d LEFT JOIN findings AS f USING (queue, key) "
            f"WHERE d.queue = ? AND d.void = 0 AND {clause} {before} "
            "ORDER BY d.number DESC LIMIT ?",
            (queue, *values, *(() if after is None else (queue, after)), limit),
        )
        return [(_finding(row[:10]), _decision(row[10:])) for row in rows]

    def members(self, finding: DraftFinding, limit: int = -1) -> list[Member]:
        """Return the records of a group, in order."""
        rows = self._connection.execute(
            "SELECT position, source, record_id, similarity FROM finding_members "
            "WHERE finding = ? ORDER BY number LIMIT ?",
            (finding.number, limit),
        )
        return [Member(*row) for row in rows]

    def least_similarity(self, finding: DraftFinding) -> float | None:
        """Return how alike the record of a group is that is least like the first one."""
        return self._connection.execute(
            "SELECT min(similarity) FROM finding_members WHERE finding = ?", (finding.number,)
        ).fetchone()[0]

    # -- decisions ----------------------------------------------------------------------------

    def decide(
        self,
        queue: Queue,
        findings: Iterable[DraftFinding],
        decision: Decision,
        editor: str,
        edit: int | None,
    ) -> None:
        """Note a decision about findings; one that was made before is replaced."""
        at = to_text(now())
        self._connection.executemany(
            "INSERT OR REPLACE INTO decisions "
            "(queue, key, rule, source, position, decision, editor, at, edit) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (queue, f.key, f.rule, f.source, f.position, decision, editor, at, edit)
                for f in findings
            ),
        )

    def newest_decision(self, queue: Queue, editor: str) -> DraftDecision | None:
        """Return the last decision of an editor that stands."""
        row = self._connection.execute(
            "SELECT number, decision, editor, at, edit FROM decisions "
            "WHERE queue = ? AND editor = ? AND void = 0 ORDER BY number DESC LIMIT 1",
            (queue, editor),
        ).fetchone()
        return None if row is None else _decision(row)

    def take_back(self, queue: Queue, decision: DraftDecision) -> int:
        """Drop a decision that changed no record, with those made together with it."""
        return self._connection.execute(
            "DELETE FROM decisions WHERE queue = ? AND editor = ? AND at = ? AND edit IS NULL",
            (queue, decision.editor, to_text(decision.at)),
        ).rowcount

    def of_edit(self, edit: int) -> list[int]:
        """Return the positions that decisions with an edit are about."""
        rows = self._connection.execute("SELECT position FROM decisions WHERE edit = ?", (edit,))
        return [row[0] for row in rows]

    # -- lengths in tokens --------------------------------------------------------------------

    def begin_lengths(self, *, everything: bool) -> None:
        """Drop the counts of records that are gone, or all of them."""
        gone = "" if everything else "WHERE position NOT IN (SELECT position FROM records)"
        self._connection.execute(f"DELETE FROM token_counts {gone}")  # noqa: S608

    def uncounted(self, *, everything: bool) -> Iterator[tuple[int, str, str]]:
        """Yield position, time of change and JSON of records that were not counted as they are."""
        where = (
            ""
            if everything
            else "WHERE NOT EXISTS (SELECT 1 FROM token_counts AS c WHERE "
            "c.position = r.position AND c.changed_at = r.changed_at)"
        )
        yield from self._connection.execute(
            f"SELECT position, changed_at, record FROM records AS r {where} ORDER BY position"  # noqa: S608
        )

    def add_lengths(self, rows: Iterable[tuple[int, str, int]]) -> None:
        """Note how many tokens records have that changed last at some moment."""
        self._connection.executemany("INSERT OR REPLACE INTO token_counts VALUES (?, ?, ?)", rows)

    def lengths(self) -> list[tuple[int, int]]:
        """Return how many records have how many tokens, the shortest first."""
        return self._connection.execute(
            "SELECT c.tokens, count(*) FROM token_counts AS c JOIN records AS r USING (position) "
            "WHERE r.changed_at = c.changed_at GROUP BY c.tokens ORDER BY c.tokens"
        ).fetchall()

    # -- files --------------------------------------------------------------------------------

    def delete_file(self, file: str) -> None:
        """Drop what is about the records of a file, before they go."""
        gone = "position IN (SELECT position FROM records WHERE file = ?)"
        for table, own in (
            ("finding_members", "source IS NULL AND "),
            ("decisions", ""),
            ("rechecks", ""),
            ("token_counts", ""),
        ):
            self._connection.execute(f"DELETE FROM {table} WHERE {own}{gone}", (file,))  # noqa: S608
        # Of a group, what is left is about its other records.
        self._connection.execute(
            "UPDATE findings SET position = coalesce((SELECT min(m.position) FROM finding_members "  # noqa: S608
            "AS m WHERE m.finding = findings.number AND m.source IS NULL), position) "
            f"WHERE {gone}",
            (file,),
        )
        self._connection.execute(f"DELETE FROM findings WHERE {gone}", (file,))  # noqa: S608


def _seen(
    sources: Collection[str], rule: str | None = None, prefix: str = ""
) -> tuple[str, list[str]]:
    """Return the clause that lets through what is about this draft, or about these datasets."""
    clause = f"{prefix}source IS NULL"
    values = list(sources)
    if values:
        clause = f"({clause} OR {prefix}source IN ({', '.join('?' * len(values))}))"
    if rule is not None:
        clause += f" AND {prefix}rule = ?"
        values.append(rule)
    return clause, values


def _values(finding: DraftFinding) -> tuple[object, ...]:
    return (
        finding.key,
        finding.rule,
        finding.position,
        finding.records,
        finding.source,
        finding.occurrences,
        finding.place,
        finding.start,
        finding.end,
    )


def _finding(row: Sequence[Any]) -> DraftFinding:
    *values, number = row
    key, rule, position, records, source, occurrences, place, start, end = values
    return DraftFinding(
        key, rule, position, records, source, occurrences, place, start, end, number=number
    )


def _decision(row: Sequence[Any]) -> DraftDecision:
    number, decision, editor, at, edit = row
    return DraftDecision(number, decision, editor, from_text(at), edit)
