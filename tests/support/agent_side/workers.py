"""The workers on this host, as their marks tell them."""

import psutil

from adaptery_network.agent import guard
from adaptery_network.agent.processes import find_marked
from adaptery_network.agent.worker import ATTEMPT_MARK


def workers_of(attempt: str) -> list[psutil.Process]:
    """Return the processes of an attempt, eldest first, without its guard."""
    return [process for process in find_marked({ATTEMPT_MARK: attempt}) if not is_guard(process)]


def is_guard(process: psutil.Process) -> bool:
    """Whether this is the guard of a worker; what is gone is none."""
    try:
        return guard.__file__ in process.cmdline()
    except psutil.NoSuchProcess:
        return False
