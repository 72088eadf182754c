"""`api/retention`: what is due to be removed, and its removal now; for administrators."""

from __future__ import annotations

from collections.abc import Sequence

from adaptery.schemas.tenants import Retention, RetentionKind
from adaptery_hub.handlers.base import Handler
from adaptery_hub.retention import SWEEP_LIMIT, Kind
from adaptery_hub.routes import Operation, Route


class RetentionHandler(Handler):
    """What is kept for a while only."""

    async def get(self) -> None:
        """Answer what is due, and remove nothing."""
        self.check_query()
        self.answer(_describe(await self.services.retention.plan(), dry_run=True))

    async def post(self) -> None:
        """Remove what is due now, as happens every hour."""
        self.check_query()
        removed = await self.services.retention.sweep(self.identity.tenant_id)
        self.answer(_describe(removed, dry_run=False))


def _describe(kinds: Sequence[Kind], *, dry_run: bool) -> Retention:
    return Retention(
        dry_run=dry_run,
        kinds=tuple(
            RetentionKind.model_validate(
                {
                    "kind": kind.name,
                    "days": kind.days,
                    "count": kind.due.count,
                    "bytes": kind.due.bytes,
                }
            )
            for kind in kinds
        ),
        more=any(kind.due.count >= SWEEP_LIMIT for kind in kinds),
    )


ROUTES = [
    Route(
        "api/retention",
        RetentionHandler,
        {
            "GET": Operation(
                "admin",
                "What is due to be removed, because it was kept as long as it shall be.",
                response=Retention,
            ),
            "POST": Operation(
                "admin",
                "Remove what is due now; it happens every hour by itself.",
                response=Retention,
                fresh_identity=True,
            ),
        },
    )
]
