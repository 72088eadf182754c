"""Asks the workers of this host what they can; see `adaptery.abilities`.

The worker's own command is asked, in the environment that a worker gets: it may be of another
Python, or see other cards, than the agent does. One that does not answer can what is usual.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from adaptery.abilities import ABILITIES
from adaptery_network.agent.processes import ChildProcess, clean_environment

logger = logging.getLogger(__name__)

#: It may import torch and wake the driver of a card; on a busy host that takes its time.
ASK_SECONDS = 120.0


async def ask_abilities(command: Sequence[str], threads: int) -> frozenset[str]:
    """Return what the workers that this command starts can."""
    with TemporaryDirectory(prefix="adaptery-abilities-") as folder:
        output = Path(folder) / "output"
        code = await _run((*command, "--abilities"), output, threads)
        found = read_abilities(output.read_bytes()) if code == 0 else None
    if found is None:
        logger.warning("workers do not say what they can: only what is usual")
    return found or frozenset()


def read_abilities(output: bytes) -> frozenset[str] | None:
    """Return what a worker's output says; libraries may talk before and after."""
    for line in reversed(output.splitlines()):
        with suppress(ValueError, TypeError):  # no JSON, or a list of something else
            said = json.loads(line)
            if isinstance(said, list):
                return frozenset(ABILITIES).intersection(said)
    return None


async def _run(command: Sequence[str], output: Path, threads: int) -> int | None:
    environment = clean_environment(output.parent, threads, {})
    try:
        child = await ChildProcess.start(
            command, cwd=output.parent, environment=environment, log=output
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await child.wait()
    except TimeoutError:
        return None
    finally:
        if child.exit_code is None:
            await child.kill()
