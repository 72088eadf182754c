"""Storage quotas: what a tenant may keep here, checked before a byte is written.

Each thing counts for the tenant that owns it, once: drafts as they lie on disk, uploaded files,
published versions, checkpoints and adapters. Sizes are in the rows of these things.

Invariants:

- What is refused is refused before its bytes are taken. Whoever is let in has room reserved, and a
  reservation is counted from before the sizes are read until the size of what came is written down.
  So what goes on at once goes over the quota by no more than it turns out larger than it said it
  was: a draft takes more than the files that were imported into it.
- A job that runs is never broken off for want of space: new ones are refused instead.

Reservations are kept in this process. Several replicas overshoot by what is under way in the
others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from sqlalchemy.engine import Connection

from adaptery.errors import StorageQuotaError
from adaptery_hub.database import Database
from adaptery_hub.database.statements import retention
from adaptery_hub.database.statements import storage as statements

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass
class Reservation:
    """Room for what is about to be written; given back once its size is written down."""

    tenant_id: str
    bytes: int
    _give_back: Callable[[Reservation], None] = field(repr=False)

    def release(self) -> None:
        """Give the room back; it may be called again."""
        self._give_back(self)
        self.bytes = 0

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


@dataclass(frozen=True)
class Account:
    """What a tenant stores and may store."""

    parts: Mapping[str, int]
    quota_bytes: int | None  # None: no limit

    @property
    def used_bytes(self) -> int:
        """All of it."""
        return sum(self.parts.values())


class StorageDesk:
    """Keeps the accounts."""

    def __init__(
        self, database: Database, quota_bytes: int, keep_checkpoints_days: int = 0
    ) -> None:
        """Make a desk.

        Args:
            database: where the sizes are.
            quota_bytes: of a tenant for whom nothing else is set; 0: no limit.
            keep_checkpoints_days: after how many days those of a job that is over go; 0: never.
        """
        self._database = database
        self._quota_bytes = quota_bytes
        self._keep_checkpoints_days = keep_checkpoints_days
        self._reserved: Counter[str] = Counter()
        self._lock = Lock()  # a publish reserves in a thread of its own

    async def reserve(self, tenant_id: str, size: int) -> Reservation:
        """Reserve room for what is about to be written in the name of a tenant.

        Raises:
            StorageQuotaError: there is not as much room.
        """
        reservation, reserved = self._take(tenant_id, size)
        try:
            await self._database.read(lambda c: self._check(c, tenant_id, reserved, size))
        except BaseException:
            reservation.release()
            raise
        return reservation

    def reserve_now(self, tenant_id: str, size: int) -> Reservation:
        """Like `reserve`, in the calling thread, which must not be the event loop's.

        Raises:
            StorageQuotaError: there is not as much room.
        """
        reservation, reserved = self._take(tenant_id, size)
        try:
            self._database.read_now(lambda c: self._check(c, tenant_id, reserved, size))
        except BaseException:
            reservation.release()
            raise
        return reservation

    async def check(self, tenant_id: str) -> None:
        """Refuse what will need room nobody can tell how much of, if there is none.

        Raises:
            StorageQuotaError: nothing is left.
        """
        await self._database.read(lambda c: self.check_in(c, tenant_id))

    def check_in(self, connection: Connection, tenant_id: str) -> None:
        """Like `check`, within a transaction that reads more.

        Raises:
            StorageQuotaError: nothing is left.
        """
        reservation, reserved = self._take(tenant_id, 1)
        with reservation:
            self._check(connection, tenant_id, reserved, 1)

    def room(self, connection: Connection, tenant_id: str) -> int | None:
        """Return how much more a tenant may store; None: as much as there is."""
        account = self.account(connection, tenant_id)
        if account.quota_bytes is None:
            return None
        return max(account.quota_bytes - account.used_bytes, 0)

    def account(self, connection: Connection, tenant_id: str) -> Account:
        """Return what one tenant stores and may store."""
        set_bytes = statements.quota_of(connection, tenant_id)
        return self.accounts(connection, {tenant_id: set_bytes})[tenant_id]

    def accounts(
        self, connection: Connection, set_bytes: Mapping[str, int | None]
    ) -> dict[str, Account]:
        """Return what tenants store and may store.

        Args:
            connection: an open transaction.
            set_bytes: by tenant, what is set for it; None if nothing is.
        """
        parts = statements.used(connection, list(set_bytes))
        return {id: Account(parts[id], self._quota(given)) for id, given in set_bytes.items()}

    def _check(self, connection: Connection, tenant_id: str, reserved: int, size: int) -> None:
        set_bytes = statements.quota_of(connection, tenant_id)
        quota = self._quota(set_bytes)
        if quota is None:
            return
        account = self.accounts(connection, {tenant_id: set_bytes})[tenant_id]
        if account.used_bytes + reserved <= quota:
            return
        under_way = reserved - size
        told = f"{written_size(account.used_bytes)} of {written_size(quota)} are used"
        if under_way:
            told += f", {written_size(under_way)} are on their way"
        if size > 1:
            told += f", and this needs {written_size(size)}"
        raise StorageQuotaError(
            f"There is no room for this: {told}. Most of it is {largest(account.parts)}.",
            hint=self._way_out(connection, tenant_id, account),
        )

    def _way_out(self, connection: Connection, tenant_id: str, account: Account) -> str:
        hint = "Remove files from drafts or delete adapters, or ask an administrator for more."
        if not account.parts["checkpoints"]:
            return hint
        next_at = retention.next_checkpoints(connection, tenant_id, self._keep_checkpoints_days)
        if next_at is None:
            return f"{hint} Checkpoints do not go by themselves."
        # An hourly sweep takes them, so the day is as much as can be said.
        return (
            f"{hint} Checkpoints of jobs that are over go by themselves, the next on "
            f"{next_at:%Y-%m-%d} (UTC)."
        )

    def _quota(self, set_bytes: int | None) -> int | None:
        quota = self._quota_bytes if set_bytes is None else set_bytes
        return quota or None

    def _take(self, tenant_id: str, size: int) -> tuple[Reservation, int]:
        with self._lock:
            self._reserved[tenant_id] += size
            reserved = self._reserved[tenant_id]
        return Reservation(tenant_id, size, self._give_back), reserved

    def _give_back(self, reservation: Reservation) -> None:
        with self._lock:
            self._reserved[reservation.tenant_id] -= reservation.bytes
            if not self._reserved[reservation.tenant_id]:
                del self._reserved[reservation.tenant_id]


def written_size(size: int) -> str:
    """Return a number of bytes as people write it, in decimal units."""
    value = float(size)
    for unit in _UNITS[:-1]:
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} {_UNITS[-1]}"


def largest(parts: Mapping[str, int], order: Sequence[str] = statements.PARTS) -> str:
    """Return the part that takes the most."""
    return max(order, key=lambda part: parts[part])
