"""Core NATS as the transport.

For: what `transport` promises, over one connection of the library `nats-py`. Reconnecting is ours:
the library gives up on some errors. For what a token passes, messages go to their ear at once,
without the library's queues and tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import nats.aio.client
import nats.aio.msg
import nats.aio.subscription
import nats.errors

from adaptery.errors import DeadlineError, NotAllowedError, TooLargeError, UnavailableError
from adaptery_network.transport import (
    Credentials,
    Ear,
    Handler,
    Message,
    State,
    Subscription,
)

__all__ = ["NatsTransport"]

logger = logging.getLogger(__name__)

DIAL_SECONDS: Final = 5.0  # one attempt to connect
FIRST_BACKOFF_SECONDS: Final = 0.1
LONGEST_BACKOFF_SECONDS: Final = 5.0
PING_SECONDS: Final = 10  # a silent peer is noticed after about three of these
SILENT_PINGS: Final = 2
FLUSH_SECONDS: Final = 5.0
NO_RESPONDERS_STATUS: Final = "503"  # Source: NATS ADR-4 (headers), "No Responders"


class _NatsSubscription:
    def __init__(
        self,
        transport: NatsTransport,
        subject: str,
        on_lost: Callable[[], None] | None,
        *,
        handler: Handler | None = None,
        ear: Ear | None = None,
    ) -> None:
        self._transport = transport
        self._handler = handler
        self._ear = ear
        self.subject = subject
        self.on_lost = on_lost
        self.inner: nats.aio.subscription.Subscription | None = None

    async def restore(self, client: nats.aio.client.Client) -> None:
        if self._ear is None:
            self.inner = await client.subscribe(self.subject, cb=self._receive)
        else:
            future = cast("asyncio.Future[nats.aio.msg.Msg]", _Ear(self._ear))
            self.inner = await client.subscribe(self.subject, future=future)

    async def unsubscribe(self) -> None:
        await self._transport.drop(self)

    async def _receive(self, message: nats.aio.msg.Msg) -> None:
        assert self._handler is not None
        await self._handler(_read(message))


class _Ear:
    """What the library takes for the future of one answer: it hands it each message directly."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    def cancelled(self) -> bool:
        return False

    def set_result(self, message: nats.aio.msg.Msg) -> None:
        try:
            self._ear(_read(message))
        except Exception as error:  # a fault of ours; it must not end the reading of the connection
            logger.error("an ear failed with %s", type(error).__name__)


def _read(message: nats.aio.msg.Msg) -> Message:
    status = message.headers.get("Status") if message.headers else None
    return Message(
        message.subject,
        message.data,
        message.reply or None,
        no_responders=status == NO_RESPONDERS_STATUS and not message.data,
    )


class NatsTransport:
    """`Transport` over core NATS."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        inbox_prefix: str,
        tls_ca: Path | None = None,
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        self._url = url
        self._credentials = credentials
        self._inbox_prefix = inbox_prefix
        self._tls = ssl.create_default_context(cafile=tls_ca) if tls_ca else None
        self._on_state = on_state
        self._client: nats.aio.client.Client | None = None
        self._subscriptions: set[_NatsSubscription] = set()
        self._answers: dict[str, asyncio.Future[Message]] = {}
        self._answers_subscription: Subscription | None = None
        self._answers_prefix = self.new_inbox()
        self._answers_lock = asyncio.Lock()
        self._redial: asyncio.Task[None] | None = None
        self._closed = False
        self._state: State = "disconnected"

    @classmethod
    async def connect(
        cls,
        url: str,
        credentials: Credentials,
        *,
        inbox_prefix: str,
        tls_ca: Path | None = None,
        on_state: Callable[[State], None] | None = None,
        timeout_seconds: float = DIAL_SECONDS,
    ) -> NatsTransport:
        """Connect, trying again until the timeout; afterwards the connection is kept up for ever.

        Args:
            url: `nats://`, `tls://` or `wss://` address of the broker.
            credentials: the user's JWT and seed.
            inbox_prefix: where this user receives replies; its JWT must allow it.
            tls_ca: a CA file to trust instead of the system's.
            on_state: told of each change: connected, disconnected, refused (the broker does not
                accept the credentials; it keeps trying), closed.
            timeout_seconds: how long to wait for the first connection.

        Raises:
            NotAllowedError: if the broker does not accept the credentials.
            UnavailableError: if no broker answers in time.
        """
        transport = cls(
            url, credentials, inbox_prefix=inbox_prefix, tls_ca=tls_ca, on_state=on_state
        )
        try:
            async with asyncio.timeout(timeout_seconds):
                await transport._dial_until_up(give_up_when_refused=True)
        except TimeoutError:
            raise UnavailableError(f"No broker answers at {url}.") from None
        return transport

    @property
    def connected(self) -> bool:
        """Whether there is a connection right now."""
        return self._client is not None and self._client.is_connected

    async def publish(self, subject: str, payload: bytes, reply: str | None = None) -> None:
        """Send a message; see `Transport.publish`."""
        try:
            await self._live().publish(subject, payload, reply=reply or "")
        except nats.errors.MaxPayloadError:
            raise TooLargeError(
                f"A message of {len(payload)} bytes exceeds the broker's limit."
            ) from None
        except (nats.errors.Error, OSError) as error:
            raise UnavailableError("The broker cannot be reached at the moment.") from error

    async def subscribe(
        self, subject: str, handler: Handler, *, on_lost: Callable[[], None] | None = None
    ) -> Subscription:
        """Receive messages; see `Transport.subscribe`."""
        return await self._add(_NatsSubscription(self, subject, on_lost, handler=handler))

    async def hear(
        self, subject: str, ear: Ear, *, on_lost: Callable[[], None] | None = None
    ) -> Subscription:
        """Receive messages as they come off the wire; see `Transport.hear`."""
        return await self._add(_NatsSubscription(self, subject, on_lost, ear=ear))

    async def _add(self, subscription: _NatsSubscription) -> Subscription:
        client = self._live()
        self._subscriptions.add(subscription)
        try:
            await subscription.restore(client)
        except (nats.errors.Error, OSError) as error:
            self._subscriptions.discard(subscription)
            raise UnavailableError("The broker cannot be reached at the moment.") from error
        return subscription

    async def drop(self, subscription: _NatsSubscription) -> None:
        """Forget a subscription; `Subscription.unsubscribe` calls this."""
        self._subscriptions.discard(subscription)
        inner, subscription.inner = subscription.inner, None
        if inner is not None and self.connected:
            try:
                await inner.unsubscribe()
            except (nats.errors.Error, OSError):
                logger.debug("unsubscribed while the connection was lost")

    async def request(self, subject: str, payload: bytes, timeout_seconds: float) -> Message:
        """Send a message and wait for one answer; see `Transport.request`."""
        await self._listen_for_answers()
        inbox = f"{self._answers_prefix}.{secrets.token_hex(8)}"
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[inbox] = answer
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.publish(subject, payload, inbox)
                message = await answer
        except TimeoutError:
            raise DeadlineError(f"No answer within {timeout_seconds:g} s.") from None
        finally:
            del self._answers[inbox]
        if message.no_responders:
            raise UnavailableError("Nobody listens there at the moment.")
        return message

    def new_inbox(self) -> str:
        """Return a fresh reply subject that only this user may subscribe to."""
        return f"{self._inbox_prefix}.{secrets.token_hex(12)}"

    async def flush(self) -> None:
        """Wait until the broker has processed everything sent so far; see `Transport.flush`."""
        client = self._live()
        try:
            # Twice: the library writes its ping past what still waits in its own buffer, so the
            # first answer says only that the buffer has been written since.
            await client.flush(timeout=int(FLUSH_SECONDS))
            await client.flush(timeout=int(FLUSH_SECONDS))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise UnavailableError("The broker cannot be reached at the moment.") from error

    async def close(self) -> None:
        """End the connection for good."""
        self._closed = True
        for subscription in list(self._subscriptions):
            await self.drop(subscription)
        if self._redial is not None:
            self._redial.cancel()
            await asyncio.gather(self._redial, return_exceptions=True)
        if self._client is not None:
            # What was sent last arrives, and whoever asks us next is told that nobody listens.
            with contextlib.suppress(UnavailableError):
                await self.flush()
            await self._client.close()
            self._client = None
        self._lose_answers()
        self._tell("closed")

    def _live(self) -> nats.aio.client.Client:
        client = self._client
        if client is not None and client.is_closed:
            self._lost()  # in case the library closed without telling
        if client is None or not client.is_connected:
            raise UnavailableError("The broker cannot be reached at the moment.")
        return client

    async def _listen_for_answers(self) -> None:
        # One subscription for all answers: a subject each would double the messages of a request.
        async with self._answers_lock:
            if self._answers_subscription is None:
                self._answers_subscription = await self.subscribe(
                    f"{self._answers_prefix}.*", self._answered, on_lost=self._lose_answers
                )

    async def _answered(self, message: Message) -> None:
        answer = self._answers.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _lose_answers(self) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(UnavailableError("The connection to the broker was lost."))

    async def _dial_until_up(self, *, give_up_when_refused: bool = False) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._closed:
            try:
                await self._dial()
                return
            except NotAllowedError:
                self._tell("refused")
                if give_up_when_refused:
                    raise
                backoff = LONGEST_BACKOFF_SECONDS
            except UnavailableError:
                pass  # the state was told when the connection was lost
            # Spread, so that many agents do not come back in the same instant.
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
            backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)

    async def _dial(self) -> None:
        client = nats.aio.client.Client()
        try:
            await self._open(client)
            for subscription in list(self._subscriptions):
                if subscription in self._subscriptions:  # not dropped while we waited
                    await subscription.restore(client)
            if not client.is_connected:
                raise nats.errors.ConnectionClosedError
        except BaseException as error:
            await client.close()
            if isinstance(error, nats.errors.Error | OSError | TimeoutError):
                raise _explain(error) from error
            raise
        self._client = client
        self._tell("connected")

    async def _open(self, client: nats.aio.client.Client) -> None:
        async def closed() -> None:
            if self._client is client:
                self._lost()

        await client.connect(
            self._url,
            allow_reconnect=False,  # reconnecting is ours: the library gives up on some errors
            max_reconnect_attempts=1,  # it would also try 60 times, 2 s apart, to connect at all
            reconnect_time_wait=0,
            connect_timeout=int(DIAL_SECONDS),
            ping_interval=PING_SECONDS,
            max_outstanding_pings=SILENT_PINGS,
            user_jwt_cb=lambda: bytearray(self._credentials.jwt.encode()),
            signature_cb=self._credentials.sign,
            inbox_prefix=self._inbox_prefix,
            tls=self._tls,
            error_cb=_log_error,
            closed_cb=closed,
        )

    def _lost(self) -> None:
        if self._closed:
            return
        self._client = None
        self._tell("disconnected")
        for subscription in list(self._subscriptions):
            subscription.inner = None
            if subscription.on_lost is not None:
                subscription.on_lost()
        self._redial = asyncio.get_running_loop().create_task(self._dial_until_up())

    def _tell(self, state: State) -> None:
        if state == self._state:
            return
        self._state = state
        logger.info("broker connection %s", state)
        if self._on_state is not None:
            self._on_state(state)


def _explain(error: BaseException) -> UnavailableError | NotAllowedError:
    text = str(error).lower()
    if "authorization" in text or "authentication" in text:
        return NotAllowedError("The broker does not accept these credentials.")
    return UnavailableError("The broker cannot be reached at the moment.")


async def _log_error(error: Exception) -> None:
    # A lost connection is told by its state. What is left is a fault of ours: a subject that this
    # user may not use, a handler that raised. The text of other exceptions could name content.
    if isinstance(error, nats.errors.Error):
        level = logging.WARNING if "permissions" in str(error) else logging.DEBUG
        logger.log(level, "broker connection: %s", error)
    elif isinstance(error, OSError):
        logger.debug("broker connection: %s", type(error).__name__)
    else:
        logger.error("a message handler failed with %s", type(error).__name__)
