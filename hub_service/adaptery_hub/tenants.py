"""From Hub names to tenants: minted on first sight, found again by the exact Hub name.

A tenant is a Hub user, a Hub group or a Hub service. Its slug is minted once and never changes;
only ids go into keys, subjects and foreign keys. Membership of groups is not stored at all.

Invariants:

- One row per (kind, exact Hub name), however many requests see the name first at once.
- A suspended tenant gets no identity.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from adaptery.errors import NotAllowedError, NotFoundError
from adaptery_hub.database import Database
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.identity import HubModel, Identity, service_scopes

#: Asks the Hub when a user was created; None when it does not say.
UserCreatedAt = Callable[[str], Awaitable[datetime | None]]
#: How many (kind, name) pairs are remembered before the memory is dropped and read anew.
REMEMBERED_TENANTS = 20_000


@dataclass(frozen=True)
class Tenant:
    """One owner of things."""

    id: str
    kind: str  # user | group | service
    hub_name: str
    slug: str
    state: str  # active | suspended | expected

    @property
    def prefix(self) -> str:
        """How names of this tenant's things begin: `@demo` or `radiology`."""
        return self.slug if self.kind == "group" else f"@{self.slug}"


class Tenants:
    """Finds and mints tenants."""

    def __init__(
        self,
        database: Database,
        user_created_at: UserCreatedAt | None = None,
        reserved: Collection[str] = (),
    ) -> None:
        """Make a finder.

        Args:
            database: where tenants are kept.
            user_created_at: asks the Hub about a new user.
            reserved: slugs that no tenant gets: `organisation/model` must stay a base model.
        """
        self._reserved = frozenset(reserved)
        self._database = database
        self._user_created_at = user_created_at
        # Ids and slugs never change, so remembering them is safe; the state is read each time.
        self._remembered: dict[tuple[str, str], Tenant] = {}

    async def identity_of(self, model: HubModel) -> Identity:
        """Return the identity of a Hub user or service, minting tenants not seen before.

        Raises:
            NotAllowedError: the tenant is suspended.
        """
        names = [(model.kind, model.name), *(("group", group) for group in model.groups)]
        found = await self._find(names)
        own = found[0]
        if await self._database.read(lambda c: statements.state_of(c, own.id)) != "active":
            raise NotAllowedError(
                "This account is suspended in Adaptery.", hint="Ask an administrator."
            )
        return Identity(
            tenant_id=own.id,
            hub_name=own.hub_name,
            slug=own.slug,
            groups=model.groups,
            group_tenants=tuple(tenant.id for tenant in found[1:]),
            group_slugs=tuple(tenant.slug for tenant in found[1:]),
            scopes=service_scopes(model.scopes),
            token_kind=model.token_kind,
            kind=own.kind,
        )

    def expect(self, connection: Connection, hub_name: str) -> Tenant:
        """Return the tenant of a user whom the service has not seen, made for a grant.

        It is not remembered: it goes with its last grant, unless its user has come by then.
        """
        return Tenant(**statements.expect(connection, hub_name, self._reserved))

    async def of_groups(self, hub_names: Sequence[str]) -> list[Tenant]:
        """Return the tenants of Hub groups, minting those not seen before."""
        return await self._find([("group", hub_name) for hub_name in hub_names])

    async def _find(self, names: Sequence[tuple[str, str]]) -> list[Tenant]:
        missing = [name for name in names if name not in self._remembered]
        if missing:
            await self._learn(missing)
        return [self._remembered[name] for name in names]

    async def _learn(self, names: Sequence[tuple[str, str]]) -> None:
        if len(self._remembered) > REMEMBERED_TENANTS:
            self._remembered.clear()
        found = await self._database.read(lambda c: statements.find(c, names))
        unknown = [
            name
            for name in names
            if name not in found or found[name]["state"] == statements.EXPECTED
        ]
        if unknown:
            created_at = await self._creation_times(unknown)
            found |= await self._database.write(
                lambda c: statements.mint(c, unknown, created_at, self._reserved)
            )
        self._remembered |= {name: Tenant(**row) for name, row in found.items()}

    async def _creation_times(self, names: Sequence[tuple[str, str]]) -> dict[str, datetime | None]:
        if self._user_created_at is None:
            return {}
        users = [hub_name for kind, hub_name in names if kind == "user"]
        return {user: await self._user_created_at(user) for user in users}


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
