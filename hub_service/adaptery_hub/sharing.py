"""Sharing: gives and takes grants, in the transaction of the caller.

Whoever calls has checked that the giver manages the thing; that is the highest right there is, so
nobody gives more than they have.

Invariants:

- What is answered about a user does not say whether there is one: a name that the service has not
  seen becomes a tenant that is expected, and the answer is the same.
- A group is named by its members only, so that nobody learns of groups by asking, and nobody
  shares with people whom they do not know. One that has a grant already may be named by whoever
  manages the thing.
- The owner's right is not a grant: it is neither changed nor removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem, InvalidInputError, NotFoundError
from adaptery.schemas.grants import GrantPut
from adaptery_hub.database.statements import grants
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right
from adaptery_hub.tenants import Tenant, Tenants

WHERE = "principal"


def give(
    connection: Connection,
    tenants: Tenants,
    identity: Identity,
    thing: RowMapping,
    wanted: GrantPut,
    created_at: datetime | None = None,
) -> RowMapping:
    """Give a right on a thing, or change the one that was given; return the grant.

    Args:
        connection: an open transaction.
        tenants: who is who.
        identity: the giver.
        thing: what is shared.
        wanted: the right, and whose it will be.
        created_at: when the Hub made the user whom the grant names, if it has one.

    Raises:
        InvalidInputError: the principal is no name, two accounts, or no group of the giver.
        ConflictError: the principal is the owner, who has this right without a grant.
        QuotaError: there are too many grants.
    """
    right = Right.of(wanted.right)
    principal = _principal(connection, tenants, identity, thing, wanted.principal, created_at)
    if principal.id == thing["tenant_id"]:
        _check_owner(principal, right)
    return grants.put(connection, thing["id"], principal.id, int(right), identity.tenant_id)


def take(connection: Connection, thing: RowMapping, text: str) -> RowMapping:
    """Remove the grant of a principal and return it as it was.

    Raises:
        NotFoundError: the principal has no grant on this thing, or is nobody: the same answer.
        ConflictError: the principal is the owner, and has no grant besides.
        InvalidInputError: the text is no name, or names two accounts that have a grant.
    """
    _check_name(text)
    named = [Tenant(**row) for row in statements.named(connection, text, dormant=True)]
    found = [(one, grants.find(connection, thing["id"], one.id)) for one in named]
    granted = _granted(found, text)
    if len(granted) > 1:
        raise _two_accounts()
    if granted:
        grants.remove(connection, granted[0])
        return granted[0]
    if any(one.id == thing["tenant_id"] for one in named):
        raise ConflictError(
            "The owner's right is not a grant and cannot be removed.",
            errors=[FieldProblem(WHERE, "owns this.", "Name someone else.")],
        )
    raise NotFoundError("This is not shared with anyone of that name.")


def _principal(
    connection: Connection,
    tenants: Tenants,
    identity: Identity,
    thing: RowMapping,
    text: str,
    created_at: datetime | None,
) -> Tenant:
    _check_name(text)
    named = [Tenant(**row) for row in statements.named(connection, text)]
    if text.startswith("@"):
        if named:
            return _only(named)
        return tenants.expect(connection, text.removeprefix("@"), created_at)
    known = {*identity.group_tenants, thing["tenant_id"]}
    mine = [
        group
        for group in named
        if group.id in known or grants.find(connection, thing["id"], group.id) is not None
    ]
    if not mine:
        raise _refused(
            "is no group of yours.",
            "Name a group that you are a member of; write @name for a user.",
        )
    return _only(mine)


def _granted(found: Sequence[tuple[Tenant, RowMapping | None]], text: str) -> list[RowMapping]:
    granted = [(one, grant) for one, grant in found if grant is not None]
    if any(one.state == statements.DORMANT for one, _ in granted):
        # Who came after somebody has the same Hub name; lists show the slugs, so that one is meant.
        granted = [(one, grant) for one, grant in granted if one.prefix == text] or granted
    return [grant for _, grant in granted]


def _only(named: Sequence[Tenant]) -> Tenant:
    # A slug that is someone else's Hub name: to choose would let a name be chosen to be mistaken.
    if len(named) > 1:
        raise _two_accounts()
    return named[0]


def _two_accounts() -> InvalidInputError:
    return _refused(
        "is the short name of one account and the Hub name of another.",
        "Write the other name of the one you mean.",
    )


def _check_owner(owner: Tenant, right: Right) -> None:
    if owner.kind != "group":
        raise ConflictError(
            "The owner has every right without a grant.",
            errors=[FieldProblem(WHERE, "owns this.", "Name someone else.")],
        )
    if right <= Right.EDIT:
        raise ConflictError(
            "Members of the owning group may edit without a grant.",
            errors=[FieldProblem("right", "is theirs already.", "They can be given manage.")],
        )


def _check_name(text: str) -> None:
    name = text.removeprefix("@")
    if not name or not name.isprintable() or name != name.strip():
        raise _refused("is no name.", "Write @name for a user, or the name of a group of yours.")


def _refused(reason: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(errors=[FieldProblem(WHERE, reason, remedy)])
