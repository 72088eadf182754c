"""Waiting for operations: work of the service that takes longer than a request."""

from __future__ import annotations

import time
from collections.abc import Callable

from adaptery.client.connection import Connection, path_of
from adaptery.errors import AdapteryError, ConflictError, DeadlineError, InternalError, from_problem
from adaptery.schemas.datasets import Operation

__all__ = ["wait_for"]

Progress = Callable[[int, int | None], None]

FIRST_PAUSE_SECONDS = 0.02  # small things are done at once
LONGEST_PAUSE_SECONDS = 2.0


def _failure(operation: Operation) -> AdapteryError:
    if operation.state == "cancelled":
        return ConflictError("The operation was cancelled.")
    if operation.error is None:
        return InternalError()
    return from_problem(operation.error.model_dump(mode="json"))


def wait_for(
    connection: Connection,
    operation: Operation,
    *,
    timeout_seconds: float,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Operation:
    """Return the operation once it is completed.

    Args:
        connection: the service.
        operation: as it was when it started.
        timeout_seconds: how long to wait; the operation goes on afterwards.
        progress: called with what is done and the total, when they are known.
        sleep: how to pause between looks.

    Raises:
        DeadlineError: if it is still running at the end of the time.
        AdapteryError: what made it fail.
    """
    deadline = time.monotonic() + timeout_seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        if progress is not None:
            progress(operation.done, operation.total)
        if operation.state == "completed":
            return operation
        if operation.state != "running":
            raise _failure(operation)
        if time.monotonic() >= deadline:
            raise DeadlineError("The operation is still running.", hint="it goes on; look later")
        sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        operation = connection.get(path_of("api", "operations", operation.id), Operation)
