"""The service's side of sealed requests: asks one agent, and reads what it streams back.

For: calls and streams to an agent whose card the caller holds. Not for choosing the agent, nor for
deciding whether the caller may (the grant says so, and the agent checks it).

What always holds:
- Each call has its own reply key and inbox, and its own signing key unless it goes by a channel.
- A request by a channel that its agent does not know is made once more, sealed in full. It is let
  in once, whoever says that it was refused.
- A reply that was cut, reordered or altered raises `IntegrityError`; it never looks complete.
- A stream that is closed early tells the agent, so that nothing goes on for a reader who has left.
- When nobody listens, `NoAgentError` comes at once.
- An agent that sends without end, or much faster than its answer is read, is cut off: what waits
  here is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, closing

from adaptery import times
from adaptery.errors import (
    DeadlineError,
    IntegrityError,
    NoAgentError,
    RefusedError,
    UnavailableError,
    from_problem,
)
from adaptery.sealed import REFUSAL, AgentCard, Frame, FrameReader, JsonObject, ReplyKey
from adaptery.signing import SigningKey
from adaptery.times import Clock
from adaptery_network import subjects
from adaptery_network.arrivals import Arrivals
from adaptery_network.channels import Channel
from adaptery_network.inboxes import Inboxes
from adaptery_network.transport import Transport

__all__ = ["Caller"]

logger = logging.getLogger(__name__)


class Caller:
    """Makes sealed requests.

    Args:
        transport: the service's connection.
        caller_key_factory: makes the key of one call that comes without.
        clock: stamps the requests.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        caller_key_factory: Callable[[], SigningKey] = SigningKey.generate,
        clock: Clock = times.now,
    ) -> None:
        self._transport = transport
        self._inboxes = Inboxes(transport)
        self._caller_key_factory = caller_key_factory
        self._clock = clock

    async def call(
        self,
        card: AgentCard,
        verb: str,
        grant_for: Callable[[str], str],
        body: Mapping[str, object],
        timeout_seconds: float,
    ) -> JsonObject:
        """Ask an agent for one answer.

        Args:
            card: the opened card of the agent.
            verb: what is asked.
            grant_for: makes the signed grant for the public key that it is given.
            body: the request.
            timeout_seconds: until the whole answer is here.

        Raises:
            DeadlineError: if the answer did not come in time.
            NoAgentError: if the agent is not connected.
            UnavailableError: if the broker is not.
            IntegrityError: if the answer was tampered with or is not exactly one object.
            RefusedError: if the agent refused the request.
            AdapteryError: whatever error the agent answered.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._one(card, verb, grant_for, body, timeout_seconds)
        except TimeoutError:
            raise DeadlineError(f"The agent did not answer within {timeout_seconds:g} s.") from None

    async def stream(
        self,
        card: AgentCard,
        verb: str,
        grant_for: Callable[[str], str],
        body: Mapping[str, object],
        timeout_seconds: float,
        *,
        channel: Channel | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """Ask an agent and yield the data and usage frames as they come.

        Close it (`contextlib.aclosing`) when the reader leaves early; the agent is then told to
        stop.

        Args:
            card: the opened card of the agent.
            verb: what is asked.
            grant_for: makes the signed grant for the public key that it is given.
            body: the request.
            timeout_seconds: the longest wait for each next frame.
            channel: to this agent for this verb, if it is asked more often; its caller key is what
                the grant names.

        Raises:
            DeadlineError: if the next frame did not come in time.
            NoAgentError: if the agent is not connected.
            UnavailableError: if the broker is not, or the connection to it was lost.
            IntegrityError: if frames are missing, out of order or altered, or there is no end of
                them.
            RefusedError: if the agent refused the request.
            AdapteryError: whatever error the agent answered.
        """
        subject = subjects.for_verb(verb, card.owner, card.agent)
        with (
            closing(Arrivals()) as arrivals,
            closing(await self._inboxes.open(arrivals.take, arrivals.lose)) as inbox,
        ):
            reply = inbox.subject
            channel = channel or Channel(card, verb, self._caller_key_factory(), lasting=False)
            grant = grant_for(channel.caller_key.public_text)
            sealed = channel.seal(subject, reply, grant, body, self._clock())
            running = False
            try:
                await self._transport.publish(subject, sealed.payload, reply)
                running = True
                reader: FrameReader | None = None
                while reader is None or not reader.finished:
                    message = await arrivals.next(timeout_seconds)
                    assert message is not None, "only a relay finishes its arrivals"
                    if reader is None and message.payload == REFUSAL and sealed.once_more:
                        sealed = sealed.once_more()
                        await self._transport.publish(subject, sealed.payload, reply)
                        continue
                    reader = reader or FrameReader(sealed.reply_key, reply)
                    frame = reader.feed(message.payload)
                    if frame is not None and frame.type == "error":
                        running = False
                        raise from_problem(frame.value)
                    if frame is not None and frame.type != "end":
                        yield frame
                running = False
            except (NoAgentError, RefusedError):
                running = False  # it never began
                raise
            finally:
                if running:
                    await self._cancel(subject, reply, sealed.reply_key)

    async def _one(
        self,
        card: AgentCard,
        verb: str,
        grant_for: Callable[[str], str],
        body: Mapping[str, object],
        timeout_seconds: float,
    ) -> JsonObject:
        answer: JsonObject | None = None
        async with aclosing(self.stream(card, verb, grant_for, body, timeout_seconds)) as frames:
            async for frame in frames:
                if frame.type == "data" and answer is not None:
                    raise IntegrityError("The agent sent more than one answer.")
                if frame.type == "data":
                    answer = frame.value
        if answer is None:
            raise IntegrityError("The agent ended its reply without an answer.")
        return answer

    async def _cancel(self, subject: str, reply: str, reply_key: ReplyKey) -> None:
        try:
            await self._transport.publish(subject, reply_key.seal_cancel(reply), reply)
        except UnavailableError:
            logger.info("a cancel could not be sent; the agent's own limit ends the reply")
