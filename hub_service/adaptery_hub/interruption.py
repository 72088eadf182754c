"""Ends what a task does from outside, without a task beside it that waits for the reason.

Invariants:
- An end from outside (the service stops, a deadline) is never taken for one of ours.
- The work is over before `run` returns, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


class Interruption:
    """The way into one piece of work; `interrupt` may come at any time, also twice or too late."""

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._reason: Exception | None = None
        self._interrupted = False

    def interrupt(self, reason: Exception | None = None) -> None:
        """End the work; `run` then raises the reason, or returns if there is none."""
        if self._task is not None and not self._interrupted:
            self._interrupted, self._reason = True, reason
            self._task.cancel()

    async def run(self, work: Awaitable[None]) -> None:
        """Do the work in the calling task.

        Raises:
            Exception: the reason of the interruption, or what the work raises.
        """
        task = self._task = asyncio.current_task()
        assert task is not None
        earlier = task.cancelling()
        try:
            await work
        except asyncio.CancelledError:
            if not self._interrupted or task.uncancel() > earlier:
                raise
            if self._reason is not None:
                raise self._reason from None
        else:
            if self._interrupted:  # in the moment of its end
                task.uncancel()
        finally:
            self._task = None
