"""Waiting for a condition instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: Only what never comes is waited for so long.
PATIENCE_SECONDS = 60
#: Who asks has less and less haste: to ask costs what is waited for its time.
SLOWEST_SECONDS = 0.25


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    *,
    timeout_seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.02,
) -> T:
    """Return the first true value of `condition`; fail when it does not come in time."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(_complaint(condition, timeout_seconds))
        await asyncio.sleep(every_seconds)
        every_seconds = _slower(every_seconds)


def eventually_sync(
    condition: Callable[[], T],
    *,
    timeout_seconds: float = PATIENCE_SECONDS,
    every_seconds: float = 0.05,
    slowest_seconds: float = SLOWEST_SECONDS,
) -> T:
    """Like `eventually`, for tests without an event loop.

    Args:
        condition: what is waited for.
        timeout_seconds: after which it fails.
        every_seconds: how often it is asked at first.
        slowest_seconds: how often at last; short for what soon passes again.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(_complaint(condition, timeout_seconds))
        time.sleep(every_seconds)
        every_seconds = _slower(every_seconds, slowest_seconds)


def _slower(every_seconds: float, slowest_seconds: float = SLOWEST_SECONDS) -> float:
    return max(every_seconds, min(1.3 * every_seconds, slowest_seconds))


def _complaint(condition: Callable[[], object], timeout_seconds: float) -> str:
    return f"not true within {timeout_seconds} s: {inspect.getsource(condition).strip()}"
