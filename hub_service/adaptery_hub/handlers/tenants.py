"""`api/tenants`: who owns things here, for administrators: names, states and sizes, never content.

To give away what a tenant that is gone owns shows nobody anything new: the new owner sees it, the
administrator does not. An administrator who is the new owner reads what was another's; that is
breaking the glass, has to be said, and is an action of its own in the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import (
    ConflictError,
    FieldProblem,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from adaptery.ids import is_id
from adaptery.schemas.common import Page
from adaptery.schemas.tenants import (
    Move,
    Reassign,
    Reassignment,
    Tenant,
    TenantKind,
    TenantPatch,
    TenantState,
)
from adaptery_hub import reassignment
from adaptery_hub.audit import AuditEntry, Detail
from adaptery_hub.database.statements import tenant_lists as lists
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.database.statements.tenant_lists import TenantFilter
from adaptery_hub.full_names import full_name
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.storage import describe_account
from adaptery_hub.reassignment import Transfer
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.tenants import Tenant as Owner

STATES: tuple[TenantState, ...] = get_args(TenantState)
KINDS: tuple[TenantKind, ...] = get_args(TenantKind)
#: Things that one answer lists.
MOVES_LISTED = 500
#: States of whom nobody acts as: only what they own may be given away.
AT_REST = ("dormant", "suspended")


class _TenantHandler(Handler):
    def find(self, connection: Connection, text: str) -> RowMapping:
        """Return the tenant that a path names: by id, `@slug` or a group's slug.

        Raises:
            NotFoundError: there is none.
        """
        id = text
        if not is_id(text, "tn"):
            row = statements.by_prefix(connection, text) if text.isprintable() else None
            id = row["id"] if row is not None else ""
        found = statements.details_of(connection, [id]).get(id)
        if found is None:
            raise NotFoundError(
                "There is no such tenant.", hint="GET api/tenants lists them with their ids."
            )
        return found

    def describe(self, connection: Connection, rows: Sequence[RowMapping]) -> list[Tenant]:
        """Return tenants as the API shows them."""
        ids = [row["id"] for row in rows]
        counts = lists.counts(connection, ids)
        quotas = {row["id"]: row["storage_quota_bytes"] for row in rows}
        accounts = self.services.storage.accounts(connection, quotas)
        return [
            Tenant(
                id=row["id"],
                name=row["prefix"],
                kind=row["kind"],
                hub_name=row["hub_name"],
                state=row["state"],
                created_at=row["created_at"],
                dormant_at=row["dormant_at"],
                storage=describe_account(row["prefix"], accounts[row["id"]]),
                storage_quota_bytes=row["storage_quota_bytes"],
                retention_days=row["retention_days"],
                **counts[row["id"]],
            )
            for row in rows
        ]


class TenantsHandler(_TenantHandler):
    """All tenants."""

    async def get(self) -> None:
        """List tenants, oldest first."""
        after, limit = self.page()
        wanted = TenantFilter(
            self.one_of("state", STATES), self.one_of("kind", KINDS), self.query("search")
        )

        def read(connection: Connection) -> list[Tenant]:
            rows = lists.list_page(connection, wanted, after, limit + 1)
            return self.describe(connection, rows)

        self.answer_page(await self.services.db.read(read), limit)


class TenantHandler(_TenantHandler):
    """One tenant."""

    async def get(self, tenant: str) -> None:
        """Answer the tenant."""
        self.check_query()
        (found,) = await self.services.db.read(lambda c: self.describe(c, [self.find(c, tenant)]))
        self.answer(found)

    async def patch(self, tenant: str) -> None:
        """Set what the tenant may store and how long, suspend it, or let a group be dormant."""
        self.check_query()
        wanted = self.body(TenantPatch)

        def change(connection: Connection) -> list[Tenant]:
            row = self.find(connection, tenant)
            values = wanted.model_dump(exclude_unset=True, exclude={"state"})
            lists.change(connection, row["id"], values)
            for name, value in values.items():
                told = "default" if value is None else value
                self.audit(connection, "tenant.change", row["id"], **{name: told})
            if wanted.state == statements.DORMANT:
                self._retire(connection, row)
            elif wanted.state is not None:
                self._suspend(connection, row, wanted.state)
            return self.describe(connection, [self.find(connection, row["id"])])

        (found,) = await self.services.db.write(change)
        self.services.admissions.recheck_all()
        self.answer(found)

    def _suspend(self, connection: Connection, row: RowMapping, state: str) -> None:
        """Keep a tenant out, or let it in again; it stays as it is if it is so already.

        Raises:
            InvalidInputError: the caller would be kept out.
            ConflictError: it is in another state.
        """
        if row["id"] == self.identity.tenant_id:
            problem = FieldProblem("state", "is your own.", "Ask another administrator.")
            raise InvalidInputError(errors=[problem])
        if row["state"] == state:
            return
        before = statements.ACTIVE if state == statements.SUSPENDED else statements.SUSPENDED
        if not statements.change_state(connection, row["id"], before, state):
            raise ConflictError(
                f"{row['prefix']} is {row['state']}.",
                hint="Only a tenant that is active is suspended, and the other way round.",
            )
        action = "tenant.suspend" if state == statements.SUSPENDED else "tenant.resume"
        self.audit(connection, action, row["id"], name=row["prefix"])

    def _retire(self, connection: Connection, row: RowMapping) -> None:
        if row["kind"] != "group":
            problem = FieldProblem(
                "state", "is for groups.", "Delete the user on the Hub, and make another."
            )
            raise InvalidInputError(errors=[problem])
        by = self.identity.tenant_id
        succession = self.services.tenants.succession
        succession.retire(connection, dict(row), "by_administrator", by, self.request_id)


class ReassignHandler(_TenantHandler):
    """What one tenant owns."""

    async def post(self, tenant: str) -> None:
        """Give it to another, or say what would be given."""
        self.check_query()
        wanted = self.body(Reassign)
        if wanted.dry_run:
            answer = await self.services.db.read(lambda c: self._plan(c, tenant, wanted)[0])
        else:
            answer = await self.services.db.write(lambda c: self._carry_out(c, tenant, wanted))
            self.services.admissions.recheck_all()
        self.answer(answer)

    def _plan(
        self, connection: Connection, tenant: str, wanted: Reassign
    ) -> tuple[Reassignment, list[Transfer], Owner, Owner]:
        """Return what is answered, what moves, and between whom."""
        row = self.find(connection, tenant)
        (source,) = [Owner(**one) for one in statements.get_many(connection, [row["id"]])]
        target = _target(connection, wanted.to)
        if source.state not in AT_REST:
            raise ConflictError(
                f"{source.prefix} is {source.state}: what it owns is not to be given away.",
                hint="Only a tenant that is dormant or suspended can be reassigned.",
            )
        transfers = reassignment.plan(connection, source, target)
        answer = Reassignment(
            source=source.prefix,
            to=target.prefix,
            dry_run=wanted.dry_run,
            bytes=self.services.storage.account(connection, source.id).used_bytes,
            needs_break_glass=target.id in self.identity.principals,
            moves=_moves(source, target, transfers),
            **_counts(transfers),
        )
        return answer, transfers, source, target

    def _carry_out(self, connection: Connection, tenant: str, wanted: Reassign) -> Reassignment:
        answer, transfers, source, target = self._plan(connection, tenant, wanted)
        if answer.needs_break_glass and not wanted.break_glass:
            raise NotAllowedError(
                "This would let you read what was another's.",
                hint="Name somebody else, or say break_glass (--break-glass on the command line); "
                "that is written down.",
            )
        for id in sorted((source.id, target.id)):
            statements.lock(connection, id)
        reassignment.carry_out(connection, transfers, target, self.identity.tenant_id)
        self._write_down(connection, answer, transfers, source)
        return answer

    def _write_down(
        self,
        connection: Connection,
        answer: Reassignment,
        transfers: Sequence[Transfer],
        source: Owner,
    ) -> None:
        action = "tenant.break_glass" if answer.needs_break_glass else "tenant.reassign"
        names: dict[str, Detail] = {"from": answer.source, "to": answer.to}
        told: dict[str, Detail] = {
            **names,
            "datasets": answer.datasets,
            "jobs": answer.jobs,
            "adapters": answer.adapters,
            "bytes": answer.bytes,
        }
        entries = [self._entry(action, source.id, told)]
        for one in transfers:
            changed: dict[str, Detail] = {**names, "name": one.name, "new_name": one.new_name}
            entries.append(self._entry(f"{one.kind}.reassign", one.id, changed))
        compute_of(self).audit.append_all(connection, entries)

    def _entry(self, action: str, thing_id: str, details: dict[str, Detail]) -> AuditEntry:
        return AuditEntry(action, self.identity.tenant_id, thing_id, details, self.request_id)


def _target(connection: Connection, text: str) -> Owner:
    named = [Owner(**row) for row in statements.named(connection, text)]
    known = [one for one in named if one.state == statements.ACTIVE and one.kind != "service"]
    if not known:
        reason, remedy = "is nobody who was here.", "Write @user or a group; they log in first."
    elif len(known) > 1:
        reason = "is the short name of one account and the Hub name of another."
        remedy = "Write the other name of the one you mean."
    else:
        return known[0]
    raise InvalidInputError(errors=[FieldProblem("to", reason, remedy)])


def _counts(transfers: Sequence[Transfer]) -> dict[str, int]:
    shown = [one.kind for one in transfers if one.shown]
    return {f"{kind}s": shown.count(kind) for kind in reassignment.KINDS}


def _moves(source: Owner, target: Owner, transfers: Sequence[Transfer]) -> tuple[Move, ...]:
    shown = [one for one in transfers if one.shown]
    return tuple(
        Move(
            kind=one.kind,
            id=one.id,
            name=full_name(source.kind, source.slug, one.name, one.number),
            new_name=full_name(target.kind, target.slug, one.new_name, one.number),
            bytes=one.bytes,
        )
        for one in shown[:MOVES_LISTED]
    )


ROUTES = [
    Route(
        "api/tenants",
        TenantsHandler,
        {
            "GET": Operation(
                "admin",
                "Everybody who owns things here: names, states and sizes.",
                response=Page[Tenant],
                query={
                    **PAGE_QUERY,
                    "state": "`dormant` (gone from the Hub), `active`, `suspended` or `expected` "
                    "(named in a grant, and never seen).",
                    "kind": "`user`, `group` or `service`.",
                    "search": "Only tenants whose name, here or on the Hub, holds this.",
                },
            )
        },
    ),
    Route(
        "api/tenants/{tenant}",
        TenantHandler,
        {
            "GET": Operation("admin", "One tenant, by id or name.", response=Tenant),
            "PATCH": Operation(
                "admin",
                "Set how much a tenant may store and how long its jobs are kept, suspend it or let "
                "it in again, or let a group that the Hub made again be dormant.",
                request=TenantPatch,
                response=Tenant,
                fresh_identity=True,
            ),
        },
    ),
    Route(
        "api/tenants/{tenant}/reassign",
        ReassignHandler,
        {
            "POST": Operation(
                "admin",
                "Give what a dormant tenant owns to a user or group, or list what would be given.",
                request=Reassign,
                response=Reassignment,
                fresh_identity=True,
            )
        },
    ),
]
