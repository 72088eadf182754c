"""Sessions over the broker: an agent asks, the service answers.

For: reports and file chunks under a symmetric session key. Not for what the operations mean
(`adaptery_hub` answers, `agent` asks), and it retries only because every operation is idempotent.

What always holds:
- The agent that a session belongs to is the one in the subject, which the broker enforces and the
  key binds.
- A message is answered once: a repeated nonce or a stamp outside the window is refused.
- The answer to one request opens for no other.
- Agents share nothing here: neither the memory of nonces nor the places for requests in work, so
  that none can hold up another.
- A refusal has no reason for the agent; a failure of an operation is the sealed `{"error":
  problem}`.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, TypeAlias, cast

from adaptery import times
from adaptery.errors import (
    AdapteryError,
    DeadlineError,
    IntegrityError,
    InternalError,
    RefusedError,
    UnavailableError,
    from_problem,
)
from adaptery.ids import new_id
from adaptery.sealed import (
    NONCE_LIMIT,
    REFUSAL,
    WINDOW_SECONDS,
    Freshness,
    JsonObject,
    RefusalReason,
    Session,
    SessionMessage,
    message_nonce,
    peek_session_id,
)
from adaptery.times import Clock
from adaptery_network import subjects
from adaptery_network.transport import Message, Subscription, Transport

__all__ = ["Handle", "Kind", "Resolve", "SessionClient", "SessionServer"]

logger = logging.getLogger(__name__)

AGENT_OPEN_LIMIT: Final = 16  # requests of one agent that are handled at a time; more wait
AGENT_WAITING_LIMIT: Final = 128  # of one agent; more are dropped, and it asks again
ANSWER_SECONDS: Final = 10.0  # one try
RETRY_SECONDS: Final = 60.0  # all tries together
FIRST_BACKOFF_SECONDS: Final = 0.1
LONGEST_BACKOFF_SECONDS: Final = 3.0

Kind: TypeAlias = Literal["report", "bulk"]
#: Given session id and agent id, the session, or None if that agent has no such session.
Resolve: TypeAlias = Callable[[str, str], Session | None]
#: Given agent id, session id, header and blob, the answer's header and blob.
Handle: TypeAlias = Callable[
    [str, str, JsonObject, bytes], Awaitable[tuple[Mapping[str, object], bytes]]
]


class _Agent:
    """What the service keeps about one agent that asks; the broker checked that it is this one."""

    def __init__(self) -> None:
        self.freshness = Freshness(WINDOW_SECONDS, started_at=None, limit=NONCE_LIMIT)
        self.turns = asyncio.Semaphore(AGENT_OPEN_LIMIT)
        self.waiting = 0


class SessionServer:
    """Answers all agents of one owner.

    Args:
        transport: the service's connection.
        owner: whose agents.
        resolve: finds a session; it must not wait.
        handle: does an operation; an `AdapteryError` that it raises goes back to the agent.
        clock: judges stamps.
    """

    def __init__(
        self,
        transport: Transport,
        owner: str,
        resolve: Resolve,
        handle: Handle,
        *,
        clock: Clock = times.now,
    ) -> None:
        self._transport = transport
        self._owner = owner
        self._resolve = resolve
        self._handle = handle
        self._clock = clock
        self._agents: dict[str, _Agent] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: list[Subscription] = []
        #: how often each reason led to a refusal
        self.refusals: Counter[str] = Counter()

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            UnavailableError: if there is no connection.
        """
        for subject in (subjects.reports(self._owner), subjects.bulks(self._owner)):
            self._subscriptions.append(await self._transport.subscribe(subject, self._receive))

    async def stop(self) -> None:
        """Answer no more; requests in work are dropped, and their agents ask again."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        self._subscriptions.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _receive(self, message: Message) -> None:
        if message.reply is None:
            self.refusals[RefusalReason.ADDRESS] += 1
            return
        try:
            name = subjects.agent_of(message.subject)
        except ValueError:
            self.refusals[RefusalReason.ADDRESS] += 1
            return
        agent = self._agents.setdefault(name, _Agent())
        if agent.waiting >= AGENT_WAITING_LIMIT:
            self.refusals[RefusalReason.OVERLOAD] += 1
            return
        agent.waiting += 1
        task = asyncio.create_task(self._take_turn(name, agent, message, message.reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_turn(self, name: str, agent: _Agent, message: Message, reply: str) -> None:
        try:
            async with agent.turns:
                await self._answer(name, agent.freshness, message, reply)
        finally:
            agent.waiting -= 1

    async def _answer(self, agent: str, freshness: Freshness, message: Message, reply: str) -> None:
        try:
            payload = await self._payload(agent, freshness, message)
        except RefusedError as error:
            self.refusals[error.reason] += 1
            logger.warning("refused a session message on %s: %s", message.subject, error.reason)
            payload = REFUSAL
        try:
            await self._transport.publish(reply, payload)
        except AdapteryError as error:
            logger.warning("a session answer could not be sent: %s", error.code)

    async def _payload(self, agent: str, freshness: Freshness, message: Message) -> bytes:
        session = self._session_of(agent, message)
        try:
            request = session.open("up", message.subject, message.payload)
        except IntegrityError:
            raise RefusedError(reason=RefusalReason.SEAL) from None
        # The session id goes in too: nonces are random per session, not over all of them.
        seen = session.session_id.encode() + request.nonce
        freshness.admit(seen, request.sent_at, self._clock())
        header, blob = await self._outcome(agent, session, request)
        return session.seal(
            "down", message.subject, header, blob, sent_at=self._clock(), answers=request.nonce
        )

    def _session_of(self, agent: str, message: Message) -> Session:
        try:
            session = self._resolve(peek_session_id(message.payload), agent)
        except IntegrityError:
            raise RefusedError(reason=RefusalReason.MALFORMED) from None
        if session is None:
            raise RefusedError(reason=RefusalReason.SEAL)
        return session

    async def _outcome(
        self, agent: str, session: Session, request: SessionMessage
    ) -> tuple[Mapping[str, object], bytes]:
        try:
            return await self._handle(agent, session.session_id, request.header, request.blob)
        except AdapteryError as error:
            return {"error": error.to_problem(new_id("rq"))}, b""
        except Exception as error:
            request_id = new_id("rq")
            where = "".join(traceback.format_tb(error.__traceback__))
            # Without its text: it may quote what the agent sent.
            logger.error("request %s failed with %s\n%s", request_id, type(error).__name__, where)
            return {"error": InternalError().to_problem(request_id)}, b""


class SessionClient:
    """Asks the service within one session, and asks again while it is away.

    Args:
        transport: the agent's connection.
        owner: the owner of the agent.
        agent: the agent.
        session: the session, from the sealed order.
        clock: stamps the requests.
        answer_seconds: how long one try waits.
        retry_seconds: how long to go on trying.
    """

    def __init__(
        self,
        transport: Transport,
        owner: str,
        agent: str,
        session: Session,
        *,
        clock: Clock = times.now,
        answer_seconds: float = ANSWER_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._transport = transport
        self._session = session
        self._subjects: dict[Kind, str] = {
            "report": subjects.report(owner, agent),
            "bulk": subjects.bulk(owner, agent),
        }
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._retry_seconds = retry_seconds

    async def request(
        self, kind: Kind, header: Mapping[str, object], blob: bytes = b""
    ) -> tuple[JsonObject, bytes]:
        """Ask for one operation.

        Args:
            kind: `report` or `bulk`, which decides the subject.
            header: the operation.
            blob: raw bytes that go with it.

        Returns:
            The answer's header and blob.

        Raises:
            UnavailableError: if the service stayed away for `retry_seconds`.
            DeadlineError: if it did not answer for as long.
            RefusedError: if it does not know this session (any more).
            IntegrityError: if the answer was tampered with.
            AdapteryError: the error that the operation ended with, such as `LeaseLostError`.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._retry_seconds
        backoff_seconds = FIRST_BACKOFF_SECONDS
        while True:
            try:
                return await self._once(self._subjects[kind], header, blob)
            except (UnavailableError, DeadlineError):
                if loop.time() + backoff_seconds > give_up_at:
                    raise
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(2 * backoff_seconds, LONGEST_BACKOFF_SECONDS)

    async def _once(
        self, subject: str, header: Mapping[str, object], blob: bytes
    ) -> tuple[JsonObject, bytes]:
        # Sealed anew for each try: a repeated nonce would be refused as a replay.
        payload = self._session.seal("up", subject, header, blob, sent_at=self._clock())
        answer = await self._transport.request(subject, payload, self._answer_seconds)
        if answer.payload == REFUSAL:
            raise RefusedError(reason="by_receiver")
        opened = self._session.open("down", subject, answer.payload, answers=message_nonce(payload))
        problem = opened.header.get("error")
        if isinstance(problem, dict):
            raise from_problem(cast("dict[str, object]", problem))
        return opened.header, opened.blob
