"""What requests cost, and (for administrators) what was done."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from adaptery.client.connection import Connection
from adaptery.client.listing import Columns, Listing
from adaptery.csv_text import csv_lines
from adaptery.errors import InvalidInputError
from adaptery.schemas.usage import AuditRow, UsageRow, told_by, usage_columns
from adaptery.times import now, to_text

__all__ = ["UsageListing", "fetch_audit", "fetch_usage"]

Moment = str | date | datetime

AUDIT: Columns[AuditRow] = (
    ("Moment", lambda it: it.created_at),
    ("Who", lambda it: it.actor),
    ("What", lambda it: it.action),
    ("With", lambda it: it.thing_id),
    ("Details", lambda it: ", ".join(f"{name} = {value}" for name, value in it.details.items())),
    ("Request", lambda it: it.request_id),
)

#: The columns of each thing that usage is told by.
_TOLD: dict[str, tuple[tuple[str, Callable[[UsageRow], object]], ...]] = {
    "day": (("Day", lambda it: it.begins_at and it.begins_at.date().isoformat()),),
    "hour": (("Hour", lambda it: it.begins_at and f"{it.begins_at:%Y-%m-%d %H:00}"),),
    "user": (("User", lambda it: it.user),),
    "owner": (("Owner", lambda it: it.owner),),
    "key": (("Key", lambda it: it.key or it.key_id),),
    "adapter": (("Adapter", lambda it: it.adapter or it.adapter_id),),
    "base_model": (("Base model", lambda it: it.base_model),),
    "kind": (("Kind", lambda it: it.kind),),
    "channel": (("Channel", lambda it: it.channel),),
}
_SUMS: Columns[UsageRow] = (
    ("Requests", lambda it: it.requests),
    ("Errors", lambda it: it.errors),
    ("Cancelled", lambda it: it.cancelled),
    ("Prompt tokens", lambda it: it.prompt_tokens),
    ("Completion tokens", lambda it: it.completion_tokens),
)


class UsageListing(Listing[UsageRow]):
    """Usage: a list of rows, a table in a notebook, and CSV."""

    def __init__(self, rows: Iterable[UsageRow], by: Sequence[str]) -> None:
        self._by = told_by(by)
        told = [column for name in self._by for column in _TOLD[name]]
        self.columns: Columns[UsageRow] = (*told, *_SUMS)
        super().__init__(rows, "row", self.columns, "Nothing was asked in this time.")

    def table(self) -> list[list[object]]:
        """Return the titles of the columns, and below them what stands in each row."""
        titles: list[object] = [title for title, _ in self.columns]
        return [titles, *([value(row) for _, value in self.columns] for row in self)]

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the rows as CSV, as the service has it, and write them to a file if one is named.

        A text that a spreadsheet would take for a formula begins with an apostrophe.
        """
        names = usage_columns(self._by)
        text = csv_lines([names, *([getattr(row, name) for name in names] for row in self)])
        if path is not None:
            Path(path).write_text(text, encoding="utf-8", newline="")
        return text


def fetch_usage(
    connection: Connection,
    by: str | Sequence[str],
    days: int,
    of: str,
    since: Moment | None,
    until: Moment | None,
    adapter: str | None,
    key: str | None,
) -> UsageListing:
    """Return what requests cost; see `Hub.usage`."""
    words = by.split(",") if isinstance(by, str) else [*by]
    if days < 1:
        raise InvalidInputError("Usage is told of at least one day.", hint="use days=1 or more")
    begin = since if since is not None else (now() - timedelta(days=days - 1)).date()
    asked = {
        "by": ",".join(words),
        "of": of,
        "from": _text(begin),
        "to": None if until is None else _text(until),
        "adapter": adapter,
        "key": key,
    }
    query = {name: value for name, value in asked.items() if value is not None}
    return UsageListing(connection.pages("api/usage", UsageRow, lambda row: row.id, query), words)


def fetch_audit(
    connection: Connection,
    limit: int,
    actor: str | None,
    thing: str | None,
    action: str | None,
    request: str | None,
    since: Moment | None,
    until: Moment | None,
) -> Listing[AuditRow]:
    """Return what was done; see `Hub.audit`."""
    asked = {
        "actor": actor,
        "thing": thing,
        "action": action,
        "request": request,
        "from": None if since is None else _text(since),
        "to": None if until is None else _text(until),
    }
    query = {name: value for name, value in asked.items() if value is not None}
    found = connection.pages("api/audit", AuditRow, lambda row: row.id, query)
    return Listing(itertools.islice(found, limit), "row", AUDIT)


def _text(moment: Moment) -> str:
    if isinstance(moment, datetime):
        return to_text(moment)
    return moment.isoformat() if isinstance(moment, date) else moment
