"""Joins tokens that come close together into one chunk, so that each frame is worth its seal.

Pure but for the clock. Invariants:
- a token that comes after a pause goes out at once: no token waits for one that is not there yet;
- only plain text of one choice is joined; whatever else a chunk carries stays a chunk of its own;
- order and text are those of the engine.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TypeAlias, cast

from adaptery.errors import AdapteryError
from adaptery_network.agent.tasks import end_tasks

#: Seconds. Below what a reader notices; at 60 tokens a second and fewer nothing is joined.
WINDOW_SECONDS: Final = 0.015
#: Chunks between engine and seal: a slow reader slows the engine's stream, not our memory.
_QUEUE_CHUNKS: Final = 64

Chunk: TypeAlias = dict[str, object]


class _Signal(enum.Enum):
    DUE = enum.auto()
    END = enum.auto()


_Item: TypeAlias = Chunk | AdapteryError | _Signal


async def coalesce(
    chunks: AsyncIterator[Chunk], window_seconds: float = WINDOW_SECONDS
) -> AsyncGenerator[Chunk, None]:
    """Yield the chunks of a streamed completion, joined where they come within the window.

    Raises:
        AdapteryError: what the source raised, after all that came before it.
    """
    queue: asyncio.Queue[_Item] = asyncio.Queue(_QUEUE_CHUNKS)
    source = asyncio.create_task(_pour(chunks, queue), name="chunks")
    clock = asyncio.get_running_loop().time
    due_at = clock()
    held: Chunk | None = None
    try:
        while True:
            item = await _next(queue, due_at if held is not None else None)
            joined = _joined(held, item)
            if joined is not None:
                held = joined
                continue
            if held is not None:
                yield held
                due_at, held = clock() + window_seconds, None
            if isinstance(item, AdapteryError):
                raise item
            if item is _Signal.END:
                return
            if isinstance(item, dict):
                held = item
    finally:
        await end_tasks(source)


async def _pour(chunks: AsyncIterator[Chunk], queue: asyncio.Queue[_Item]) -> None:
    try:
        async for chunk in chunks:
            await queue.put(chunk)
    except AdapteryError as error:
        await queue.put(error)
    else:
        await queue.put(_Signal.END)


async def _next(queue: asyncio.Queue[_Item], due_at: float | None) -> _Item:
    if due_at is not None and asyncio.get_running_loop().time() >= due_at:
        return _Signal.DUE  # also while the queue is never empty
    if due_at is None or not queue.empty():
        return await queue.get()
    try:
        async with asyncio.timeout_at(due_at):
            return await queue.get()
    except TimeoutError:
        return _Signal.DUE


def _joined(held: Chunk | None, item: _Item) -> Chunk | None:
    if not isinstance(item, dict):
        return None
    return item if held is None else join(held, item)


def join(first: Chunk, second: Chunk) -> Chunk | None:
    """Return one chunk with the text of both, or None when that would lose something."""
    one, two = _only_choice(first), _only_choice(second)
    if one is None or two is None or one.get("index") != two.get("index"):
        return None
    for key in ("text", "delta"):
        if key in one and key in two:
            text = _joined_text(one[key], two[key])
            return None if text is None else {**first, "choices": [{**one, key: text}]}
    return None


def _joined_text(one: object, two: object) -> object | None:
    if isinstance(one, str) and isinstance(two, str):
        return one + two
    match one, two:
        case {"content": str(head)}, {"content": str(tail)} if len(cast("Chunk", two)) == 1:
            return {**cast("Chunk", one), "content": head + tail}
        case _:
            return None


def _only_choice(chunk: Chunk) -> Chunk | None:
    match chunk:
        case {"choices": [dict(choice)], **rest} if not rest.get("usage"):
            plain = cast("Chunk", choice)
            more = plain.get("finish_reason") or plain.get("logprobs")
            return None if more else plain
        case _:
            return None
