"""`api/storage`: what the caller and the caller's groups store, and how much they may."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Connection

from adaptery.schemas.common import Page
from adaptery.schemas.tenants import Storage, StorageParts
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.handlers.base import Handler
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.storage import Account


def describe_account(tenant: str, account: Account) -> Storage:
    """Return an account as the API shows it."""
    return Storage(
        tenant=tenant,
        used_bytes=account.used_bytes,
        quota_bytes=account.quota_bytes,
        parts=StorageParts(**account.parts),
    )


class StorageHandler(Handler):
    """The accounts of the caller."""

    async def get(self) -> None:
        """List the accounts: the caller's own first, then those of the caller's groups."""
        after, limit = self.page()
        found = await self.services.db.read(lambda c: self._accounts(c, after, limit + 1))
        shown = [describe_account(name, account) for name, account in found.items()]
        self.answer_page(shown, limit)

    def _accounts(
        self, connection: Connection, after: str | None, limit: int
    ) -> Mapping[str, Account]:
        rows = statements.details_of(connection, self.identity.principals)
        names = {rows[id]["prefix"]: id for id in self.identity.principals}
        if after is not None:
            place = list(names).index(after) + 1 if after in names else len(names)
            names = dict(list(names.items())[place:])
        quotas = {id: rows[id]["storage_quota_bytes"] for id in list(names.values())[:limit]}
        accounts = self.services.storage.accounts(connection, quotas)
        return {name: accounts[id] for name, id in names.items() if id in accounts}


ROUTES = [
    Route(
        "api/storage",
        StorageHandler,
        {
            "GET": Operation(
                "read",
                "What I and my groups store here, and how much we may.",
                response=Page[Storage],
                query={
                    "after": "The name of the last tenant of the page before.",
                    "limit": PAGE_QUERY["limit"],
                },
            )
        },
    )
]
