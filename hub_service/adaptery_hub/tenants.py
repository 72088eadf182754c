"""From Hub names to tenants: minted on first sight, found again for as long as the name is theirs.

A tenant is a Hub user, a Hub group or a Hub service. Its slug is minted once and never changes;
only ids go into keys, subjects and foreign keys. Membership of groups is not stored at all. Who
comes after whom under one name is decided by `succession`.

Invariants:

- Of one (kind, exact Hub name) one row is awake, however many requests see the name first at once.
- A suspended tenant gets no identity, and nobody acts for a suspended or a dormant group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Connection

from adaptery.errors import NotAllowedError, NotFoundError
from adaptery_hub.database import Database
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.identity import HubModel, Identity, service_scopes
from adaptery_hub.succession import HubName, Succession

#: How many Hub names are remembered before the memory is dropped and read anew.
REMEMBERED_TENANTS = 20_000


@dataclass(frozen=True)
class Tenant:
    """One owner of things."""

    id: str
    kind: str  # user | group | service
    hub_name: str
    hub_created_at: datetime | None
    slug: str
    state: str  # active | suspended | expected | dormant

    @property
    def prefix(self) -> str:
        """How names of this tenant's things begin: `@demo` or `radiology`."""
        return self.slug if self.kind == "group" else f"@{self.slug}"


class Tenants:
    """Finds and mints tenants."""

    def __init__(self, database: Database, succession: Succession) -> None:
        self.succession = succession
        self._database = database
        # Ids and slugs never change, so remembering them is safe; the state is read each time.
        self._remembered: dict[HubName, Tenant] = {}

    async def identity_of(self, model: HubModel) -> Identity:
        """Return the identity of a Hub user or service, minting tenants not seen before.

        Raises:
            NotAllowedError: the tenant is suspended, or the user is gone and another has the name.
        """
        who = HubName(model.kind, model.name, model.created_at)
        own, *groups = await self._find([who, *_groups(model.groups)])
        if own.state != statements.ACTIVE:
            raise NotAllowedError(
                "This account is suspended in Adaptery.", hint="Ask an administrator."
            )
        members = _active(groups)
        return Identity(
            tenant_id=own.id,
            hub_name=own.hub_name,
            slug=own.slug,
            groups=tuple(tenant.hub_name for tenant in members),
            group_tenants=tuple(tenant.id for tenant in members),
            group_slugs=tuple(tenant.slug for tenant in members),
            scopes=service_scopes(model.scopes),
            token_kind=model.token_kind,
            kind=own.kind,
        )

    def expect(
        self, connection: Connection, hub_name: str, created_at: datetime | None = None
    ) -> Tenant:
        """Return the tenant of a user whom the service has not seen, made for a grant.

        It is not remembered: it goes with its last grant, unless its user has come by then.
        """
        return Tenant(**self.succession.expect(connection, hub_name, created_at))

    async def of_groups(self, hub_names: Sequence[str]) -> list[Tenant]:
        """Return the tenants of Hub groups for whom one may act, minting those not seen before."""
        return _active(await self._find(_groups(hub_names)))

    async def _find(self, names: Sequence[HubName]) -> list[Tenant]:
        """Return the tenants of these names, each with its state now."""
        missing = [name for name in names if name not in self._remembered]
        if missing:
            await self._learn(missing)
        found = [self._remembered[name] for name in names]
        states = await self._states(found)
        gone = [
            name
            for name, tenant in zip(names, found, strict=True)
            if states[tenant.id] in (statements.DORMANT, None)
        ]
        if gone:  # fallen asleep since it was remembered: somebody else has the name now
            await self._learn(gone)
            found = [self._remembered[name] for name in names]
            states = await self._states(found)
        return [
            tenant if tenant.state == state else replace(tenant, state=state)
            for tenant in found
            for state in (states[tenant.id] or "",)
        ]

    async def _states(self, found: Sequence[Tenant]) -> Mapping[str, str | None]:
        ids = tuple(tenant.id for tenant in found)
        return await self._database.look_up(
            lambda c: {id: statements.state_of(c, id) for id in ids}, ("states of tenants", ids)
        )

    async def _learn(self, names: Sequence[HubName]) -> None:
        if len(self._remembered) > REMEMBERED_TENANTS:
            self._remembered.clear()
        places = [(name.kind, name.name) for name in names]
        known = await self._database.read(lambda c: statements.find(c, places))
        for name in names:
            row = known.get((name.kind, name.name))
            if row is None or not _is_settled(row, name):
                row = await self._database.write(lambda c, n=name: self.succession.tenant_of(c, n))
            self._remembered[name] = Tenant(**row)


def _is_settled(row: statements.Row, name: HubName) -> bool:
    """Whether a tenant is who is meant, and nothing is to be written down about it."""
    same = name.kind != "user" or (
        name.created_at is not None and row["hub_created_at"] == name.created_at
    )
    return same and row["state"] != statements.EXPECTED


def _groups(hub_names: Sequence[str]) -> list[HubName]:
    return [HubName("group", hub_name) for hub_name in hub_names]


def _active(tenants: Sequence[Tenant]) -> list[Tenant]:
    return [tenant for tenant in tenants if tenant.state == statements.ACTIVE]


def owner_for(connection: Connection, identity: Identity, name: str | None) -> Tenant:
    """Return the tenant that `name` means to this caller: own, or a group they are in.

    Args:
        connection: an open transaction.
        identity: the caller.
        name: a slug, with or without `@`, or an exact Hub name; None for the caller's own.

    Raises:
        NotFoundError: the caller does not act for a tenant of that name.
    """
    if name is None or name in {f"@{identity.slug}", f"@{identity.hub_name}"}:
        return _get_many(connection, (identity.tenant_id,))[0]
    # Without `@` a name means a group, as everywhere; then the caller, for whom it is meant kindly.
    for tenant in _get_many(connection, (*identity.group_tenants, identity.tenant_id)):
        if name in {tenant.slug, tenant.hub_name}:
            return tenant
    raise NotFoundError(
        "You have no tenant of that name.",
        hint="Leave it out for your own, or name a group you are a member of.",
    )


def _get_many(connection: Connection, ids: Sequence[str]) -> list[Tenant]:
    found = {row["id"]: Tenant(**row) for row in statements.get_many(connection, ids)}
    return [found[id] for id in ids]
