"""Waiting for a condition instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    *,
    timeout_seconds: float = 15,
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
            raise AssertionError(
                f"not true within {timeout_seconds} s: {inspect.getsource(condition).strip()}"
            )
        await asyncio.sleep(every_seconds)


def eventually_sync(
    condition: Callable[[], T], *, timeout_seconds: float = 15, every_seconds: float = 0.05
) -> T:
    """Like `eventually`, for tests without an event loop."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not true within {timeout_seconds} s: {inspect.getsource(condition).strip()}"
            )
        time.sleep(every_seconds)


def _complaint(condition: Callable[[], object], timeout_seconds: float) -> str:
    return f"not true within {timeout_seconds} s: {inspect.getsource(condition).strip()}"
