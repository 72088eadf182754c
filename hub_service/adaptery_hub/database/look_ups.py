"""Short questions to the database, of which each request of the gateway asks several.

Two ways to answer them well under a millisecond:

- `QuickLookUps`, on SQLite: in the thread of the event loop, where a change of threads would cost
  more than the question. Whoever names a question gets the last answer to it for as long as nobody
  has committed anything since, in this process or another.
- `SharedLookUps`, on a server: in a thread; those that wait together share one snapshot, taken
  after the last of them was asked.

Invariants:

- What was committed before a question was asked is in its answer.
- The event loop never waits for a lock of the database.

Source: SQLite documentation, "PRAGMA data_version".
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

#: Look-ups that share one snapshot; more would keep the first of them waiting.
LOOK_UPS_TOGETHER = 32
#: Answers that are kept between two commits.
ANSWERS_LIMIT = 20_000


class QuickLookUps:
    """Asks SQLite from the event loop, and remembers answers until the next commit.

    Args:
        engine: reads, and does not wait for locks.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._opened: _Opened | None = None
        self._version = -1  # of the database, when the answers were given
        self._answers: dict[Hashable, object] = {}

    def ask(self, fn: Callable[[Connection], T], question: Hashable = None) -> T:
        """Answer at once.

        Args:
            fn: reads; what it returns is shared with whoever asks the same, and must not change.
            question: a name for what is asked, which says all that the answer depends on.

        Raises:
            OperationalError: among others, if another process has locked the whole database.
            Exception: whatever `fn` raises.
        """
        opened = self._opened = self._opened or _open(self._engine)
        if question is not None:
            # Before it is asked: what is committed now is seen next.
            self._forget_old(opened.driver)
            if question in self._answers:
                return cast("T", self._answers[question])
        answer = opened.ask(fn)
        if question is not None:
            self._answers[question] = answer
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened.connection.close()
        self._engine.dispose()

    def _forget_old(self, driver: sqlite3.Connection) -> None:
        # It changes with each commit of another connection; ours makes none.
        version = driver.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or len(self._answers) >= ANSWERS_LIMIT:
            self._answers.clear()
            self._version = version


@dataclass(frozen=True)
class _Opened:
    """A connection that SQLAlchemy takes to be in one transaction for ever.

    Its own begin and commit take longer than all that is asked between them.
    """

    connection: Connection
    driver: sqlite3.Connection

    def ask(self, fn: Callable[[Connection], T]) -> T:
        """Answer from one snapshot."""
        self.driver.execute("BEGIN")
        try:
            return fn(self.connection)
        finally:
            self.end()

    def end(self) -> None:
        """Let go of the snapshot."""
        if self.driver.in_transaction:
            self.driver.execute("ROLLBACK")


def _open(engine: Engine) -> _Opened:
    connection = engine.connect()
    connection.begin()
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    opened = _Opened(connection, driver)
    opened.end()
    return opened


class SharedLookUps:
    """Asks from threads, several questions in one transaction."""

    def __init__(self, engine: Engine, threads: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._threads = threads
        self._waiting: list[_LookUp] = []
        self._looking = False

    async def ask(self, fn: Callable[[Connection], T]) -> T:
        """Answer soon.

        Raises:
            Exception: whatever `fn` raises.
        """
        look_up = _LookUp(fn, asyncio.get_running_loop().create_future())
        self._waiting.append(look_up)
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)
        return await look_up.answer

    def _look(self) -> None:
        together = self._waiting[:LOOK_UPS_TOGETHER]
        del self._waiting[:LOOK_UPS_TOGETHER]
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._threads, self._look_now, together)
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
        self._looking = bool(self._waiting)
        if self._looking:
            self._look()

    def _look_now(self, together: Sequence[_LookUp]) -> list[_Found]:
        with self._engine.begin() as connection:
            found = [_try(look_up.fn, connection) for look_up in together]
        if len(together) == 1 or not any(isinstance(one.error, DBAPIError) for one in found):
            return found
        # One statement that failed spoils the transaction for those after it.
        return [answer for look_up in together for answer in self._look_now([look_up])]


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
