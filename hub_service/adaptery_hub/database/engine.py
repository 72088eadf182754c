"""Where SQL runs: in threads, one transaction per call, never on the event loop.

`read` and `write` take a function of a `Connection`; what it returns is what the caller gets, and
the transaction ends with it (commit on return, roll back on an exception). It does not know any
table or statement.

Invariants:

- On SQLite one thread writes, each transaction begins IMMEDIATE, so no writer ever meets another
  inside this process; a second process waits `BUSY_TIMEOUT_SECONDS`.
- Readers of SQLite cannot write (`query_only`), and see one snapshot per call (WAL).
- Look-ups that wait together share one snapshot, taken after the last of them was asked: under load
  a request costs a share of a change of threads, not one of its own.
- Statement parameters appear in no log and no exception text (`hide_parameters`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

#: How long a statement waits for another process's lock before it fails.
BUSY_TIMEOUT_SECONDS = 10.0
#: Threads that read. Reads are short; more threads than this only queue on the interpreter lock.
READER_THREADS = 4
#: Threads that write on a server database. SQLite always has one.
WRITER_THREADS = 4
#: Look-ups that share one snapshot; more would keep the first of them waiting.
LOOK_UPS_TOGETHER = 32
#: Pages of a WAL before SQLite checkpoints it (4 KiB pages: about 4 MiB).
WAL_CHECKPOINT_PAGES = 1000


class Database:
    """One database, SQLite or PostgreSQL, for use from a running event loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, begin="BEGIN IMMEDIATE", read_only=False)
            self._reader = _sqlite_engine(url, begin="BEGIN", read_only=True)
        else:
            self._writer = self._reader = sa.create_engine(
                url, hide_parameters=True, pool_pre_ping=True
            )
        self._look_ups: list[_LookUp] = []
        self._looking = False
        self._read_threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="db-read")
        self._write_threads = ThreadPoolExecutor(
            1 if self.is_sqlite else WRITER_THREADS, thread_name_prefix="db-write"
        )

    @property
    def engine(self) -> Engine:
        """The writing engine, for migrations and for commands without an event loop."""
        return self._writer

    @property
    def reader(self) -> Engine:
        """The reading engine; on a server database it is the writing one."""
        return self._reader

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a read transaction and return its result.

        Raises:
            Exception: whatever `fn` raises.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._read_threads, self.read_now, fn
        )

    async def look_up(self, fn: Callable[[Connection], T]) -> T:
        """Like `read`, for what takes well under a millisecond: shares its transaction with others.

        Raises:
            Exception: whatever `fn` raises.
        """
        look_up = _LookUp(fn, asyncio.get_running_loop().create_future())
        self._look_ups.append(look_up)
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)
        return await look_up.answer

    async def write(
        self,
        fn: Callable[[Connection], T],
        *,
        committed: Callable[[], None] | None = None,
        durable: bool = False,
    ) -> T:
        """Run `fn` in a write transaction and return its result once it is committed.

        Args:
            fn: what to do.
            committed: called in the same thread after the commit; on SQLite before any other write.
            durable: whether it also survives a loss of power, as everything does that is committed
                before it. On a server database, that is the server's to decide.

        Raises:
            Exception: whatever `fn` raises; nothing of its work remains then.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._write_threads, self._run_write, fn, committed, durable
        )

    def read_now(self, fn: Callable[[Connection], T]) -> T:
        """Like `read`, in the calling thread, which must not be the event loop's."""
        with self._reader.begin() as connection:
            return fn(connection)

    def write_now(self, fn: Callable[[Connection], T]) -> T:
        """Like `write`, from a worker thread: waits its turn in the writer's queue."""
        return self._write_threads.submit(self._run_write, fn).result()

    def _look(self) -> None:
        together, self._look_ups = (
            self._look_ups[:LOOK_UPS_TOGETHER],
            self._look_ups[LOOK_UPS_TOGETHER:],
        )
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._read_threads, self._look_now, together)
        running.add_done_callback(lambda done: self._looked(together, done))

    def _looked(self, together: Sequence[_LookUp], done: asyncio.Future[list[_Found]]) -> None:
        failure = done.exception()  # there is no connection
        found = [_Found(error=failure)] * len(together) if failure else done.result()
        for look_up, one in zip(together, found, strict=True):
            if look_up.answer.done():  # whoever asked has left
                continue
            if one.error is None:
                look_up.answer.set_result(one.value)
            else:
                look_up.answer.set_exception(one.error)
        self._looking = bool(self._look_ups)
        if self._looking:
            self._look()

    def _look_now(self, together: Sequence[_LookUp]) -> list[_Found]:
        with self._reader.begin() as connection:
            found = [_try(look_up.fn, connection) for look_up in together]
        spoilt = any(isinstance(one.error, DBAPIError) for one in found)
        if self.is_sqlite or len(together) == 1 or not spoilt:
            return found
        # On a server, one statement that failed spoils the transaction for those after it.
        return [answer for look_up in together for answer in self._look_now([look_up])]

    def close(self) -> None:
        """Let running calls end, then close every connection."""
        self._read_threads.shutdown(wait=True)
        self._write_threads.shutdown(wait=True)
        self._writer.dispose()
        self._reader.dispose()

    def _run_write(
        self,
        fn: Callable[[Connection], T],
        committed: Callable[[], None] | None = None,
        durable: bool = False,
    ) -> T:
        with self._writer.connect() as connection:
            if self.is_sqlite:
                _set_durable(connection, durable)
            with connection.begin():
                result = fn(connection)
        if committed is not None:
            committed()
        return result


def _set_durable(connection: Connection, durable: bool) -> None:
    """Choose whether a commit waits until the disk has it; not possible inside a transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None
    # WAL: NORMAL keeps the file sound through a loss of power, FULL keeps the last commits too.
    driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")


@dataclass(frozen=True)
class _LookUp:
    fn: Callable[[Connection], Any]
    answer: asyncio.Future[Any]


@dataclass(frozen=True)
class _Found:
    """What a look-up returned, or raised."""

    value: object = None
    error: BaseException | None = None


def _try(fn: Callable[[Connection], object], connection: Connection) -> _Found:
    try:
        return _Found(fn(connection))
    except Exception as error:
        return _Found(error=error)


def _sqlite_engine(url: str, *, begin: str, read_only: bool) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _set_pragmas(dbapi_connection, _record) -> None:  # pyright: ignore[reportUnusedFunction]
        # The driver's own transaction control begins late and only before writes; we begin
        # ourselves. Source: SQLAlchemy docs, SQLite dialect, "Enabling SAVEPOINT and serializable".
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA wal_autocheckpoint={WAL_CHECKPOINT_PAGES}")
        # Deleted rows are overwritten: what a user deleted must not stay readable in the file.
        cursor.execute("PRAGMA secure_delete=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql(begin)

    return engine
