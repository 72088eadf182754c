"""Bounds what one tenant has open at a time, so that nobody uses up what all share.

It counts in memory, per process, and knows nothing of what is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from adaptery.errors import QuotaError


class Turnstile:
    """Counts what each tenant has open."""

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        self._open: Counter[str] = Counter()

    def enter(self, tenant_id: str) -> Callable[[], None]:
        """Let one more in; call what it returns, once or more often, when it has left.

        Raises:
            QuotaError: the tenant is at its limit.
        """
        if self._open[tenant_id] >= self._limit:
            raise QuotaError(
                f"You have {self._limit} {self._what} open, which is the limit.",
                hint="Close some, or try again in a moment.",
                retry_after_seconds=1,
            )
        self._open[tenant_id] += 1
        inside = True

        def leave() -> None:
            nonlocal inside
            if inside:
                inside = False
                self._open[tenant_id] -= 1
                if not self._open[tenant_id]:
                    del self._open[tenant_id]

        return leave
