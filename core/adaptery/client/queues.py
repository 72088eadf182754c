"""Queues: how they are doing, and for administrators their states."""

from __future__ import annotations

from adaptery.client.columns import QUEUES
from adaptery.client.connection import Connection, checked, path_of
from adaptery.client.listing import Listing
from adaptery.schemas.common import parse
from adaptery.schemas.queues import Queue, QueueChange, QueueState

__all__ = ["Queues"]


class Queues:
    """The queues of the tasks that the caller may use; all of them for administrators."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Listing[Queue]:
        """Return the queues by name.

        Raises:
            AdapteryError: what the service raised.
        """
        found = self._connection.pages("api/queues", Queue, lambda queue: queue.name)
        return Listing(found, "queue", QUEUES)

    def pause(self, queue: str, reason: str | None = None) -> Queue:
        """Give none of its jobs out until `open`; those that train go on.

        Args:
            queue: its name.
            reason: shown to those whose jobs wait.

        Raises:
            NotFoundError: if there is no such queue.
            NotAllowedError: without the admin scope.
            AdapteryError: what the service raised.
        """
        return self._set(queue, "paused", reason)

    def drain(self, queue: str, reason: str | None = None) -> Queue:
        """As `pause`; jobs that train save a checkpoint and wait again.

        Raises:
            NotFoundError: if there is no such queue.
            NotAllowedError: without the admin scope.
            AdapteryError: what the service raised.
        """
        return self._set(queue, "draining", reason)

    def open(self, queue: str) -> Queue:
        """Give its jobs out again.

        Raises:
            NotFoundError: if there is no such queue.
            NotAllowedError: without the admin scope.
            AdapteryError: what the service raised.
        """
        return self._set(queue, "open", None)

    def _set(self, queue: str, state: QueueState, reason: str | None) -> Queue:
        body = parse(QueueChange, {"state": state, "reason": reason})
        path = path_of("api", "queues", queue)
        answer = self._connection.send("PATCH", path, json=body.model_dump(mode="json"))
        return checked(answer, Queue)
