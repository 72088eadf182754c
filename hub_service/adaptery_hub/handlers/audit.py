"""`api/audit`: what was done, for administrators; names and sizes, never content.

Whether the chain is whole is checked offline (`adaptery audit verify`), not by the service whose
word would have to be believed.
"""

from __future__ import annotations

import re

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, InvalidInputError, NotFoundError
from adaptery.ids import is_id
from adaptery.schemas.common import Page
from adaptery.schemas.usage import AuditRow
from adaptery_hub.database.statements import audit as statements
from adaptery_hub.database.statements import tenants as tenant_statements
from adaptery_hub.database.statements.audit import AuditFilter
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.filters import RANGE_QUERY, id_of, range_of
from adaptery_hub.routes import PAGE_QUERY, Operation, Route

_ACTION = re.compile(r"[a-z_.]{1,60}")


class AuditHandler(Handler):
    """The audit."""

    async def get(self) -> None:
        """List rows, newest first."""
        after, limit = self.page()
        since, until = range_of(self)
        thing, request = id_of(self, "thing"), id_of(self, "request", "rq")
        actor, action = self.query("actor"), self._action()

        def read(connection: Connection) -> list[RowMapping]:
            wanted = AuditFilter(
                actor_id=_actor_id(connection, actor) if actor is not None else None,
                thing_id=thing,
                action=action,
                request_id=request,
                since=since,
                until=until,
            )
            return statements.list_rows(connection, wanted, after, limit)

        rows = await self.services.db.read(read)
        self.answer_page([describe_row(row) for row in rows], limit)

    def _action(self) -> str | None:
        text = self.query("action")
        if text is not None and not _ACTION.fullmatch(text):
            problem = FieldProblem("action", "is no action.", "Use one such as key.create.")
            raise InvalidInputError(errors=[problem])
        return text


def describe_row(row: RowMapping) -> AuditRow:
    """Return a row of the audit as the API shows it."""
    actor = None
    if row["slug"] is not None:
        actor = row["slug"] if row["tenant_kind"] == "group" else f"@{row['slug']}"
    fields = ("id", "created_at", "action", "thing_id", "details", "request_id")
    chain = ("writer", "seq", "prev", "row_hash")
    told = {name: row[name] for name in (*fields, *chain)}
    return AuditRow(actor=actor, actor_id=row["tenant_id"], **told)


def _actor_id(connection: Connection, text: str) -> str:
    if is_id(text, "tn"):
        return text
    row = tenant_statements.by_prefix(connection, text)
    if row is None:
        raise NotFoundError("There is no such user or group.", hint="Write @user or group.")
    return row["id"]


ROUTES = [
    Route(
        "api/audit",
        AuditHandler,
        {
            "GET": Operation(
                "admin",
                "What was done, newest first: names, sizes and digests, never content.",
                response=Page[AuditRow],
                query={
                    **PAGE_QUERY,
                    **RANGE_QUERY,
                    "actor": "Who did it: `@user`, a group, or a tenant's id.",
                    "thing": "With which thing: an id.",
                    "action": "What: `infer`, `key.create`, `job.claim`, ...",
                    "request": "In which request: an id.",
                },
            )
        },
    )
]
