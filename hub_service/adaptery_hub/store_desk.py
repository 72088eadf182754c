"""What was proved of the object store: the self-test, run at the start and again now and then.

Invariants:

- `enforced` is said only of what the last self-test found, never of what a setting promises.
- A store that does not answer at the start stops nothing: it is tried again until it does, and is
  `integrity checked` until then.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from adaptery.errors import AdapteryError
from adaptery.schemas.stores import Store, StoreLevel
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.metrics import Metrics
from adaptery_hub.objects.filesystem import FilesystemStore
from adaptery_hub.objects.s3 import S3Store
from adaptery_hub.objects.self_test import Findings, SelfTest

logger = logging.getLogger(__name__)

#: What was proved is proved again after this long, and what a lock kept is looked at.
AGAIN_SECONDS = 6 * 3600.0
#: Waits between two tries at a store that does not answer, doubled each time.
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 60.0

_FILESYSTEM = (
    "Files are read-only and checked against signed manifests before they are used; whoever has "
    "the service's account could still change them, and that would be noticed."
)
_ENFORCED = (
    "The store refused every attempt of the self-test to change or remove what is published; files "
    "are checked against signed manifests as well."
)
_BROKEN = (
    "The store let the self-test do what it should refuse; files are checked against signed "
    "manifests before they are used, so a change would be noticed."
)
_UNTESTED = "The store was not tested yet: {why}"


class StoreDesk:
    """Knows the level of the store."""

    def __init__(
        self, store: FilesystemStore | S3Store, metrics: Metrics | None = None, clock: Clock = now
    ) -> None:
        self._store = store
        self._metrics = metrics or Metrics()
        self._metrics.store_answered.set(isinstance(store, FilesystemStore))
        self._clock = clock
        self._findings = Findings((), short_lived_access=False)
        self._checked_at: datetime | None = None
        self._trouble = "the service has just started."
        self._task: asyncio.Task[None] | None = None

    @property
    def level(self) -> StoreLevel:
        """What was proved."""
        proved = self._checked_at is not None and isinstance(self._store, S3Store)
        return "enforced" if proved and not self._passed() else "integrity checked"

    @property
    def hands_out_addresses(self) -> bool:
        """Whether the store was seen to end short-lived addresses, and to refuse forged ones."""
        return self._findings.short_lived_access

    def describe(self) -> Store:
        """Return the store as the API shows it."""
        if isinstance(self._store, FilesystemStore):
            return Store(kind="filesystem", level=self.level, why=_FILESYSTEM)
        config = self._store.clients.config
        return Store(
            kind=config.kind,
            level=self.level,
            why=self._why(),
            checked_at=self._checked_at,
            checks=self._findings.checks,
            lock=config.lock,
            lock_days=config.lock_days if config.lock else None,
            short_lived_access=self.hands_out_addresses,
        )

    def check_now(self) -> None:
        """Clean up after a crash and run the self-test; blocking.

        Raises:
            UnavailableError: the store does not answer, or refuses what it must allow.
        """
        store = self._store
        if not isinstance(store, S3Store):
            return
        try:
            store.bucket.ensure()
            store.recover()
            self._findings = SelfTest(store.clients, store.bucket).run()
        except AdapteryError as error:
            self._trouble = error.message
            self._metrics.store_answered.set(0)
            raise
        self._checked_at = self._clock()
        self._metrics.store_answered.set(1)
        self._metrics.store_tested.set(self._checked_at.timestamp())
        self._metrics.store_enforced.set(self.level == "enforced")
        passed = self._passed()
        logs.log(
            logger,
            logging.WARNING if passed else logging.INFO,
            "store_tested",
            proved=self.level,
            not_refused=", ".join(passed),
        )

    def start(self) -> None:
        """Begin to test, in the background."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it; a test that runs is waited for."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        wait = FIRST_RETRY_SECONDS
        while True:
            try:
                await asyncio.to_thread(self.check_now)
                wait = FIRST_RETRY_SECONDS
                await asyncio.sleep(AGAIN_SECONDS)
            except AdapteryError as error:
                logs.log(logger, logging.WARNING, "store_not_tested", reason=error.message)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LAST_RETRY_SECONDS)
            except Exception as error:
                logs.log_exception(logger, "store_not_tested", error)
                await asyncio.sleep(LAST_RETRY_SECONDS)

    def _passed(self) -> list[str]:
        checks = self._findings.checks
        return [check.name for check in checks if check.needed and not check.held]

    def _why(self) -> str:
        if self._checked_at is None:
            return _UNTESTED.format(why=self._trouble)
        return _ENFORCED if self.level == "enforced" else _BROKEN
