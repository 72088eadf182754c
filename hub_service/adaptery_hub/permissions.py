"""The one rule for permission: who may do what with which thing, as SQL.

`visible` gives the predicate; lists put it into their WHERE, and `fetch` checks one thing with the
very same expression. So "may I" and "what may I see" cannot disagree.

Rules (rights are ordered `use < view < edit < manage`; a higher one includes the lower):

- The owner, if a user, has `manage`.
- Members of the owning group have `edit`, and the member who created the thing has `manage`.
  Membership is what the Hub says now: who has left the group has lost both.
- A grant adds its right to a user or to a group. Nothing subtracts.
- Things in `tables.PARENTS` follow their parent; what `tables.EXISTS` leaves out is there for
  nobody.
- An own key has `use` on those of its adapters on which its owner has `use` at that moment, and
  nothing on anything else, while the key is in force and its owner is not suspended.
- No right at all: not found, on the same path as a thing that never was. Scopes (*what*) are not
  looked at here; the route table checks them.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import NotAllowedError, NotFoundError
from adaptery.schemas.grants import RightWord
from adaptery.times import now
from adaptery_hub.database import tables
from adaptery_hub.identity import Identity, KeyHold

#: The ids of an identity with so many groups, as parameters of a statement that is built once.
_ME = "identity_me"
_GROUP = "identity_group_{}"
_THING = "asked_thing"
#: Statements that are kept, for each table and number of groups.
FETCHES_KEPT = 500


class Right(IntEnum):
    """What a caller may do with a thing; a higher right includes every lower one."""

    USE = 1
    VIEW = 2
    EDIT = 3
    MANAGE = 4

    @classmethod
    def of(cls, word: RightWord) -> Right:
        """Return the right that the API spells so."""
        return cls[word.upper()]

    @property
    def word(self) -> RightWord:
        """The right in lower case, as the API spells it."""
        return cast("RightWord", self.name.lower())


def right_of(table: sa.Table, identity: Identity) -> sa.ColumnElement[int]:
    """Return an expression with the caller's highest right on each row of `table`; 0 for none."""
    if identity.key is not None:
        return _key_right(table, identity, identity.key)
    return _user_right(table, identity)


def placeholder(groups: int) -> Identity:
    """Return a stand-in for every identity with so many groups and no key.

    A statement that is built with it and run with `parameters` is the one that would have been
    built for the identity itself; building it costs ten times as much as running it.
    """
    me = sa.bindparam(_ME, type_=tables.tenants.c.id.type)
    others = [
        sa.bindparam(_GROUP.format(number), type_=tables.tenants.c.id.type)
        for number in range(groups)
    ]
    return Identity(
        tenant_id=cast("str", me),
        hub_name="",
        slug="",
        groups=(),
        group_tenants=cast("tuple[str, ...]", tuple(others)),
        group_slugs=(),
        scopes=frozenset(),
        token_kind="token",  # noqa: S106 - a kind, not a secret
    )


def parameters(identity: Identity) -> dict[str, str]:
    """Return what an identity is in a statement that was built with `placeholder`."""
    groups = {_GROUP.format(n): tenant for n, tenant in enumerate(identity.group_tenants)}
    return {_ME: identity.tenant_id, **groups}


def _user_right(table: sa.Table, identity: Identity) -> sa.ColumnElement[int]:
    parent = tables.PARENTS.get(table)
    if parent is not None:
        column, owner = parent
        return (
            sa.select(_user_right(owner, identity))
            .where(owner.c.id == column)
            .correlate(table)
            .scalar_subquery()
        )
    highest = _highest(_own_right(table, identity), _granted_right(table, identity))
    exists = tables.EXISTS.get(table)
    return highest if exists is None else sa.case((exists, highest), else_=0)


def visible(table: sa.Table, identity: Identity, right: Right) -> sa.ColumnElement[bool]:
    """Return the predicate "the caller has at least `right` on this row"."""
    if identity.key is not None or table in tables.PARENTS:
        return right_of(table, identity) >= int(right)
    # The higher of two is enough if one of them is: grants on what is one's own are not looked for.
    parts = (_own_right(table, identity), _granted_right(table, identity))
    enough = sa.or_(*(part >= int(right) for part in parts))
    exists = tables.EXISTS.get(table)
    return enough if exists is None else sa.and_(exists, enough)


def within_reach(table: sa.Table, identity: Identity) -> sa.ColumnElement[bool]:
    """Return what holds for every row that a user has any right on, and for few others.

    It says nothing about rights. Beside `visible`, it lets a database look into its indexes for the
    rows in question instead of asking for the right on each row that there is.
    """
    own, grants = table.alias(), tables.grants
    owned = sa.select(own.c.id).where(own.c.tenant_id.in_(identity.principals))
    granted = sa.select(grants.c.thing_id).where(grants.c.principal_id.in_(identity.principals))
    return table.c.id.in_(owned.union_all(granted))


def fetch(
    connection: Connection, table: sa.Table, identity: Identity, thing_id: str, right: Right
) -> RowMapping:
    """Return the row with this id, plus the caller's right on it as `right`.

    Raises:
        NotFoundError: there is no such thing, or the caller has no right on it at all.
        NotAllowedError: the caller may see it, but has less than `right` on it.
    """
    asked = {_THING: thing_id}
    if identity.key is None:
        statement = _fetch_as_user(table, len(identity.group_tenants))
        asked |= parameters(identity)
    else:
        statement = _fetch(table, identity)
    row = connection.execute(statement, asked).mappings().first()
    if row is None:
        raise NotFoundError(
            hint="Check the id; a thing you have no right to looks the same as one that is not."
        )
    if row["right"] < right:
        raise NotAllowedError(
            f"This needs the right to {right.word}; you have the right to "
            f"{Right(row['right']).word}.",
            hint="Ask its owner for a grant.",
        )
    return row


@lru_cache(maxsize=FETCHES_KEPT)
def _fetch_as_user(table: sa.Table, groups: int) -> sa.Select[*tuple[Any, ...]]:
    return _fetch(table, placeholder(groups))


def _fetch(table: sa.Table, identity: Identity) -> sa.Select[*tuple[Any, ...]]:
    highest = right_of(table, identity)
    statement = sa.select(table, highest.label("right"))
    return statement.where(table.c.id == sa.bindparam(_THING), highest > 0)


def _key_right(table: sa.Table, identity: Identity, key: KeyHold) -> sa.ColumnElement[int]:
    if table is not tables.adapters:
        return sa.literal(0)
    owners = _user_right(table, identity) >= int(Right.USE)
    usable = sa.and_(table.c.id.in_(key.adapters), owners, _in_force(key))
    return sa.case((usable, int(Right.USE)), else_=0)


def _in_force(key: KeyHold) -> sa.ColumnElement[bool]:
    """Whether the secret that came is the key's, the key has not ended, and its owner is active."""
    keys, moment = tables.keys, now()
    owner = tables.tenants.alias()  # the statements around this one join the owner of the adapter
    of_the_key = sa.or_(
        keys.c.secret_hash == key.secret_hash,
        sa.and_(keys.c.old_secret_hash == key.secret_hash, keys.c.old_secret_until > moment),
    )
    return (
        sa.select(keys.c.id)
        .join(owner, owner.c.id == keys.c.tenant_id)
        .where(
            keys.c.id == key.id,
            of_the_key,
            keys.c.revoked_at.is_(None),
            keys.c.expires_at > moment,
            owner.c.state == "active",
        )
        .correlate(None)
        .exists()
    )


def _own_right(table: sa.Table, identity: Identity) -> sa.ColumnElement[int]:
    tenant = table.c.tenant_id
    branches: list[tuple[sa.ColumnElement[bool], int]] = [
        (tenant == identity.tenant_id, int(Right.MANAGE))
    ]
    if identity.group_tenants:
        member = tenant.in_(identity.group_tenants)
        if "creator_id" in table.c:
            creator = sa.and_(member, table.c.creator_id == identity.tenant_id)
            branches.append((creator, int(Right.MANAGE)))
        branches.append((member, int(Right.EDIT)))
    return sa.case(*branches, else_=0)


def _granted_right(table: sa.Table, identity: Identity) -> sa.ColumnElement[int]:
    grants = tables.grants
    principals = (identity.tenant_id, *identity.group_tenants)
    granted = (
        sa.select(sa.func.max(grants.c.right))
        .where(grants.c.thing_id == table.c.id, grants.c.principal_id.in_(principals))
        .correlate(table)
        .scalar_subquery()
    )
    return sa.func.coalesce(granted, 0)


def _highest(first: sa.ColumnElement[int], second: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    # SQLite's max(a, b) and PostgreSQL's greatest(a, b) share no name; CASE is the same on both.
    return sa.case((first >= second, first), else_=second)
