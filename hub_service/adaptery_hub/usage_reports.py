"""Usage as it is told: who may ask for what, and names in the place of ids.

Invariants:
- A caller sees their own usage. Whoever manages an adapter sees how much it is used, by the day,
  and not by whom. Everything else is for administrators.
- A name is shown of what the reader may see now; of anything else, the id.
- What is read at once is bounded: the range of time, and the rows of a page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy.engine import Connection, RowMapping

from adaptery import base64url
from adaptery.errors import FieldProblem, InvalidInputError, NotAllowedError
from adaptery.schemas.usage import USAGE_SUMS, UsageOf, UsageRow, told_by, usage_columns
from adaptery_hub.database.statements import usage as statements
from adaptery_hub.database.statements.usage import DIMENSIONS, UsageFilter
from adaptery_hub.full_names import full_name
from adaptery_hub.identity import Identity

#: The longest range; by the hour, a month.
RANGE_DAYS = 400
RANGE_DAYS_BY_HOUR = 32
DEFAULT_DAYS = 30
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
TOTAL = "total"

#: What is told of each kind of usage; more would say who used an adapter.
_TOLD: Mapping[UsageOf, frozenset[str]] = {
    "mine": frozenset(DIMENSIONS) - {"user", "owner"},
    "adapters": frozenset({"day", "adapter", "base_model", "kind", "channel"}),
    "everyone": frozenset(DIMENSIONS),
}
#: The scope that each needs besides that of the route.
_SCOPES: Mapping[UsageOf, str | None] = {"mine": None, "adapters": "read", "everyone": "admin"}
_TIMES = ("day", "hour")


@dataclass(frozen=True)
class UsageReport:
    """What is asked for, checked, and who asks."""

    identity: Identity
    of: UsageOf
    by: tuple[str, ...]  # in the order of `DIMENSIONS`
    wanted: UsageFilter

    @property
    def columns(self) -> list[str]:
        """The fields of a row that tell something here, in order."""
        return usage_columns(self.by)

    def rows(self, connection: Connection, after: str | None, limit: int) -> list[UsageRow]:
        """Return up to `limit + 1` rows, from the one behind the row with the id `after`.

        Raises:
            InvalidInputError: `after` is the id of no row of this list.
        """
        last = self._read_id(after) if after is not None else None
        wanted = self.wanted
        if last is not None and (begin := _begins_at(self.by, last)) is not None:
            # The same rows as without it; but what was told already is not read again.
            wanted = replace(wanted, since=max(begin, wanted.since))
        rows = statements.summed(connection, wanted, self.by, last, limit)
        names = self._names(connection, rows)
        return [self._told(row, names) for row in rows]

    def _read_id(self, text: str) -> list[str]:
        try:
            values: object = json.loads(base64url.decode(text))
            if not isinstance(values, list) or [type(v) for v in values] != [str] * len(self.by):
                raise ValueError("not the values of a row")
            _begins_at(self.by, values)
        except (ValueError, RecursionError):
            remedy = "Take it from the page before."
            problem = FieldProblem("after", "is the id of no row of this list.", remedy)
            raise InvalidInputError(errors=[problem]) from None
        return cast("list[str]", values)

    def _names(self, connection: Connection, rows: Sequence[RowMapping]) -> Mapping[str, str]:
        """Return the names that the reader may see, by id."""
        reader = None if self.of == "everyone" else self.identity
        ids = {name: {row[name] for row in rows} for name in self.by}
        names: dict[str, str] = {}
        if "adapter" in ids:
            for row in statements.adapters_named(connection, reader, ids["adapter"]):
                text = full_name(row["tenant_kind"], row["slug"], row["name"], row["number"])
                names[row["id"]] = text
        if "key" in ids:
            names |= statements.keys_named(connection, reader, ids["key"])
        tenants = ids.get("user", set()) | ids.get("owner", set())
        for row in statements.tenants_named(connection, tenants):
            names[row["id"]] = row["slug"] if row["kind"] == "group" else f"@{row['slug']}"
        return names

    def _told(self, row: RowMapping, names: Mapping[str, str]) -> UsageRow:
        values = [str(row[name]) for name in self.by]
        told: dict[str, object] = {
            "id": base64url.encode(json.dumps(values).encode()),
            "begins_at": _begins_at(self.by, values),
        }
        for name, value in zip(self.by, values, strict=True):
            if name in ("user", "owner"):
                told[name] = names.get(value, value or None)
            elif name in ("key", "adapter"):
                told |= {name: names.get(value), f"{name}_id": value or None}
            elif name not in _TIMES:
                told[name] = value or None
        return UsageRow.model_validate(told | {name: row[name] for name in USAGE_SUMS})


def report_of(
    identity: Identity,
    of: UsageOf,
    by: Iterable[str],
    since: datetime | None,
    until: datetime | None,
    now: datetime,
    *,
    adapter_id: str | None = None,
    key_id: str | None = None,
) -> UsageReport:
    """Return what is asked for.

    Raises:
        NotAllowedError: The caller is not an administrator, or the token may not read.
        InvalidInputError: It cannot be told so, or the range is too long.
    """
    needed = _SCOPES[of]
    if needed is not None and needed not in identity.scopes:
        raise NotAllowedError(
            f"This needs the scope custom:adaptery:{needed}, which this token does not have.",
            hint="Your own usage needs none: leave out `of`.",
        )
    dimensions = _dimensions(by, of)
    days = RANGE_DAYS_BY_HOUR if "hour" in dimensions else RANGE_DAYS
    since, until = _range(since, until, now, timedelta(days=days))
    wanted = UsageFilter(
        since=since,
        until=until,
        tenant_id=identity.tenant_id if of == "mine" else None,
        managed_by=identity if of == "adapters" else None,
        adapter_id=adapter_id,
        key_id=key_id,
    )
    return UsageReport(identity, of, dimensions, wanted)


def _range(
    since: datetime | None, until: datetime | None, now: datetime, longest: timedelta
) -> tuple[datetime, datetime]:
    until = until or now + timedelta(seconds=1)  # a row of this moment too
    if since is None:
        # Nobody has used anything before the year 2000, and there is no day before the first.
        since = _midnight(max(until, _EARLIEST) - timedelta(days=DEFAULT_DAYS))
    if not timedelta(0) < until - since <= longest:
        remedy = f"Ask for at most {longest.days} days."
        problem = FieldProblem("from", "and `to` make no range, or too long a one.", remedy)
        raise InvalidInputError(errors=[problem])
    return since, until


def _dimensions(by: Iterable[str], of: UsageOf) -> tuple[str, ...]:
    asked = set(by) - {TOTAL}
    if asked - _TOLD[of]:
        told = ", ".join(name for name in DIMENSIONS if name in _TOLD[of])
        reason = "names something that usage is not told by here."
        problem = FieldProblem("by", reason, f"Use {told} or {TOTAL}.")
        raise InvalidInputError(errors=[problem])
    return told_by(asked)


def _begins_at(by: Sequence[str], values: Sequence[str]) -> datetime | None:
    """Return when the day or the hour of a row begins.

    Raises:
        ValueError: It is none.
    """
    if not by or by[0] not in _TIMES:
        return None
    # An hour is written 2026-01-02 03, a day without it.
    form = "%Y-%m-%d" if by[0] == "day" else "%Y-%m-%d %H"
    return datetime.strptime(values[0], form).replace(tzinfo=UTC)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
