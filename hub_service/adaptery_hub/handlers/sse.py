"""Server-sent events: one open answer that is written to as things happen.

Source: WHATWG HTML, section 9.2 "Server-sent events".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping

from adaptery.errors import AdapteryError
from adaptery_hub.handlers.admission import Check, while_admitted
from adaptery_hub.handlers.base import Handler

#: A comment is sent after this long without an event, so that proxies keep the connection.
KEEP_ALIVE_SECONDS = 15.0
SSE_MEDIA = "text/event-stream"


class EventStream:
    """Writes events to the client of a handler until it closes."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    @property
    def closed(self) -> bool:
        """Whether the client has gone."""
        return self._handler.closed.is_set()

    async def open(self) -> None:
        """Send the headers. From here on the request does not hold up the end of the service.

        Raises:
            QuotaError: the caller has too many streams open.
        """
        self._handler.hold(self._handler.services.streams)
        self._handler.services.open_requests.discard(self._handler)
        self._handler.set_header("Content-Type", SSE_MEDIA)
        self._handler.set_header("Cache-Control", "no-cache, no-store")
        self._handler.set_header("X-Accel-Buffering", "no")  # nginx buffers answers without it
        await self._handler.flush()

    async def send(
        self, data: Mapping[str, object] | str, *, event: str | None = None, id: str | None = None
    ) -> None:
        """Send one event; `data` as JSON, or as it is if it is a text of one line."""
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        lines = [f"id: {id}"] if id is not None else []
        lines += [f"event: {event}"] if event is not None else []
        lines.append(f"data: {text}")
        await self._write("\n".join(lines) + "\n\n")

    async def while_admitted(self, work: Awaitable[None], thing_id: str, check: Check) -> None:
        """Let `work` send events while the caller is let in; then send why no longer.

        An error is the event `problem`, with a problem JSON; the stream ends with it.
        """
        try:
            await while_admitted(self._handler, work, thing_id, check)
        except AdapteryError as error:
            self._handler.services.metrics.errors.labels(error.code).inc()
            await self.send(error.to_problem(self._handler.request_id), event="problem")

    async def keep_alive(self) -> None:
        """Send a comment."""
        await self._write(": \n\n")

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

    async def _write(self, text: str) -> None:
        if not self.closed:
            self._handler.write(text)
            await self._handler.flush()
