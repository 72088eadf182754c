"""Processes that end with whoever started them, however that one ends.

Not here: what a process is for, and how it is asked to end. The kernel's word (Linux) is given to
a child between fork and exec; who was started by somebody else watches its parent by itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys

#: How often a process looks whether its parent is still there, in seconds.
PARENT_POLL_SECONDS = 1.0

_PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h


def end_with_parent() -> None:
    """As `preexec_fn`: have the kernel send SIGTERM to this child when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def wait_for_parent_to_end() -> None:
    """Return when the process that started this one is gone: an orphan has another parent."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_POLL_SECONDS)
