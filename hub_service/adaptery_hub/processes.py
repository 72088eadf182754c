"""Steps that take long run in processes of their own, so that the service stays responsive.

A step is a function of a module, `fn(report, *arguments)`; it tells how far it is by
`report(done, total)` and returns its result. Arguments and result are pickled.

Invariants:

- A step that shall end is killed at once, wherever it is: what it writes must be all or nothing (a
  transaction of SQLite, a folder that is renamed at the end).
- A step does not outlive the service: it ends when the pipe to it is closed.
- A step may take so much memory and no more; it fails, not the service.

Children are forked from a server process that has imported the modules once (multiprocessing's
forkserver): one starts in hundredths of a second, and never from a process with threads.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from adaptery.errors import AdapteryError, InternalError, TooLargeError
from adaptery_hub import logs
from adaptery_hub.full_disk import unexpected
from adaptery_hub.operations import Progress

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Tells how far a step is: what is done, of how many in all.
Report = Callable[[int, int], None]

#: How often a step that says nothing is looked at: whether it shall end.
LOOK_SECONDS = 0.2
#: Steps give way to the service.
NICENESS = 5

_START = multiprocessing.get_context("forkserver")
_START.set_forkserver_preload(["adaptery_hub.app"])


class Processes:
    """Runs steps."""

    def __init__(self, memory_bytes: int, logging_level: str = "INFO") -> None:
        """Take the limits.

        Args:
            memory_bytes: what one step may take.
            logging_level: of the lines that a step writes.
        """
        self._memory_bytes = memory_bytes
        self._logging_level = logging_level

    def prepare(self) -> None:
        """Start the server that children are forked from, if it is not there: it takes a second."""
        forkserver.ensure_running()

    def within(self, memory_bytes: int) -> Processes:
        """Return what runs steps that may take less memory."""
        return Processes(min(memory_bytes, self._memory_bytes), self._logging_level)

    def run(
        self,
        fn: Callable[Concatenate[Report, P], T],
        progress: Progress,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a step and wait for it; blocking, for the thread of an operation.

        Raises:
            Cancelled: the operation shall end; the step was killed.
            TooLargeError: it needs more memory than it may take.
            InternalError: it died, or raised what is no `AdapteryError`, which the log names.
            AdapteryError: what it raised.
        """
        ours, theirs = _START.Pipe()
        child = _START.Process(
            target=_child,
            args=(theirs, self._memory_bytes, self._logging_level, logs.request_id.get()),
            daemon=True,
        )
        try:
            child.start()
            theirs.close()
            ours.send((fn, args, kwargs))
            return _follow(ours, progress)
        finally:
            ours.close()
            child.kill()
            child.join()
            child.close()


def _follow(ours: Connection, progress: Progress) -> Any:
    """Pass on what the child reports until it ends; return its result."""
    while True:
        progress.check()
        try:
            if not ours.poll(LOOK_SECONDS):
                continue
            kind, value = ours.recv()
        except (EOFError, ConnectionResetError):
            raise InternalError(
                "The step ended before it was done.",
                hint="Start it again. If this happens again, it may need more memory.",
            ) from None
        if kind == "report":
            progress.report(*value)
        elif kind == "error":
            raise value
        else:
            return value


def _child(theirs: Connection, memory_bytes: int, logging_level: str, request_id: str) -> None:
    """Run one step, in its own process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the service ends us
    os.nice(NICENESS)
    logs.set_up_logging(logging_level)
    logs.request_id.set(request_id)
    fn, args, kwargs = theirs.recv()
    threading.Thread(target=_end_with_service, args=(theirs,), daemon=True).start()
    _limit_memory(memory_bytes)

    def report(done: int, total: int) -> None:
        theirs.send(("report", (done, total)))

    try:
        theirs.send(("result", fn(report, *args, **kwargs)))
    except AdapteryError as error:
        theirs.send(("error", error))
    except MemoryError:
        theirs.send(("error", _too_large(memory_bytes)))
    except Exception as error:
        logs.log_exception(logger, "step_failed", error)
        theirs.send(("error", unexpected(error)))


def _limit_memory(more_bytes: int) -> None:
    """Let this process take so much more than it has: its imports are not part of the step."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack
    limit = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _end_with_service(theirs: Connection) -> None:
    # Nothing comes any more: this returns when the service closes the pipe, or dies.
    theirs.poll(None)
    os._exit(1)


def _too_large(memory_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"This needs more than the {memory_bytes // 2**20} MiB of memory that a step may take.",
        hint="Split the data, or ask an administrator to raise process_memory_bytes.",
    )
