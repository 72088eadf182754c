"""Tenants, for administrators: who owns things here, and what becomes of it."""

from __future__ import annotations

import builtins

from adaptery.client.columns import TENANTS
from adaptery.client.connection import Connection, checked, path_of
from adaptery.client.listing import Listing
from adaptery.schemas.common import parse
from adaptery.schemas.tenants import (
    Reassign,
    Reassignment,
    Retention,
    Tenant,
    TenantKind,
    TenantPatch,
    TenantState,
)

__all__ = ["Tenants"]


class Tenants:
    """All tenants: names, states and sizes, never what they hold."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        state: TenantState | None = None,
        kind: TenantKind | None = None,
        search: str | None = None,
    ) -> Listing[Tenant]:
        """Return tenants, oldest first.

        Args:
            state: `dormant` is gone from the Hub.
            kind: `user`, `group` or `service`.
            search: what the name, here or on the Hub, holds.

        Raises:
            NotAllowedError: if the caller is no administrator.
            AdapteryError: what the service raised.
        """
        asked = {"state": state, "kind": kind, "search": search}
        query: dict[str, str | int] = {name: word for name, word in asked.items() if word}
        found = self._connection.pages("api/tenants", Tenant, lambda one: one.id, query)
        return Listing(found, "tenant", TENANTS)

    def get(self, tenant: str) -> Tenant:
        """Return one tenant, by id, `@user` or group.

        Raises:
            NotFoundError: if there is none.
            AdapteryError: what the service raised.
        """
        return self._connection.get(path_of("api", "tenants", tenant), Tenant)

    def set_quota(self, tenant: str, quota_bytes: int | None) -> Tenant:
        """Set how much a tenant may store; 0: no limit; None: as the settings say.

        Raises:
            NotFoundError: if there is no such tenant.
            AdapteryError: what the service raised.
        """
        return self._patch(tenant, {"storage_quota_bytes": quota_bytes})

    def set_retention(self, tenant: str, days: int | None) -> Tenant:
        """Set how long checkpoints and logs of a tenant's jobs are kept once a job is over.

        Args:
            tenant: id, `@user` or group.
            days: 0: for ever; None: as the settings say.

        Raises:
            NotFoundError: if there is no such tenant.
            AdapteryError: what the service raised.
        """
        return self._patch(tenant, {"retention_days": days})

    def suspend(self, tenant: str) -> Tenant:
        """Keep a user or group out until `resume`; what they own and gave to others stays.

        Raises:
            NotFoundError: if there is no such tenant.
            InvalidInputError: if it is the caller.
            ConflictError: if it is not active.
            AdapteryError: what the service raised.
        """
        return self._patch(tenant, {"state": "suspended"})

    def resume(self, tenant: str) -> Tenant:
        """Let a user or group in again that was suspended.

        Raises:
            NotFoundError: if there is no such tenant.
            ConflictError: if it is not suspended.
            AdapteryError: what the service raised.
        """
        return self._patch(tenant, {"state": "active"})

    def retire(self, group: str) -> Tenant:
        """Let a group that the Hub made again be dormant: the next of its name is another tenant.

        Raises:
            NotFoundError: if there is no such tenant.
            InvalidInputError: if it is a user: those are told apart by themselves.
            AdapteryError: what the service raised.
        """
        return self._patch(group, {"state": "dormant"})

    def reassign(
        self, tenant: str, to: str, *, dry_run: bool = False, break_glass: bool = False
    ) -> Reassignment:
        """Give what a dormant tenant owns to somebody; ids, files and grants stay.

        Args:
            tenant: id, `@user` or group.
            to: `@user` or a group that is there.
            dry_run: only say what would be given.
            break_glass: give it to yourself, or to a group of yours; that is written down.

        Raises:
            ConflictError: if the tenant is there.
            NotAllowedError: if the caller would get it, and did not say so.
            AdapteryError: what the service raised.
        """
        body = parse(Reassign, {"to": to, "dry_run": dry_run, "break_glass": break_glass})
        path = path_of("api", "tenants", tenant, "reassign")
        return self._connection.post(path, Reassignment, body.model_dump(mode="json"))

    def due(self) -> Retention:
        """Return what is due to be removed.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.get("api/retention", Retention)

    def sweep(self) -> Retention:
        """Remove what is due now, and return what was removed.

        Raises:
            AdapteryError: what the service raised.
        """
        return self._connection.post("api/retention", Retention)

    def _patch(self, tenant: str, values: builtins.dict[str, object]) -> Tenant:
        body = parse(TenantPatch, values).model_dump(mode="json", exclude_unset=True)
        path = path_of("api", "tenants", tenant)
        return checked(self._connection.send("PATCH", path, json=body), Tenant)
