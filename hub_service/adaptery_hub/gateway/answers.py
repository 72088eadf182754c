"""One answer on its way from an agent to a caller.

The first frame is here before an answer exists: until then the gateway may still ask another agent,
and an error is a proper HTTP error. From then on the answer is this agent's, and a failure ends it
visibly.

Invariants:
- An answer is accounted for exactly once, however it ends: whole, cut, or left by the caller. Where
  its agent did not come to say what it cost, what has come counts, and about what the prompt has.
- Leaving early closes the agent's stream, which frees the engine's row.
- A whole answer is only given if the agent's stream had its end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from adaptery.answer_parts import count
from adaptery.answer_shapes import AnswerHead, AnswerShape, Delta, Json, Usage
from adaptery.errors import AdapteryError, TooLargeError
from adaptery.sealed import Frame
from adaptery_hub.gateway.chunk_texts import ChunkTexts

#: Told once at the end: the outcome, the usage, and how long it took in milliseconds.
Account = Callable[[str, Usage, int], Awaitable[None]]

COMPLETED = "completed"
CANCELLED = "cancelled"

#: Of a plain answer with all that belongs to it, which is put together in memory.
WHOLE_LIMIT_BYTES = 32 * 1024 * 1024


class OpenAnswer:
    """An answer whose first frame has come.

    Use one of `chunks`, `whole`, `deltas` and `all_deltas`, once.
    """

    def __init__(
        self,
        head: AnswerHead,
        shape: AnswerShape,
        first: Frame | None,
        rest: AsyncGenerator[Frame, None],
        account: Account,
        *,
        wants_usage: bool,
        prompt_tokens: int = 0,
        started_at: float,
        adapter_id: str | None = None,
    ) -> None:
        self.head = head
        self.adapter_id = adapter_id
        self._shape = shape
        self._first = first
        self._rest = rest
        self._account = account
        self._wants_usage = wants_usage
        self._started_at = started_at  # of time.monotonic
        self.usage = Usage()  # known once the answer has ended
        self._prompt_tokens = prompt_tokens
        self._made = 0  # tokens that have come
        self._told = False
        self._ended = False

    async def chunks(self) -> AsyncGenerator[str, None]:
        """Yields the chunks of a streamed answer as JSON; close it when the caller leaves.

        Raises:
            AdapteryError: The agent ended the answer early.
        """
        texts = ChunkTexts(self.head, self._shape, wants_usage=self._wants_usage)
        async with aclosing(self.deltas()) as deltas:
            async for some in deltas:
                yield texts.text(some)
        if self._wants_usage:
            yield texts.usage(self.usage)

    async def whole(self) -> Json:
        """Returns the plain answer.

        Raises:
            TooLargeError: It is more than is kept in memory.
            AdapteryError: The agent ended the answer early.
        """
        deltas = await self.all_deltas()
        return self._shape.whole(self.head, deltas, self.usage)

    async def all_deltas(self) -> list[Delta]:
        """Returns what the answer is made of.

        Raises:
            TooLargeError: It is more than is kept in memory.
            AdapteryError: The agent ended the answer early.
        """
        deltas: list[Delta] = []
        kept_bytes = 0
        async with aclosing(self.deltas()) as more:
            async for some in more:
                deltas += some
                kept_bytes += sum(delta.size() for delta in some)
                if kept_bytes > WHOLE_LIMIT_BYTES:
                    raise TooLargeError(
                        f"The answer is over the {WHOLE_LIMIT_BYTES} bytes of a plain one.",
                        hint="ask for a stream, or for fewer answers, tokens or logprobs",
                    )
        return deltas

    async def close(self) -> None:
        """Ends an answer, in case that nobody began to read it."""
        if not self._ended:
            await asyncio.shield(self._end(CANCELLED))

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Yields what the answer is made of, as it comes; close it when the caller leaves.

        Raises:
            AdapteryError: The agent ended the answer early.
        """
        outcome = CANCELLED
        try:
            if self._first is not None and (deltas := self._read(self._first)):
                yield deltas
            async for frame in self._rest:  # which `_end` closes
                if deltas := self._read(frame):
                    yield deltas
            outcome = COMPLETED
        except AdapteryError as error:
            outcome = error.code
            raise
        finally:
            # Shielded: a caller that leaves cancels us, and the row must be written all the same.
            await asyncio.shield(self._end(outcome))

    def _read(self, frame: Frame) -> list[Delta]:
        if frame.type == "usage":
            self.usage = Usage.read(frame.value, self._shape.limits)
            self._told = True
            return []
        deltas = self._shape.read(frame.value)
        if deltas:
            self._count(frame, deltas)
        return deltas

    def _count(self, frame: Frame, deltas: list[Delta]) -> None:
        """Notes how many tokens have come: as many as its agent says, or one in each delta."""
        made = self._made + sum(not delta.is_empty for delta in deltas)
        made = max(made, count(frame.value.get("made")))
        self._made = min(made, self._shape.limits.made_tokens)

    async def _end(self, outcome: str) -> None:
        await self._rest.aclose()
        duration_ms = int((time.monotonic() - self._started_at) * 1000)
        usage = self.usage if self._told else Usage(self._prompt_tokens, self._made)
        await self._account(outcome, usage, duration_ms)
        self._ended = True
