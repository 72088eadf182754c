"""Wakes whoever waits for news of a job, inside this process.

A hint, never the truth: with several service processes the news may come to another one, so a
waiter looks into the database again after a while in any case.

Invariants:
- A watch that was opened before the change is set by it; the waiter then reads on from the place it
  knows.
- A job that nobody watches costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class JobSignals:
    """One set of waiting events for each watched job; only for use on the event loop."""

    def __init__(self) -> None:
        self._watches: dict[str, set[asyncio.Event]] = {}

    def notify(self, job_id: str) -> None:
        """Wakes everyone who watches the job."""
        for event in self._watches.get(job_id, ()):
            event.set()

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """Gives an event that is set at each news of the job; the waiter clears it."""
        event = asyncio.Event()
        self._watches.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            watches = self._watches[job_id]
            watches.discard(event)
            if not watches:
                del self._watches[job_id]
