"""Gives what a tenant that is gone owns to another, in the transaction of the caller.

Invariants:

- Ids, files, digests, sensitivities and grants stay; whoever was given a thing keeps it.
- Nothing of the new owner is renamed or written over. What would have the same name gets a number
  behind it; all versions of an adapter keep one name, and their numbers.
- What a tenant *was given* by others does not pass on, nor do its keys: those ended with it.
- What nobody would manage, because the member who made it is gone, the new group manages.

Not here: who may do this (administrators), and that they see no content by it. Giving things to
oneself is reading them, and has to be said: see `handlers.tenants`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from sqlalchemy.engine import Connection

from adaptery.names import NAME_LIMIT
from adaptery_hub.database.statements import ownership as statements
from adaptery_hub.database.statements.adapters import DELETED
from adaptery_hub.permissions import Right
from adaptery_hub.tenants import Tenant

Thing = Literal["dataset", "job", "adapter"]
KINDS: tuple[Thing, ...] = ("dataset", "job", "adapter")


@dataclass(frozen=True)
class Transfer:
    """One thing and the name that it gets."""

    kind: Thing
    id: str
    name: str
    new_name: str
    bytes: int
    shown: bool = True  # deleted adapters move along, and are nobody's business
    number: int | None = field(default=None)  # of an adapter


def plan(connection: Connection, source: Tenant, target: Tenant) -> list[Transfer]:
    """Return what would be moved, and what it would be called."""
    renamed = {"dataset": _new_names(connection, source, target, ("dataset",))}
    # A job that still runs names its adapter when it ends: both are called the same.
    renamed["adapter"] = renamed["job"] = _new_names(connection, source, target, ("adapter", "job"))
    return [transfer for kind in KINDS for transfer in _of(connection, kind, source, renamed[kind])]


def carry_out(connection: Connection, transfers: list[Transfer], target: Tenant, by: str) -> None:
    """Move the things of a plan that was made in this transaction.

    Args:
        connection: an open transaction.
        transfers: the plan.
        target: who gets them.
        by: the administrator.
    """
    for transfer in transfers:
        statements.give(connection, transfer.kind, transfer.id, target.id, transfer.new_name)
    for kind in KINDS:
        ids = [transfer.id for transfer in transfers if transfer.kind == kind]
        for some in _batches(ids):
            _settle(connection, kind, some, target, by)


def _settle(connection: Connection, kind: Thing, ids: list[str], target: Tenant, by: str) -> None:
    if target.kind != "group":
        statements.drop_grants_of(connection, ids, target.id)
        return
    orphans = statements.without_maker(connection, kind, ids)
    statements.let_manage(connection, orphans, target.id, int(Right.MANAGE), by)


def _of(
    connection: Connection, kind: Thing, source: Tenant, renamed: Mapping[str, str]
) -> Iterator[Transfer]:
    for row in statements.owned(connection, kind, source.id):
        yield Transfer(
            kind=kind,
            id=row["id"],
            name=row["name"],
            new_name=renamed.get(row["name"], row["name"]),
            bytes=int(row["bytes"] or 0),
            shown=kind != "adapter" or row["state"] != DELETED,
            number=row["number"] if kind == "adapter" else None,
        )


def _new_names(
    connection: Connection, source: Tenant, target: Tenant, kinds: tuple[Thing, ...]
) -> dict[str, str]:
    """Return the new names of those things that have a name which the target has, too."""
    mine, theirs = (
        set[str]().union(*(statements.names(connection, kind, owner.id) for kind in kinds))
        for owner in (source, target)
    )
    taken = mine | theirs
    renamed: dict[str, str] = {}
    for name in sorted(mine & theirs):
        renamed[name] = _free(name, taken)
        taken.add(renamed[name])
    return renamed


def _free(name: str, taken: Set[str]) -> str:
    for number in count(2):
        suffix = f"-{number}"
        candidate = name[: NAME_LIMIT - len(suffix)].rstrip("._-") + suffix
        if candidate not in taken:
            return candidate
    raise AssertionError("unreachable")


def _batches(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), 500):  # SQLite takes so many parameters at a time, and more
        yield ids[start : start + 500]
