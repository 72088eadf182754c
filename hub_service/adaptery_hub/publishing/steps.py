"""Where a step of publishing runs: small ones here, all others in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from adaptery_hub.operations import Progress
from adaptery_hub.processes import Processes, Report

P = ParamSpec("P")
T = TypeVar("T")

#: What a step reads, uncompressed, up to which starting a process would take longer than the step.
SMALL_BYTES = 2 * 1024 * 1024


def run_step(
    processes: Processes,
    progress: Progress,
    size_bytes: int,
    fn: Callable[Concatenate[Report, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run a step and wait for it. Blocking.

    Args:
        processes: where large steps run.
        progress: told how far it is.
        size_bytes: what it reads; what is compressed may be much more than it takes.
        fn: the step; see `adaptery_hub.processes`.
        args: of the step.
        kwargs: of the step.

    Raises:
        Cancelled: the operation shall end.
        TooLargeError: it needs more memory than it may take.
        AdapteryError: what it raised.
    """
    if size_bytes <= SMALL_BYTES:
        return fn(progress.report, *args, **kwargs)
    return processes.run(fn, progress, *args, **kwargs)
