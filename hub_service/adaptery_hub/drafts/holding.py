"""Keeping other writers of the service from a draft while a step of another process writes to it.

For the thread of an operation; the locks are those of the event loop, see `Drafts.exclusive`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack

from adaptery_hub.drafts.pool import Drafts

#: How often one that waits for a draft looks whether it shall end.
LOOK_SECONDS = 0.2


class Hold:
    """One draft, held by one operation at a time."""

    def __init__(self, drafts: Drafts, loop: asyncio.AbstractEventLoop) -> None:
        self._drafts = drafts
        self._loop = loop
        self._stack = AsyncExitStack()

    def take(self, dataset_id: str, check: Callable[[], None]) -> None:
        """Wait until nobody else writes; blocking.

        Args:
            dataset_id: the draft.
            check: called again and again while it waits, and raises if it shall not.
        """
        entering = self._stack.enter_async_context(self._drafts.exclusive(dataset_id))
        taking: Future[object] = asyncio.run_coroutine_threadsafe(entering, self._loop)
        while True:
            try:
                check()
                taking.result(LOOK_SECONDS)
                return
            except TimeoutError:
                continue
            except BaseException:
                taking.cancel()
                raise

    def release(self) -> None:
        """Let others write; it may be called again, from any thread."""
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop)
