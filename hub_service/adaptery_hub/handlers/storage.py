"""`api/storage`: what the caller and the caller's groups store, and how much they may."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Connection, RowMapping

from adaptery.schemas.common import Page
from adaptery.schemas.tenants import Storage, StorageParts
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.handlers.base import Handler
from adaptery_hub.routes import Operation, Route
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
        self.check_query()
        found = await self.services.db.read(self._accounts)
        shown = [describe_account(name, account) for name, account in found.items()]
        self.answer_page(shown, len(shown))

    def _accounts(self, connection: Connection) -> Mapping[str, Account]:
        ids = self.identity.principals
        rows: dict[str, RowMapping] = statements.details_of(connection, ids)
        quotas = {id: rows[id]["storage_quota_bytes"] for id in ids}
        accounts = self.services.storage.accounts(connection, quotas)
        return {rows[id]["prefix"]: accounts[id] for id in ids}


ROUTES = [
    Route(
        "api/storage",
        StorageHandler,
        {
            "GET": Operation(
                "read",
                "What I and my groups store here, and how much we may.",
                response=Page[Storage],
            )
        },
    )
]
