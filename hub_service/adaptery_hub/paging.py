"""How much of a list goes into one page: as asked for, within what is healthy to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

#: Bytes of the items of one page; a record may have a mebibyte, and a page 200 of them.
PAGE_BYTES = 8 * 1024 * 1024


def take_page(items: Iterable[T], size_of: Callable[[T], int], limit: int) -> list[T]:
    """Return the first items: up to `limit`, or up to and with the one that makes them too large.

    At least two are returned if there are two, so that whoever leaves the last one out still has
    one, and knows that there are more. See `fitting`.
    """
    found: list[T] = []
    size = 0
    for item in items:
        found.append(item)
        size += size_of(item)
        if len(found) == limit or (size > PAGE_BYTES and len(found) > 1):
            break
    return found


def fitting(sizes: Iterable[int], limit: int) -> int:
    """Return how many items of these sizes make one page: at least one, if there is one."""
    count = total = 0
    for size in sizes:
        total += size
        if count == limit or (total > PAGE_BYTES and count):
            break
        count += 1
    return count
