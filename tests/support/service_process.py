"""The service in a process of its own, to be killed, or measured.

Run as: `python tests/support/service_process.py STATE_FOLDER OPTIONS_AS_JSON`. Prints one line of
JSON when it is ready, `{"url"}`, and ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
USERS = ("demo", "guest")


def token_of(user: str) -> str:
    """Return the token that lets a user in."""
    return f"token-of-{user}"


@dataclass(frozen=True)
class ServiceProcess:
    """A running service."""

    url: str
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would; what it started is not told."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def service_process(state: Path, **options: Any) -> Iterator[ServiceProcess]:
    """Run the service with its state in a folder that may exist already."""
    command = [sys.executable, __file__, str(state), json.dumps(options)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield ServiceProcess(json.loads(process.stdout.readline())["url"], process)
        finally:
            process.stdin.close()
            process.wait()


async def _serve(state: Path, options: dict[str, Any]) -> None:
    from support.service import running_service

    async with running_service(state, **options) as service:
        for user in USERS:
            service.client(user, token=token_of(user))
        sys.stdout.write(json.dumps({"url": service.url}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    asyncio.run(_serve(Path(sys.argv[1]), json.loads(sys.argv[2])))
