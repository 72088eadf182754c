"""The agent's side of sealed requests: opens them, runs a handler, streams its frames back.

For: everything between a subject and the handler that both `control` and `infer` need. Not for what
an order or a prompt means (`agent`), and it coalesces nothing: one item of the handler is one
frame.

What always holds:
- The handler sees only requests that passed every check of `RequestOpener`.
- A refusal is the same bytes for every reason, and the reason is counted by the opener.
- A reply ends with an `end` frame, after an `error` frame if something failed; an error of ours
  that is not an `AdapteryError` is reported by request id only, and its text is not logged, for it
  may quote content.
- When the caller cancels or is gone, the limit passes or the server stops, the handler's generator
  is closed, so that whatever it holds (a row of the engine) is freed. Where the caller is not the
  service, the service may cancel too, by the key in the terms of the grant.
- A reply under a grant with terms ends with a receipt for the service, however it ended.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from adaptery.errors import (
    AdapteryError,
    DeadlineError,
    EngineBusyError,
    InternalError,
    RefusedError,
    UnavailableError,
)
from adaptery.ids import new_id
from adaptery.sealed import (
    CANCEL,
    REFUSAL,
    FrameWriter,
    Grant,
    JsonObject,
    OpenedRequest,
    Receipt,
    ReplyKey,
    RequestOpener,
    sign_receipt,
)
from adaptery.signing import SigningKey
from adaptery_network.transport import Message, Subscription, Transport

__all__ = ["Item", "SealedHandler", "SealedServer"]

logger = logging.getLogger(__name__)

LIMIT_SECONDS: Final = 900.0  # of one reply; longer than any answer that a person waits for
LISTENER_SECONDS: Final = 0.5  # a reply that nobody reads is noticed by its next frame after this
OPEN_LIMIT: Final = 256  # replies at a time
COUNT_LIMIT: Final = 2**31 - 1  # tokens; more is no honest engine's count
#: How a reply ended in its receipt; otherwise the code of an error.
COMPLETED: Final = "completed"
CANCELLED: Final = "cancelled"

#: `tally` is not sent: it says what has been made so far, in case that the reply is cancelled.
Item: TypeAlias = tuple[Literal["data", "usage", "tally"], Mapping[str, object]]
#: An async generator function: takes the grant and the body, yields the frames.
SealedHandler: TypeAlias = Callable[[Grant, JsonObject], AsyncGenerator[Item, None]]


@dataclass(frozen=True)
class _OpenReply:
    #: of whoever may cancel it: the caller, and the service
    keys: tuple[ReplyKey, ...]
    task: asyncio.Task[None]


class _Tally:
    """What a reply has cost so far."""

    def __init__(self) -> None:
        self.counts = {"prompt_tokens": 0, "completion_tokens": 0}

    def take(self, usage: Mapping[str, object]) -> None:
        """Believe the last count of each kind."""
        for name in self.counts:
            count = usage.get(name)
            if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
                self.counts[name] = min(count, COUNT_LIMIT)


class SealedServer:
    """Serves a verb, or several, on one subject.

    Args:
        transport: the agent's connection.
        subject: where requests arrive.
        verb: what is served there; requests sealed for another verb do not open.
        opener: shared by all servers of the agent, so that a replay to another of them is seen too.
        handler: answers one request.
        also: further verbs that are served on the subject, each with its handler.
        signer: the agent's identity key, where receipts are asked for.
        limit_seconds: after this a reply is ended with `DeadlineError`.
        open_limit: more replies at a time are answered with `EngineBusyError`.
    """

    def __init__(
        self,
        transport: Transport,
        subject: str,
        verb: str,
        opener: RequestOpener,
        handler: SealedHandler,
        *,
        also: Mapping[str, SealedHandler] | None = None,
        signer: SigningKey | None = None,
        limit_seconds: float = LIMIT_SECONDS,
        open_limit: int = OPEN_LIMIT,
    ) -> None:
        self._transport = transport
        self._subject = subject
        self._opener = opener
        self._handlers = {verb: handler, **(also or {})}
        self._signer = signer
        self._limit_seconds = limit_seconds
        self._open_limit = open_limit
        self._open: dict[str, _OpenReply] = {}
        self._subscriptions: list[Subscription] = []
        self._stopping = False
        #: Where the broker tells that nobody listens to a reply any more.
        self._left = transport.new_inbox()

    @property
    def open_replies(self) -> int:
        """How many replies are being written."""
        return len(self._open)

    async def start(self) -> None:
        """Begin to take requests.

        Raises:
            UnavailableError: if there is no connection.
        """
        self._subscriptions = [
            await self._transport.subscribe(f"{self._left}.*", self._reader_left),
            await self._transport.subscribe(self._subject, self._receive),
        ]

    async def stop(self) -> None:
        """Take no more requests and end the open replies with `UnavailableError`."""
        self._stopping = True
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        tasks = [reply.task for reply in self._open.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, message: Message) -> None:
        if message.payload[:1] == bytes([CANCEL]):
            self._cancel(message)
            return
        try:
            opened = self._opener.open(
                message.payload, message.subject, message.reply, *self._handlers
            )
        except RefusedError as error:
            logger.warning("refused a request on %s: %s", self._subject, error.reason)
            await self._refuse(message.reply)
            return
        assert message.reply is not None, "the opener refuses a request without a reply subject"
        task = asyncio.create_task(self._answer(opened, message.reply))
        keys = (opened.reply_key, *((opened.terms.canceller(),) if opened.terms else ()))
        self._open[message.reply] = _OpenReply(keys, task)
        task.add_done_callback(lambda _: self._open.pop(message.reply or "", None))
        # The reply begins before the next request is opened: see `adaptery.single_file`.
        await asyncio.sleep(0)

    def _cancel(self, message: Message) -> None:
        # A cancel for a reply that is over, or that its caller did not make, does nothing.
        subject = message.reply or ""
        reply = self._open.get(subject)
        if reply and any(key.is_cancel(message.payload, subject) for key in reply.keys):
            # Soon, so that the task has begun: one that never did would leave no receipt.
            asyncio.get_running_loop().call_soon(reply.task.cancel)

    async def _reader_left(self, message: Message) -> None:
        """End a reply whose reader is gone without a word: killed, or cut off from the broker."""
        token = message.subject.rpartition(".")[2]
        for subject, reply in self._open.items():
            if message.no_responders and subject.endswith(f".{token}"):
                asyncio.get_running_loop().call_soon(reply.task.cancel)

    async def _refuse(self, reply: str | None) -> None:
        if reply is None:
            return
        try:
            await self._transport.publish(reply, REFUSAL)
        except UnavailableError:
            logger.debug("a refusal could not be sent")

    async def _answer(self, opened: OpenedRequest, reply: str) -> None:
        writer, tally = FrameWriter(opened.reply_key, reply), _Tally()
        problem: JsonObject | None = None
        outcome = CANCELLED
        try:
            problem = await self._run(opened, writer, reply, tally)
            outcome = COMPLETED if problem is None else str(problem["code"])
        except asyncio.CancelledError:
            if self._stopping:
                problem = _problem(UnavailableError("The agent is stopping."))
                outcome = str(problem["code"])
                await self._finish(writer, reply, problem)
            raise
        else:
            await self._finish(writer, reply, problem)
        finally:
            await self._give_receipt(opened, reply, tally, outcome)

    async def _run(
        self, opened: OpenedRequest, writer: FrameWriter, reply: str, tally: _Tally
    ) -> JsonObject | None:
        limit = asyncio.timeout(self._limit_seconds)
        try:
            async with limit:
                await self._stream(opened, writer, reply, tally)
        except AdapteryError as error:
            return _problem(error)
        except TimeoutError as error:
            if limit.expired():
                return _problem(
                    DeadlineError(f"The reply took more than {self._limit_seconds:g} s.")
                )
            return _unexpected(error)
        except Exception as error:
            return _unexpected(error)
        return None

    async def _stream(
        self, opened: OpenedRequest, writer: FrameWriter, reply: str, tally: _Tally
    ) -> None:
        if len(self._open) > self._open_limit:
            raise EngineBusyError("The agent has too many replies open.", retry_after_seconds=1)
        handler = self._handlers[opened.grant.verb]
        clock, asked_at = asyncio.get_running_loop().time, 0.0
        async with aclosing(handler(opened.grant, opened.body)) as items:
            async for kind, value in items:
                if kind != "data":
                    tally.take(value)
                if kind != "tally":
                    frame = writer.data(value) if kind == "data" else writer.usage(value)
                    # Now and then, the broker is asked to say if nobody listens any more.
                    due = clock() - asked_at > LISTENER_SECONDS
                    asked_at = clock() if due else asked_at
                    asked = f"{self._left}.{reply.rpartition('.')[2]}" if due else None
                    await self._transport.publish(reply, frame, asked)

    async def _finish(self, writer: FrameWriter, reply: str, problem: JsonObject | None) -> None:
        try:
            if problem is not None:
                await self._transport.publish(reply, writer.error(problem))
            await self._transport.publish(reply, writer.end())
        except UnavailableError:
            logger.info("the end of a reply could not be sent; its caller sees it as cut")

    async def _give_receipt(
        self, opened: OpenedRequest, reply: str, tally: _Tally, outcome: str
    ) -> None:
        if opened.terms is None or self._signer is None:
            return
        receipt = Receipt(grant=opened.grant.nonce, outcome=outcome, **tally.counts)
        try:
            await self._transport.publish(reply, sign_receipt(receipt, self._signer))
        except UnavailableError:
            logger.info("a receipt could not be sent; the reply counts as all that was granted")


def _problem(error: AdapteryError) -> JsonObject:
    return error.to_problem(new_id("rq"))


def _unexpected(error: Exception) -> JsonObject:
    request_id = new_id("rq")
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("request %s failed with %s\n%s", request_id, type(error).__name__, where)
    return InternalError().to_problem(request_id)
