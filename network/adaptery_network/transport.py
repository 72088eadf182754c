"""The port to the broker: publish, subscribe, request. Everything above it knows only `Transport`.

For: carrying bytes, and coming back after every loss of the connection. Not for what the bytes
mean, and not for trust: whatever arrives here is checked by whoever opens it. Core NATS carries
them (`nats_transport`).

What always holds:
- A connection that is lost is dialled again for ever, and subscriptions are restored, until
  `close`.
- Nothing is queued while there is no connection: the call fails at once with `UnavailableError`, so
  nothing stale is sent later.
- A request that nobody listens to fails at once, not at its timeout.
- Payloads are never logged.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

import nkeys

__all__ = ["Credentials", "Ear", "Handler", "Message", "State", "Subscription", "Transport"]

State: TypeAlias = Literal["connected", "disconnected", "refused", "closed"]


class Message(NamedTuple):
    """One message as it came off the wire. A tuple, for one is made for each token."""

    subject: str
    payload: bytes
    reply: str | None = None
    #: True for the broker's own notice that nobody subscribes to what was asked
    no_responders: bool = False

    def __repr__(self) -> str:
        return f"Message({self.subject!r}, {len(self.payload)} bytes)"


Handler: TypeAlias = Callable[[Message], Awaitable[None]]
#: Takes a message at once; it neither waits nor raises.
Ear: TypeAlias = Callable[[Message], None]


class Subscription(Protocol):
    """What `subscribe` gives back."""

    async def unsubscribe(self) -> None:
        """Stop receiving."""
        ...


class Transport(Protocol):
    """What the rooms above need of a broker."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection right now."""
        ...

    async def publish(self, subject: str, payload: bytes, reply: str | None = None) -> None:
        """Send a message.

        Raises:
            UnavailableError: if there is no connection.
            TooLargeError: if the payload exceeds what the broker carries.
        """
        ...

    async def subscribe(
        self, subject: str, handler: Handler, *, on_lost: Callable[[], None] | None = None
    ) -> Subscription:
        """Receive messages; they are handed over one after the other.

        Args:
            subject: may hold wildcards.
            handler: must return soon; long work belongs in a task.
            on_lost: called when the connection is lost, since messages may then be missing.

        Raises:
            UnavailableError: if there is no connection.
        """
        ...

    async def hear(
        self, subject: str, ear: Ear, *, on_lost: Callable[[], None] | None = None
    ) -> Subscription:
        """Receive messages as they come off the wire, without a task in between.

        For what a token passes: a change of tasks for each of them would cost as much as its seal.

        Args:
            subject: may hold wildcards.
            ear: is called for one message after the other; nothing bounds what it keeps but itself.
            on_lost: called when the connection is lost, since messages may then be missing.

        Raises:
            UnavailableError: if there is no connection.
        """
        ...

    async def request(self, subject: str, payload: bytes, timeout_seconds: float) -> Message:
        """Send a message and wait for one answer.

        Raises:
            DeadlineError: if no answer came in time.
            UnavailableError: if nobody listens, or the connection is or gets lost.
            TooLargeError: if the payload exceeds what the broker carries.
        """
        ...

    def new_inbox(self) -> str:
        """Return a fresh reply subject that only this user may subscribe to."""
        ...

    async def flush(self) -> None:
        """Wait until the broker has processed everything sent so far.

        Raises:
            UnavailableError: if there is no connection, or the broker does not answer.
        """
        ...

    async def close(self) -> None:
        """End the connection for good."""
        ...


@dataclass(frozen=True)
class Credentials:
    """A user of the broker: its JWT, and the nkey seed that answers the broker's challenge."""

    jwt: str = field(repr=False)
    seed: str = field(repr=False)

    def sign(self, nonce: str) -> bytes:
        """Return the base64 signature over the broker's challenge."""
        pair = nkeys.from_seed(bytearray(self.seed.encode()))
        return base64.b64encode(pair.sign(nonce.encode()))
