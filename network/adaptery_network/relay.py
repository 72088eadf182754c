"""Relays one sealed reply from an agent to a caller, without a key that opens any of it.

For: the service, where a client seals its own request. Not for whether the caller may (the service
looks before), nor for what is in the frames.

What always holds:
- What is passed on are messages on the reply subject of one grant, as they came; receipts stay
  here.
- A reply is over with the receipt that its agent signed. Without one nobody knows what it cost.
- Closing early ends the reply at the agent, by a key that only the service and this agent have.
- What waits here for a slow reader is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Final

from adaptery.errors import IntegrityError, NoAgentError, UnavailableError
from adaptery.sealed import (
    REFUSAL,
    SUITE,
    AgentCard,
    Grant,
    Receipt,
    ReplyKey,
    is_receipt,
    open_receipt,
)
from adaptery.signing import VerifyKey
from adaptery_network import subjects
from adaptery_network.arrivals import Arrivals
from adaptery_network.transport import Message, Subscription, Transport

__all__ = ["Relay"]

logger = logging.getLogger(__name__)

#: How long an agent has to say what a reply cost, once it was told to end it.
RECEIPT_SECONDS: Final = 3.0


class Relay:
    """One reply on its way.

    Args:
        transport: the service's connection.
        card: of the agent that the request is sealed to.
        grant: the grant inside the request, as the service made it.
        cancel_key: what the terms of the grant say to the agent.
        frame_seconds: the longest wait for each next message.
        receipt_seconds: the longest wait for the receipt after a cancel.
    """

    def __init__(
        self,
        transport: Transport,
        card: AgentCard,
        grant: Grant,
        cancel_key: ReplyKey,
        *,
        frame_seconds: float,
        receipt_seconds: float = RECEIPT_SECONDS,
    ) -> None:
        self._transport = transport
        self._subject = subjects.infer(card.owner, card.agent)
        self._reply = subjects.sealed_reply(grant.nonce)
        self._identity = VerifyKey.from_text(card.identity_key)
        self._grant = grant
        self._cancel_key = cancel_key
        self._frame_seconds = frame_seconds
        self._receipt_seconds = receipt_seconds
        self._arrivals = Arrivals()
        self._receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._subscription: Subscription | None = None
        self._running = False
        #: Whether the agent, or somebody in its place, refused the request before any frame.
        self.refused = False

    async def open(self, payload: bytes) -> None:
        """Send the request on.

        Raises:
            IntegrityError: it is no sealed request.
            UnavailableError: if the broker cannot be reached.
        """
        if payload[:1] != bytes([SUITE]):
            raise IntegrityError("This is not a sealed request.")
        self._subscription = await self._transport.hear(
            self._reply, self._take, on_lost=self._arrivals.lose
        )
        await self._transport.publish(self._subject, payload, self._reply)
        self._running = True

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Yield what the agent sends, until its receipt.

        Raises:
            DeadlineError: if the next message did not come in time.
            NoAgentError: if the agent is not connected.
            UnavailableError: if the connection to the broker was lost.
            IntegrityError: if there is no end of messages.
            SlowReaderError: if they are not read fast enough.
        """
        first = True
        while True:
            try:
                message = await self._arrivals.next(self._frame_seconds)
            except NoAgentError:
                self._running = False  # it never began
                raise
            if message is None:
                return
            if first and message.payload == REFUSAL:
                self.refused, self._running = True, False
            yield message.payload
            if self.refused:
                return
            first = False

    async def close(self) -> Receipt | None:
        """End the reply, if it still runs; return what it cost, if its agent says so in time."""
        try:
            if self._running and not self._receipt.done():
                await self._cancel()
                async with asyncio.timeout(self._receipt_seconds):
                    await asyncio.shield(self._receipt)
        except TimeoutError:
            logger.warning("an agent gave no receipt")
        except UnavailableError:
            logger.info("a cancel could not be sent; the agent's own limit ends the reply")
        finally:
            self._running = False
            self._arrivals.close()
            if self._subscription is not None:
                await self._subscription.unsubscribe()
        return self._receipt.result() if self._receipt.done() else None

    async def _cancel(self) -> None:
        payload = self._cancel_key.seal_cancel(self._reply)
        await self._transport.publish(self._subject, payload, self._reply)

    def _take(self, message: Message) -> None:
        if not is_receipt(message.payload):
            self._arrivals.take(message)
            return
        try:
            receipt = open_receipt(message.payload, self._identity)
        except IntegrityError:
            logger.warning("a receipt was not signed by its agent")
            return
        if receipt.grant == self._grant.nonce and not self._receipt.done():
            self._receipt.set_result(receipt)
            self._arrivals.finish()
