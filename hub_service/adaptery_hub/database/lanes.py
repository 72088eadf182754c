"""Threads that take their work from lanes in turn.

What is handed in while others wait stands behind those of its own lane only: a burst in one lane
delays another by what runs, and by every second call from then on; no lane ever starves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


class Lane(Enum):
    """Who waits for a write."""

    #: Somebody who asked, and what the service does by itself.
    SERVICE = "service"
    #: Agents, whose reports come in bursts.
    AGENTS = "agents"


class Lanes:
    """Some threads, and a line before them for each lane."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = Lock()
        self._waiting: dict[Lane, deque[tuple[Future[Any], Callable[[], Any]]]] = {
            lane: deque() for lane in Lane
        }

    def submit(self, lane: Lane, call: Callable[[], T]) -> Future[T]:
        """Have `call` run when it is its turn.

        Raises:
            RuntimeError: it is shut down.
        """
        future: Future[T] = Future()
        with self._lock:
            self._threads.submit(self._run_next)  # one run for each call; which, is told then
            self._waiting[lane].append((future, call))
        return future

    def shutdown(self) -> None:
        """Let all that was handed in end."""
        self._threads.shutdown(wait=True)

    def _run_next(self) -> None:
        future, call = self._take()
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _take(self) -> tuple[Future[Any], Callable[[], Any]]:
        with self._lock:
            lane = next(lane for lane, waiting in self._waiting.items() if waiting)
            taken = self._waiting[lane].popleft()
            self._waiting[lane] = self._waiting.pop(lane)  # the next turn is another's
            return taken
