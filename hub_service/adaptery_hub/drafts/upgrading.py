"""Bringing large drafts of earlier releases to the schema of today, in a process of their own.

A million records take minutes: a thread of the service would hold the interpreter, and one of the
few that read drafts, for as long. Small drafts are upgraded where they are opened.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from adaptery.errors import InternalError, UnavailableError
from adaptery_hub.drafts.schema import is_current, upgrade

#: Bytes of a draft file that is upgraded in less than a few seconds.
LARGE_BYTES = 16 * 1024 * 1024
#: How long a call waits for an upgrade; then its caller is told to come again.
WAIT_SECONDS = 20.0
RETRY_SECONDS = 15.0
_PROGRAM = "from adaptery_hub.drafts.upgrading import main; main()"


class Upgrades:
    """The upgrades that are going on, one at a time; asked for by the first call on each draft."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._running: dict[Path, asyncio.Task[int]] = {}

    async def wait(self, path: Path) -> None:
        """Wait for the upgrade of a draft, which begins if it is needed; not for ever.

        Raises:
            UnavailableError: it takes longer.
            InternalError: it failed.
        """
        try:
            await self.finish(path, WAIT_SECONDS)
        except TimeoutError:
            raise UnavailableError(
                "This draft is from an earlier release and is being brought to this one.",
                hint="It takes some minutes for a million records; come again.",
                retry_after_seconds=RETRY_SECONDS,
            ) from None

    async def finish(self, path: Path, seconds: float | None = None) -> None:
        """Wait for the upgrade of a draft, which begins if it is needed.

        Args:
            path: the draft.
            seconds: how long; None: to its end.

        Raises:
            TimeoutError: it takes longer, and goes on.
            InternalError: it failed.
        """
        if not needs_process(path):
            return
        task = self._running.get(path)
        if task is None:
            task = self._running[path] = asyncio.create_task(self._upgrade(path))
            task.add_done_callback(lambda _: self._running.pop(path, None))
        status = await asyncio.wait_for(asyncio.shield(task), seconds)
        if status != 0 and needs_process(path):
            raise InternalError("This draft could not be brought to this release.")

    async def _upgrade(self, path: Path) -> int:
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROGRAM, str(path)
            )
            try:
                return await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()


def needs_process(path: Path) -> bool:
    """Whether a draft is old, and too large to be upgraded where it is opened."""
    try:
        if path.stat().st_size < LARGE_BYTES:
            return False
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return not is_current(connection)
    except (OSError, sqlite3.OperationalError):
        return False  # it is gone, or says so itself when it is opened


def main() -> None:
    """Upgrade the file that the command line names."""
    with closing(sqlite3.connect(sys.argv[1], isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        upgrade(connection)
