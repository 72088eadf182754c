"""Server-sent events: one open answer that is written to as things happen.

Source: WHATWG HTML, section 9.2 "Server-sent events".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import TypeAlias

from tornado.iostream import StreamClosedError

from adaptery.errors import SlowReaderError
from adaptery_hub.handlers.admission import Check, while_admitted
from adaptery_hub.handlers.base import Handler

#: A comment is sent after this long without an event, so that proxies keep the connection.
KEEP_ALIVE_SECONDS = 15.0
SSE_MEDIA = "text/event-stream"
_ENCODER = json.JSONEncoder(ensure_ascii=False)

#: Is sent as JSON, or as it is if it is a text of one line.
Event: TypeAlias = Mapping[str, object] | str


class EventStream:
    """Writes events to the client of a handler until it closes."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    @property
    def closed(self) -> bool:
        """Whether the client has gone."""
        return self._handler.closed.is_set()

    async def open(self, *, has_end: bool = False, at_once: bool = True) -> None:
        """Send the headers.

        Args:
            has_end: whether the end of the service waits for the end of the stream, for a while.
            at_once: whether they are sent before the first event is there.

        Raises:
            QuotaError: the caller has too many streams open.
        """
        self._handler.hold(self._handler.services.streams)
        if not has_end:
            self._handler.services.open_requests.discard(self._handler)
        self._handler.set_header("Content-Type", SSE_MEDIA)
        self._handler.set_header("Cache-Control", "no-cache, no-store")
        self._handler.set_header("X-Accel-Buffering", "no")  # nginx buffers answers without it
        self._handler.hurry()
        if at_once:
            await self._handler.flush()

    async def send(self, data: Event, *, event: str | None = None, id: str | None = None) -> None:
        """Send one event."""
        text = data if isinstance(data, str) else _ENCODER.encode(data)
        head = "" if id is None else f"id: {id}\n"
        head += "" if event is None else f"event: {event}\n"
        await send_patiently(self._handler, f"{head}data: {text}\n\n")

    async def while_admitted(self, work: Awaitable[None], thing_id: str, check: Check) -> None:
        """Let `work` send events while the caller is let in; then send why no longer.

        An error of any kind is the event `problem`, with a problem JSON; the stream ends with it.
        """
        try:
            await while_admitted(self._handler, work, thing_id, check)
        except Exception as error:
            told = self._handler.break_off(error)
            await self.send(told.to_problem(self._handler.request_id), event="problem")

    async def keep_alive(self) -> None:
        """Send a comment."""
        await send_patiently(self._handler, ": \n\n")

    async def wait(self, event: asyncio.Event, seconds: float = KEEP_ALIVE_SECONDS) -> bool:
        """Wait for `event`, the client's leaving or the time; True if `event` is set."""
        waits = [
            asyncio.ensure_future(event.wait()),
            asyncio.ensure_future(self._handler.closed.wait()),
        ]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return event.is_set()


async def send_patiently(handler: Handler, data: str | bytes) -> None:
    """Write to a client, and wait until it takes that; one that takes nothing is cut off.

    Nothing more is taken from the agent until the kernel has taken this: a reader who stands still
    stops the answer where it is.
    """
    if handler.closed.is_set() or not data:  # an empty chunk would be the end
        return
    taken = _write(handler, data.encode() if isinstance(data, str) else data)
    if taken is None or (taken.done() and taken.exception() is None):
        return  # nearly always, so no timer for each token
    seconds = handler.services.settings.unread_seconds
    patience = asyncio.get_running_loop().call_later(seconds, _lose_patience, handler)
    try:
        await taken
    except StreamClosedError:
        return  # `closed` tells
    finally:
        patience.cancel()


def _write(handler: Handler, data: bytes) -> asyncio.Future[None] | None:
    """Write; return when it is taken, or None if the kernel has taken all of it at once.

    What comes first goes with the headers, tornado's way. That way costs a third of all that a
    token costs here, so the rest is handed to the kernel directly, for as long as it takes it.
    """
    stream = handler.chunked_stream()
    if stream is None:
        handler.write(data)
        return handler.flush()
    chunk = memoryview(b"%x\r\n%b\r\n" % (len(data), data))
    if stream.writing():  # what is before it waits
        return stream.write(chunk)
    try:
        taken_bytes = stream.write_to_fd(chunk)
    except OSError:  # among others, because it takes nothing now: the stream tells them apart
        taken_bytes = 0
    return stream.write(chunk[taken_bytes:]) if taken_bytes < len(chunk) else None


def _lose_patience(handler: Handler) -> None:
    handler.cut(SlowReaderError())
