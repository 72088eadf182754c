"""All drafts: one SQLite file each, and the threads that work on them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from adaptery.errors import NotFoundError, UnavailableError
from adaptery_hub.drafts.draft import Draft
from adaptery_hub.drafts.schema import upgrade
from adaptery_hub.drafts.upgrading import Upgrades
from adaptery_hub.fair_seats import FairSeats

T = TypeVar("T")

#: Threads that write to drafts; an import holds one for as long as it takes. As many read, so that
#: nobody who looks at a draft waits for the imports of others.
DRAFT_THREADS = 4
#: How long a short write waits for its turn: a step in another process may take minutes.
WRITE_WAIT_SECONDS = 10.0
#: How long a draft's file may be locked by another process before a call fails.
BUSY_TIMEOUT_SECONDS = 10.0
#: Memory of one writer for parts of the file: an import comes back to those of its indexes.
WRITE_CACHE_KIBIBYTES = 64 * 1024
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "secure_delete=ON",  # what a user deleted must not stay readable in the file
    "temp_store=MEMORY",  # nor get into another file
)


class Drafts:
    """All drafts of the service."""

    def __init__(self, folder: Path, max_records: int) -> None:
        self._folder = folder
        self.max_records = max_records
        self._readers = ThreadPoolExecutor(DRAFT_THREADS, thread_name_prefix="draft-read")
        self._writers = ThreadPoolExecutor(DRAFT_THREADS, thread_name_prefix="draft-write")
        self._searches = FairSeats(DRAFT_THREADS - 1)  # one thread is left for short reads
        self._upgrades = Upgrades()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def create(self, dataset_id: str) -> None:
        """Make the empty draft of a new dataset."""
        await _in_thread(self._writers, lambda: self._create(dataset_id))

    async def read(self, dataset_id: str, fn: Callable[[Draft], T]) -> T:
        """Run `fn` on one snapshot of a draft.

        Raises:
            NotFoundError: there is no such draft (any more).
            UnavailableError: it is being upgraded.
        """
        await self._upgrades.wait(self.path(dataset_id))
        return await _in_thread(self._readers, lambda: self.read_now(dataset_id, fn))

    async def search(self, tenant_id: str, dataset_id: str, fn: Callable[[Draft], T]) -> T:
        """Like `read`, for what may take a second: one tenant's many keep nobody else waiting.

        Raises:
            NotFoundError: there is no such draft (any more).
            UnavailableError: it is being upgraded.
        """
        async with self._searches.seat(tenant_id):
            return await self.read(dataset_id, fn)

    async def write(self, dataset_id: str, fn: Callable[[Draft], T]) -> T:
        """Run `fn` in a transaction on a draft, after every write that came before.

        Raises:
            NotFoundError: there is no such draft (any more).
            UnavailableError: a step that takes long writes to it, or it is being upgraded.
        """
        await self._upgrades.wait(self.path(dataset_id))
        async with self._turn(dataset_id):
            return await _in_thread(self._writers, lambda: self._run(dataset_id, fn, write=True))

    async def upgraded(self, dataset_id: str) -> None:
        """Wait until a draft of an earlier release is one of this release, however long it takes.

        Raises:
            InternalError: it could not be upgraded.
        """
        await self._upgrades.finish(self.path(dataset_id))

    @asynccontextmanager
    async def exclusive(self, dataset_id: str) -> AsyncIterator[Path]:
        """Keep other writers of this service from a draft, for one in another process."""
        async with self._lock(dataset_id):
            yield self.path(dataset_id)

    @asynccontextmanager
    async def _turn(self, dataset_id: str) -> AsyncIterator[None]:
        """Wait for the turn of a short write, but not for the end of a long step."""
        lock = self._lock(dataset_id)
        try:
            await asyncio.wait_for(lock.acquire(), WRITE_WAIT_SECONDS)
        except TimeoutError:
            raise UnavailableError(
                "A step that takes long is writing to this draft.",
                hint="Try again when it has ended, or cancel it.",
                retry_after_seconds=WRITE_WAIT_SECONDS,
            ) from None
        try:
            yield
        finally:
            lock.release()

    async def remove(self, dataset_id: str) -> None:
        """Delete a draft with all it holds; nothing happens if there is none."""
        async with self._lock(dataset_id):
            await _in_thread(self._writers, lambda: self._remove(dataset_id))

    async def size(self, dataset_id: str) -> int:
        """Return how many bytes a draft takes; 0 if there is none."""
        try:
            return await self.read(dataset_id, Draft.size)
        except NotFoundError:
            return 0
        except UnavailableError:  # it is being upgraded
            return self.path(dataset_id).stat().st_size

    def read_now(self, dataset_id: str, fn: Callable[[Draft], T]) -> T:
        """Like `read`, in the calling thread."""
        return self._run(dataset_id, fn, write=False)

    def dataset_ids(self) -> list[str]:
        """Return the datasets that have a draft file."""
        return [path.stem for path in self._folder.glob("*.sqlite")]

    def close(self) -> None:
        """Wait for running calls."""
        self._readers.shutdown(wait=True)
        self._writers.shutdown(wait=True)

    def path(self, dataset_id: str) -> Path:
        """Return the file of a draft, for `opened` in another process."""
        return self._folder / f"{dataset_id}.sqlite"

    def _run(self, dataset_id: str, fn: Callable[[Draft], T], *, write: bool) -> T:
        with opened(self.path(dataset_id), self.max_records, write=write) as draft:
            return fn(draft)

    def _create(self, dataset_id: str) -> None:
        _connect(self.path(dataset_id), mode="rwc").close()
        self.path(dataset_id).chmod(0o600)

    def _remove(self, dataset_id: str) -> None:
        path = self.path(dataset_id)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _lock(self, dataset_id: str) -> asyncio.Lock:
        return self._locks.setdefault(dataset_id, asyncio.Lock())


async def _in_thread(threads: ThreadPoolExecutor, fn: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, fn)


@contextmanager
def opened(path: Path, max_records: int, *, write: bool = False) -> Iterator[Draft]:
    """Open a draft for one transaction, which is committed at the end. Blocking.

    Args:
        path: its file.
        max_records: how many records it may hold.
        write: whether it may be changed.

    Raises:
        NotFoundError: there is no such draft (any more).
    """
    with closing(_connect(path, mode="rw")) as connection:
        if write:
            connection.execute(f"PRAGMA cache_size=-{WRITE_CACHE_KIBIBYTES}")
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield Draft(connection, max_records)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def in_memory(connection: sqlite3.Connection, max_records: int) -> Draft:
    """Return an empty draft that ends with a connection to memory."""
    upgrade(connection)
    return Draft(connection, max_records)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
        )
    except sqlite3.OperationalError:
        if path.exists():
            raise
        raise NotFoundError("There is no such draft.") from None
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        upgrade(connection)
    except BaseException:
        connection.close()
        raise
    return connection
