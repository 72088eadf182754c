"""What was collated into a draft: the sources of its records, and how many were taken of each."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from adaptery.errors import NotFoundError
from adaptery.times import from_text, to_text


@dataclass(frozen=True)
class DraftSource:
    """A draft or version that records were taken from."""

    id: str  # the `file` of its records
    at: datetime
    editor: str  # tenant id
    kind: Literal["dataset", "version"]
    source: str  # its id
    name: str  # its full name then
    digest: str  # of a version, its content; of a draft, the records that were taken
    available: int  # records that the filter let through
    taken: int
    recipe: Mapping[str, object]  # weight, sample, seed, filter, kind; what differs from nothing
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])  # by the change of kind
    records: int = 0  # of them in the draft now


_COLUMNS = "id, at, editor, kind, source, name, digest, available, taken, recipe, dropped"


class Sources:
    """The rows of the table `sources`, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, source: DraftSource) -> None:
        """Note a source."""
        self._connection.execute(
            f"INSERT INTO sources ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                source.id,
                to_text(source.at),
                source.editor,
                source.kind,
                source.source,
                source.name,
                source.digest,
                source.available,
                source.taken,
                json.dumps(source.recipe),
                json.dumps(source.dropped),
            ),
        )

    def all(self) -> list[DraftSource]:
        """Return all sources, in the order in which they came."""
        cursor = self._connection.cursor()
        cursor.row_factory = sqlite3.Row
        rows = cursor.execute(
            f"SELECT {_COLUMNS}, (SELECT count(*) FROM records WHERE file = sources.id) AS records "  # noqa: S608
            "FROM sources ORDER BY rowid"
        )
        return [_source(row) for row in rows]

    def remove(self, id: str) -> None:
        """Forget a source.

        Raises:
            NotFoundError: there is none with this id.
        """
        if not self._connection.execute("DELETE FROM sources WHERE id = ?", (id,)).rowcount:
            raise NotFoundError("Nothing in this draft was collated under this id.")


def _source(row: sqlite3.Row) -> DraftSource:
    values = dict(zip(row.keys(), row, strict=True))
    values["at"] = from_text(values["at"])
    values["recipe"], values["dropped"] = (json.loads(values[n]) for n in ("recipe", "dropped"))
    return DraftSource(**values)
