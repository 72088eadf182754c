"""The memory of what is good for one use: each nonce passes once, until its end.

For: grants with terms, at the service and at the agent. Requests have their own, `Freshness`, which
also looks at stamps. In memory only: what was used before a start is refused by other means.
"""

from __future__ import annotations

from datetime import datetime

from adaptery.errors import RefusedError
from adaptery.sealed.refusals import NONCE_LIMIT, RefusalReason

__all__ = ["Once"]


class Once:
    """Lets each nonce pass once.

    A nonce is kept at least until its end; those after it are mostly those with a later end, so
    looking at the oldest is enough to forget.
    """

    def __init__(self, limit: int = NONCE_LIMIT) -> None:
        self._limit = limit
        self._ends: dict[str, datetime] = {}

    def take(self, nonce: str, end: datetime, now: datetime) -> None:
        """Let a nonce pass that is good until `end`.

        Raises:
            RefusedError: it has passed before, or there is no room to remember it.
        """
        self._forget(now)
        if nonce in self._ends:
            raise RefusedError(reason=RefusalReason.REPLAY)
        if len(self._ends) >= self._limit:
            raise RefusedError(reason=RefusalReason.OVERLOAD)
        self._ends[nonce] = end

    def _forget(self, now: datetime) -> None:
        while self._ends:
            nonce = next(iter(self._ends))
            if self._ends[nonce] > now:
                return
            del self._ends[nonce]
