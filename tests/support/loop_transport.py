"""A transport inside one event loop, for tests of what lies above a broker.

It keeps the promises of `Transport` (order per subscription, a notice when nobody listens) and
nothing more: no permissions, no connection. Subclasses of the tests lose, reorder or repeat
messages.
"""

import asyncio
import itertools
from collections.abc import Callable

from adaptery.errors import DeadlineError, UnavailableError
from adaptery_network.transport import Ear, Handler, Message


def matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(
        token in ("*", part) for token, part in zip(wanted, given, strict=True)
    )


class LoopSubscription:
    def __init__(
        self, bus: "LoopBus", subject: str, handler: Handler, on_lost: Callable[[], None] | None
    ) -> None:
        self.subject = subject
        self.on_lost = on_lost
        self._bus = bus
        self._arrivals: asyncio.Queue[Message] = asyncio.Queue()
        self._task = asyncio.create_task(self._hand_over(handler))

    def arrive(self, message: Message) -> None:
        self._arrivals.put_nowait(message)

    async def _hand_over(self, handler: Handler) -> None:
        while True:
            await handler(await self._arrivals.get())

    async def unsubscribe(self) -> None:
        self._bus.subscriptions.discard(self)
        self._task.cancel()


class LoopBus:
    """What several `LoopTransport`s share."""

    def __init__(self) -> None:
        self.subscriptions: set[LoopSubscription] = set()
        self.seen: list[Message] = []

    def carry(self, message: Message) -> None:
        """Deliver a message; tests override this to be a bad network."""
        self.deliver(message)

    def deliver(self, message: Message) -> None:
        self.seen.append(message)
        listening = [s for s in self.subscriptions if matches(s.subject, message.subject)]
        for subscription in listening:
            subscription.arrive(message)
        if not listening and message.reply:
            self.deliver(Message(message.reply, b"", no_responders=True))


class LoopTransport:
    """One user of the bus."""

    def __init__(self, bus: LoopBus, name: str) -> None:
        self._bus = bus
        self._inboxes = (f"_INBOX_{name}.{n}" for n in itertools.count())
        self._mine: list[LoopSubscription] = []
        self.connected = True

    async def publish(self, subject: str, payload: bytes, reply: str | None = None) -> None:
        if not self.connected:
            raise UnavailableError
        self._bus.carry(Message(subject, payload, reply))
        await asyncio.sleep(0)

    async def subscribe(
        self, subject: str, handler: Handler, *, on_lost: Callable[[], None] | None = None
    ) -> LoopSubscription:
        if not self.connected:
            raise UnavailableError
        subscription = LoopSubscription(self._bus, subject, handler, on_lost)
        self._bus.subscriptions.add(subscription)
        self._mine.append(subscription)
        return subscription

    async def hear(
        self, subject: str, ear: Ear, *, on_lost: Callable[[], None] | None = None
    ) -> LoopSubscription:
        async def hand_on(message: Message) -> None:
            ear(message)

        return await self.subscribe(subject, hand_on, on_lost=on_lost)

    async def request(self, subject: str, payload: bytes, timeout_seconds: float) -> Message:
        arrived: asyncio.Queue[Message] = asyncio.Queue()
        inbox = self.new_inbox()
        subscription = await self.subscribe(inbox, arrived.put)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.publish(subject, payload, inbox)
                message = await arrived.get()
        except TimeoutError:
            raise DeadlineError from None
        finally:
            await subscription.unsubscribe()
        if message.no_responders:
            raise UnavailableError
        return message

    def new_inbox(self) -> str:
        return next(self._inboxes)

    def lose(self) -> None:
        """Lose the connection, as when a broker is killed."""
        self.connected = False
        for subscription in self._mine:
            if subscription.on_lost is not None:
                subscription.on_lost()

    async def flush(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        self.connected = False
        for subscription in self._mine:
            await subscription.unsubscribe()
