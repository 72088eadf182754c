"""Tells the service what a worker does and keeps the lease of its attempt by it.

One loop does both: a report with no events is a renewal. Not here: what the events mean here, or
ending the worker; that is told to the `LeaseHolder`.

Invariants:
- a lease is counted from the moment a report was *sent*, on this host's clock since its boot, so
  neither a slow answer nor a wrong clock makes it longer than the service thinks;
- only the service's acknowledgement of the fencing token makes it longer, and the holder works no
  longer than it is told: no job ever runs twice at once;
- an event leaves the list only when the service has acknowledged its number.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from adaptery.errors import (
    DeadlineError,
    LeaseLostError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)
from adaptery_network.agent.guard import boot_seconds
from adaptery_network.agent.lines import DOUBTFUL, DOUBTFUL_TRIES, Backoff, Line

logger = logging.getLogger(__name__)

#: Numbers and short words: 200 events are far below the broker's payload limit.
EVENTS_PER_REPORT = 200
BYTES_PER_REPORT = 256 * 1024
#: Events that wait in memory; more stay in the worker's file.
PENDING_LIMIT = 10 * EVENTS_PER_REPORT


class LeaseHolder(Protocol):
    """Who works under the lease."""

    def on_cancel(self) -> None:
        """The service wants the attempt to end."""
        ...

    def on_drain(self) -> None:
        """The service wants the attempt to save a checkpoint and end; its job waits again."""
        ...

    def on_renewed(self, until: float) -> None:
        """The service acknowledged the fencing token: go on until then (`guard.boot_seconds`)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReportTiming:
    """When to report."""

    #: Events of so long travel together; a chart needs no more.
    gather_seconds: float = 0.5
    #: Renewals per lease, so that two may be lost.
    renewals_per_lease: int = 3
    #: The share of the lease after which the worker stands still; the rest covers the way.
    safe_share: float = 0.9
    #: After so long with no answer the attempt is given up.
    abandon_seconds: float = 3600.0
    backoff: Backoff = field(default_factory=lambda: Backoff(0.2, 5.0))


class Reporter:
    """Reports of one attempt."""

    def __init__(
        self,
        line: Line,
        holder: LeaseHolder,
        *,
        fencing_token: int,
        lease_seconds: float,
        timing: ReportTiming | None = None,
    ) -> None:
        self._line = line
        self._holder = holder
        self._fencing_token = fencing_token
        self._lease_seconds = lease_seconds
        self._timing = timing or ReportTiming()
        self._pending: deque[tuple[dict[str, object], int]] = deque()
        self._news = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._renewed_at = boot_seconds()

    def add(self, event: Mapping[str, object], size_bytes: int = 0) -> None:
        """Queue an event for the next report."""
        self._pending.append((dict(event), size_bytes))
        self._emptied.clear()
        self._news.set()

    @property
    def has_room(self) -> bool:
        """Whether more events may wait here."""
        return len(self._pending) < PENDING_LIMIT

    async def keep(self) -> NoReturn:
        """Report and renew until cancelled.

        Raises:
            LeaseLostError: the service no longer acknowledges this attempt.
            AdapteryError: the service refuses the reports for another reason.
        """
        while True:
            await self._report_patiently()
            await self._wait_for_turn()

    async def flushed(self) -> None:
        """Wait until every event is acknowledged; `keep` has to be running."""
        await self._emptied.wait()

    async def _wait_for_turn(self) -> None:
        due_seconds = self._lease_seconds / self._timing.renewals_per_lease
        try:
            # Not wait_for: before Python 3.12 it can swallow a cancellation.
            async with asyncio.timeout(due_seconds):
                await self._news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(min(self._timing.gather_seconds, due_seconds))

    async def _report_patiently(self) -> None:
        tries = 0
        while True:
            try:
                await self._report()
                return
            except (UnavailableError, DeadlineError, QuotaError) as error:
                tries += 1
                self._give_up_if_hopeless()
                if tries == 1:
                    logger.warning("report waits for the service: %s", error.code)
                await asyncio.sleep(self._timing.backoff.after(tries))
            except (NotFoundError, *DOUBTFUL) as error:
                tries += 1
                if tries >= DOUBTFUL_TRIES:
                    raise LeaseLostError("The service does not know this attempt.") from error
                await asyncio.sleep(self._timing.backoff.after(tries))

    async def _report(self) -> None:
        self._news.clear()
        events = self._next_events()
        sent_at = boot_seconds()
        header = {"op": "report", "fencing_token": self._fencing_token, "events": events}
        answer, _ = await self._line.request("report", header)
        self._acknowledge(events, answer.get("acked_seq"))
        self._renew(sent_at)
        if answer.get("cancel") is True:
            self._holder.on_cancel()
        elif answer.get("drain") is True:
            self._holder.on_drain()

    def _next_events(self) -> list[dict[str, object]]:
        events: list[dict[str, object]] = []
        size_bytes = 0
        for event, event_bytes in self._pending:
            size_bytes += event_bytes
            if events and (len(events) >= EVENTS_PER_REPORT or size_bytes > BYTES_PER_REPORT):
                break
            events.append(event)
        return events

    def _acknowledge(self, sent: list[dict[str, object]], acked: object) -> None:
        if sent:
            last = acked if isinstance(acked, int) else sent[-1]["seq"]
            while self._pending and _seq(self._pending[0][0]) <= _whole(last):
                self._pending.popleft()
        if self._pending:
            self._news.set()
        else:
            self._emptied.set()

    def _renew(self, sent_at: float) -> None:
        self._renewed_at = sent_at
        self._holder.on_renewed(sent_at + self._lease_seconds * self._timing.safe_share)

    def _give_up_if_hopeless(self) -> None:
        if boot_seconds() - self._renewed_at > self._timing.abandon_seconds:
            raise LeaseLostError("The service has not answered for too long.")


def _seq(event: Mapping[str, object]) -> int:
    return _whole(event["seq"])


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
