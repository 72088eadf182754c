"""Sends committed checkpoints to the service while the worker goes on.

Not here: making or choosing checkpoints. Invariants:
- only the newest waits: a link slower than the worker delays, and never piles up;
- a checkpoint that cannot be sent costs progress after a crash, never the job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from adaptery.errors import AdapteryError
from adaptery.schemas.events import CheckpointEvent
from adaptery_network.agent.lines import Line
from adaptery_network.agent.transfers import send_folder

logger = logging.getLogger(__name__)


class CheckpointSender:
    """The way out for the checkpoints of one attempt."""

    def __init__(self, line: Line, work: Path) -> None:
        self._line = line
        self._work = work
        self._waiting: tuple[CheckpointEvent, Mapping[str, object]] | None = None
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, event: CheckpointEvent, metrics: Mapping[str, object]) -> None:
        """Have a committed checkpoint sent, in place of an older one that still waits."""
        self._waiting = (event, metrics)
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting is not None:
                (event, metrics), self._waiting = self._waiting, None
                await self._send(event, metrics)
            self._idle.set()

    async def drained(self) -> None:
        """Wait until nothing waits to be sent; `run` has to be running."""
        await self._idle.wait()

    async def _send(self, event: CheckpointEvent, metrics: Mapping[str, object]) -> None:
        facts = {"step": event.step, "digest": event.digest, "metrics": dict(metrics)}
        try:
            remote = f"checkpoints/{event.step}"
            await send_folder(self._line, self._work, event.path, remote, facts)
        except FileNotFoundError:
            logger.info("checkpoint of step %d was replaced before it was sent", event.step)
        except AdapteryError as error:
            logger.warning("checkpoint of step %d is not sent: %s", event.step, error.code)
