"""The agent's side of a sealed session, as the rest of the agent sees it, made patient.

Not here: sealing and subjects (`adaptery_network.sessions`). Invariants:
- a service or broker that is away is waited for with growing pauses, never given up by itself;
- an error that waiting cannot mend is raised at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from adaptery.errors import DeadlineError, InternalError, QuotaError, RefusedError, UnavailableError

logger = logging.getLogger(__name__)

LineKind = Literal["report", "bulk"]

#: Errors that go away: the other side is restarting, or asks us to come later.
_PASSING = (UnavailableError, DeadlineError, QuotaError)
#: Errors that may go away: a service that has just started may not know its sessions yet, and one
#: that fails inside may have a busy database. After so many tries (some 20 s) they are believed.
DOUBTFUL = (RefusedError, InternalError)
DOUBTFUL_TRIES = 8


class Line(Protocol):
    """One session with the service: a request, an answer."""

    async def request(
        self, kind: LineKind, header: Mapping[str, object], blob: bytes = b""
    ) -> tuple[dict[str, object], bytes]:
        """Ask the service something."""
        ...


@dataclass(frozen=True)
class Backoff:
    """How long to wait between tries."""

    first_seconds: float = 0.2
    last_seconds: float = 10.0

    def after(self, tries: int) -> float:
        """Return the pause after so many failed tries."""
        return min(self.first_seconds * 2 ** min(tries - 1, 16), self.last_seconds)


class PatientLine:
    """A line that asks again until it gets an answer; cancel the task to stop it."""

    def __init__(self, line: Line, backoff: Backoff | None = None) -> None:
        self._line = line
        self._backoff = backoff or Backoff()

    async def request(
        self, kind: LineKind, header: Mapping[str, object], blob: bytes = b""
    ) -> tuple[dict[str, object], bytes]:
        """Ask the service, again and again while it is away.

        Raises:
            RefusedError: it does not know the session, also after some tries.
            InternalError: it fails on this, also after some tries.
            AdapteryError: the service answered with an error that does not pass.
        """
        tries = 0
        while True:
            try:
                return await self._line.request(kind, header, blob)
            except (*_PASSING, *DOUBTFUL) as error:
                tries += 1
                if isinstance(error, DOUBTFUL) and tries >= DOUBTFUL_TRIES:
                    raise
                pause_seconds = error.retry_after_seconds or self._backoff.after(tries)
                level = logging.WARNING if tries == 1 else logging.DEBUG
                logger.log(level, "%s waits for the service: %s", header.get("op"), error.code)
                await asyncio.sleep(pause_seconds)
