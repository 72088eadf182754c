"""Waiting for operations: work of the service that takes longer than a request."""

from __future__ import annotations

import time
from collections.abc import Callable

from adaptery.client.connection import Connection, checked, path_of
from adaptery.errors import AdapteryError, ConflictError, DeadlineError, InternalError, from_problem
from adaptery.schemas.datasets import Operation

__all__ = ["WaitInterrupted", "wait_for"]

Progress = Callable[[int, int | None], None]

FIRST_PAUSE_SECONDS = 0.02  # small things are done at once
LONGEST_PAUSE_SECONDS = 2.0


class WaitInterrupted(KeyboardInterrupt):
    """The wait for an operation was interrupted; the operation itself goes on."""

    def __init__(self, connection: Connection, operation: Operation) -> None:
        super().__init__(f"the operation {operation.id} goes on; cancel() ends it")
        self._connection = connection
        self.operation = operation

    def cancel(self) -> Operation:
        """Cancel the operation and return how it ended.

        Raises:
            AdapteryError: what the service raised; the operation may go on.
        """
        path = path_of("api", "operations", self.operation.id)
        self.operation = checked(self._connection.send("DELETE", path), Operation)
        return self.operation


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
        WaitInterrupted: in the place of `KeyboardInterrupt`; it can cancel the operation.
        AdapteryError: what made it fail.
    """
    try:
        return _waited(connection, operation, time.monotonic() + timeout_seconds, progress, sleep)
    except KeyboardInterrupt:
        raise WaitInterrupted(connection, operation) from None


def _waited(
    connection: Connection,
    operation: Operation,
    deadline: float,
    progress: Progress | None,
    sleep: Callable[[float], None],
) -> Operation:
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
