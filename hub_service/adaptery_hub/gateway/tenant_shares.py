"""Shares of tenants in something that serves whoever comes, in small steps.

An embedder gives each open request a batch in turn, so a tenant with a hundred requests would get a
hundred batches for another's one. Here each tenant has a few requests open, and the others of the
same tenant wait for those.

Invariants:
- Only requests of the same tenant wait for each other.
- A tenant that has nothing open leaves nothing here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class TenantShares:
    """The open requests of each tenant; for use on the event loop only."""

    def __init__(self, each: int) -> None:
        """Make shares of so many requests each."""
        self._each = each
        self._doors: dict[str, asyncio.Semaphore] = {}
        self._present: Counter[str] = Counter()  # those that wait too

    def __len__(self) -> int:
        return len(self._doors)

    @asynccontextmanager
    async def share(self, tenant: str) -> AsyncGenerator[None, None]:
        """Wait until fewer than `each` of the tenant's run, and run."""
        door = self._doors.setdefault(tenant, asyncio.Semaphore(self._each))
        self._present[tenant] += 1
        try:
            async with door:
                yield
        finally:
            self._present[tenant] -= 1
            if not self._present[tenant]:
                del self._present[tenant], self._doors[tenant]
