"""`api/{datasets,jobs,adapters}/{id}/grants`: who else may have a thing; for who manages it."""

from __future__ import annotations

from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, InvalidInputError
from adaptery.schemas.common import Page
from adaptery.schemas.grants import Grant, GrantPut
from adaptery_hub import sharing
from adaptery_hub.database import tables
from adaptery_hub.database.statements import grants as statements
from adaptery_hub.handlers.base import Handler
from adaptery_hub.hub_users import HubUser
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


def describe_grant(row: RowMapping) -> Grant:
    """Return a row of `statements.grants` as the API shows it."""
    return Grant(
        id=row["id"],
        principal=row["prefix"],
        kind=row["kind"],
        right=Right(row["right"]).word,
        by=row["by"],
        created_at=row["created_at"],
    )


class GrantsHandler(Handler):
    """The grants on one thing of some kind."""

    table: ClassVar[sa.Table]

    async def get(self, **path: str) -> None:
        """List the grants."""
        after, limit = self.page()

        def read(connection: Connection) -> list[RowMapping]:
            thing = self.managed(connection, path)
            return statements.list_page(connection, thing["id"], after, limit + 1)

        rows = await self.services.db.read(read)
        self.answer_page([describe_grant(row) for row in rows], limit)

    async def put(self, **path: str) -> None:
        """Give somebody a right, or change the one that they were given."""
        self.check_query()
        wanted = self.body(GrantPut)
        # Asked whoever it is: that the answer took time must not say whom the service has seen.
        user = await self._hub_user(wanted.principal)
        created_at = user.created_at if user is not None else None

        def give(connection: Connection) -> RowMapping:
            thing = self.managed(connection, path)
            row = sharing.give(
                connection, self.services.tenants, self.identity, thing, wanted, created_at
            )
            details = {"principal": row["prefix"], "right": wanted.right}
            self.audit(connection, "grant.put", thing["id"], **details)
            return row

        row = await self.services.db.write(give)
        self.services.admissions.recheck(row["thing_id"])
        self.answer(describe_grant(row))

    async def delete(self, **path: str) -> None:
        """Take a right away; what is running on it ends."""

        def take(connection: Connection) -> RowMapping:
            thing = self.managed(connection, path)
            self.check_query()
            row = sharing.take(connection, thing, self._principal())
            details = {"principal": row["prefix"], "right": Right(row["right"]).word}
            self.audit(connection, "grant.remove", thing["id"], **details)
            return row

        row = await self.services.db.write(take)
        self.services.admissions.recheck(row["thing_id"])
        self.answer_nothing()

    def managed(self, connection: Connection, path: dict[str, str]) -> RowMapping:
        """Return the thing that the path names, if the caller manages it.

        Raises:
            NotFoundError: there is none, or the caller has no right on it.
            NotAllowedError: the caller has a lesser right.
        """
        (thing_id,) = path.values()
        return fetch(connection, self.table, self.identity, thing_id, Right.MANAGE)

    async def _hub_user(self, principal: str) -> HubUser | None:
        if not principal.startswith("@"):
            return None
        return await self.services.identities.user(principal.removeprefix("@"))

    def _principal(self) -> str:
        principal = self.query("principal")
        if principal is None:
            raise InvalidInputError(
                errors=[FieldProblem("principal", "is required.", "Name whose right goes.")]
            )
        return principal


class DatasetGrantsHandler(GrantsHandler):
    """The grants on a dataset, its draft and its versions."""

    table = tables.datasets


class JobGrantsHandler(GrantsHandler):
    """The grants on a job."""

    table = tables.jobs


class AdapterGrantsHandler(GrantsHandler):
    """The grants on an adapter."""

    table = tables.adapters


def _route(kind: str, handler: type[GrantsHandler]) -> Route:
    noun = kind.removesuffix("s")
    article = "an" if noun[0] in "aeiou" else "a"
    return Route(
        f"api/{kind}/{{{noun}}}/grants",
        handler,
        {
            "GET": Operation(
                "read",
                f"Whom {article} {noun} is shared with, besides its owner.",
                response=Page[Grant],
                query=PAGE_QUERY,
            ),
            "PUT": Operation(
                "write",
                f"Share {article} {noun} with a user or group, or change their right.",
                request=GrantPut,
                response=Grant,
                fresh_identity=True,
            ),
            "DELETE": Operation(
                "write",
                f"Share {article} {noun} with somebody no longer.",
                status=204,
                query={"principal": "`@user` or `group`, as the list has it."},
                fresh_identity=True,
            ),
        },
    )


ROUTES = [
    _route("datasets", DatasetGrantsHandler),
    _route("jobs", JobGrantsHandler),
    _route("adapters", AdapterGrantsHandler),
]
