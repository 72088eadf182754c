"""Where SQL runs: in threads, one transaction per call; only look-ups on the event loop.

`read` and `write` take a function of a `Connection`; what it returns is what the caller gets, and
the transaction ends with it (commit on return, roll back on an exception). It does not know any
table or statement.

Invariants:

- On SQLite one thread writes, each transaction begins IMMEDIATE, so no writer ever meets another
  inside this process; a second process waits `BUSY_TIMEOUT_SECONDS`.
- Readers of SQLite cannot write (`query_only`), and see one snapshot per call (WAL).
- A look-up of SQLite never waits for a lock on the event loop: it goes to a thread for that.
- A text with NUL is looked up as one that is nowhere: PostgreSQL would refuse it, SQLite does not.
- Statement parameters appear in no log and no exception text (`hide_parameters`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import OperationalError

from adaptery_hub.database.lanes import Lane, Lanes
from adaptery_hub.database.look_ups import QuickLookUps, SharedLookUps

T = TypeVar("T")

#: How long a statement waits for another process's lock before it fails.
BUSY_TIMEOUT_SECONDS = 10.0
#: Threads that read. Reads are short; more threads than this only queue on the interpreter lock.
READER_THREADS = 4
#: Threads that write on a server database. SQLite always has one.
WRITER_THREADS = 4
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
            self._writer = self._reader = _server_engine(url)
        self._read_threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="db-read")
        self._writers = Lanes(1 if self.is_sqlite else WRITER_THREADS, "db-write")
        self._shared = SharedLookUps(self._reader, self._read_threads)
        self._quick = QuickLookUps(_quick_engine(url)) if self.is_sqlite else None

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

    async def look_up(self, fn: Callable[[Connection], T], question: Hashable = None) -> T:
        """Like `read`, for what takes well under a millisecond: costs no change of threads.

        Args:
            fn: reads.
            question: a name for what is asked, which says all that the answer depends on. With it,
                the answer may be one that was given before, if nothing was committed since.

        Raises:
            Exception: whatever `fn` raises.
        """
        if self._quick is None:
            return await self._shared.ask(fn)
        try:
            return self._quick.ask(fn, question)
        except OperationalError as error:
            if not is_locked(error):
                raise
        return await self.read(fn)

    async def write(
        self,
        fn: Callable[[Connection], T],
        *,
        committed: Callable[[], None] | None = None,
        durable: bool = False,
        lane: Lane = Lane.SERVICE,
    ) -> T:
        """Run `fn` in a write transaction and return its result once it is committed.

        Args:
            fn: what to do.
            committed: called in the same thread after the commit; on SQLite before any other write.
            durable: whether it also survives a loss of power, as everything does that is committed
                before it. On a server database, that is the server's to decide.
            lane: whom it stands behind while others write.

        Raises:
            Exception: whatever `fn` raises; nothing of its work remains then.
        """
        call = partial(self._run_write, fn, committed, durable)
        return await asyncio.wrap_future(self._writers.submit(lane, call))

    def read_now(self, fn: Callable[[Connection], T]) -> T:
        """Like `read`, in the calling thread, which must not be the event loop's."""
        with self._reader.begin() as connection:
            return fn(connection)

    def write_now(self, fn: Callable[[Connection], T]) -> T:
        """Like `write`, from a worker thread: waits its turn in the writer's queue."""
        return self._writers.submit(Lane.SERVICE, partial(self._run_write, fn)).result()

    def close(self) -> None:
        """Let running calls end, then close every connection."""
        self._read_threads.shutdown(wait=True)
        self._writers.shutdown()
        if self._quick is not None:
            self._quick.close()
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


def is_locked(error: OperationalError) -> bool:
    """Tell whether SQLite did not wait for what another process holds."""
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _quick_engine(url: str) -> Engine:
    return _sqlite_engine(url, begin="BEGIN", read_only=True, wait_seconds=0.0)


def _server_engine(url: str) -> Engine:
    engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True)

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _replace_nul(  # pyright: ignore[reportUnusedFunction]
        _connection, _cursor, statement: str, parameters: Any, _context, many: bool
    ) -> tuple[str, Any]:
        return statement, list(map(_without_nul, parameters)) if many else _without_nul(parameters)

    return engine


def _without_nul(parameters: Any) -> Any:
    if not isinstance(parameters, dict):
        return parameters
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
        for name, value in cast("dict[str, object]", parameters).items()
    }


def _sqlite_engine(
    url: str, *, begin: str, read_only: bool, wait_seconds: float = BUSY_TIMEOUT_SECONDS
) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": wait_seconds, "check_same_thread": False},
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
