"""Reply subjects of one user of the broker, all heard through one subscription.

For: many short replies at once; a subscription for each would cost two messages to the broker and a
task. Not for subjects that somebody else has named.

What always holds:
- Each reply has a subject of its own, which nobody can guess and only this user may subscribe to.
- A connection that is lost ends every reply, and their subjects are not heard on the next one: a
  sender that goes on learns from the broker that nobody listens any more.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from adaptery_network.transport import Ear, Message, Subscription, Transport

__all__ = ["Inbox", "Inboxes"]

_TOKEN_BYTES = 12


class Inbox:
    """One reply subject."""

    def __init__(self, subject: str, close: Callable[[str], None]) -> None:
        self.subject = subject
        self._close = close

    def close(self) -> None:
        """Hear no more."""
        self._close(self.subject)


@dataclass(frozen=True)
class _Reader:
    ear: Ear
    on_lost: Callable[[], None]


class Inboxes:
    """The open reply subjects of a user."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._prefix = ""
        self._subscription: Subscription | None = None
        self._opening = asyncio.Lock()
        self._readers: dict[str, _Reader] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    async def open(self, ear: Ear, on_lost: Callable[[], None]) -> Inbox:
        """Make a reply subject and hear what comes there; close it after use.

        Args:
            ear: takes the messages, one after the other.
            on_lost: called when the connection is lost, since messages may then be missing.

        Raises:
            UnavailableError: if there is no connection.
        """
        while self._subscription is None:
            await self._listen()
        subject = f"{self._prefix}.{secrets.token_hex(_TOKEN_BYTES)}"
        self._readers[subject] = _Reader(ear, on_lost)
        return Inbox(subject, self._close)

    async def _listen(self) -> None:
        async with self._opening:
            if self._subscription is None:
                self._prefix = self._transport.new_inbox()
                self._subscription = await self._transport.hear(
                    f"{self._prefix}.*", self._take, on_lost=self._lose
                )

    def _take(self, message: Message) -> None:
        reader = self._readers.get(message.subject)
        if reader is not None:
            reader.ear(message)

    def _lose(self) -> None:
        lost, self._subscription = self._subscription, None
        if lost is not None:  # before it is restored: the transport dials in a later task
            task = asyncio.get_running_loop().create_task(lost.unsubscribe())
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)
        readers, self._readers = self._readers, {}
        for reader in readers.values():
            reader.on_lost()

    def _close(self, subject: str) -> None:
        self._readers.pop(subject, None)
