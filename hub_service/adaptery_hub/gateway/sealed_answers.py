"""One answer of the sealed channel on its way from an agent to a caller, unread.

Invariants:
- It is accounted for exactly once, however it ends, by what its agent has signed. Without that, all
  that was granted counts, unless it never began.
- Its turn is given back once: the place at the agent after that was told to end, and what it holds
  of limits after what it cost was written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from adaptery.answer_parts import TEMPLATE_TOKENS
from adaptery.errors import AdapteryError, IntegrityError, InvalidInputError, NoAgentError
from adaptery.sealed import Grant, Receipt
from adaptery_hub.gateway.answers import CANCELLED
from adaptery_hub.gateway.kept_turns import Turn
from adaptery_hub.gateway.rebuild import TOKEN_CHARACTERS
from adaptery_hub.gateway.resolution import Target
from adaptery_hub.identity import Identity
from adaptery_hub.usage import UsageEntry, UsageLog

#: How a reply ended whose agent did not sign what it cost.
UNCOUNTED = "uncounted"
REFUSED = "refused"
#: Of an envelope, about what is around the prompt: the grant above all.
ENVELOPE_BYTES = 2048


class Wire(Protocol):
    """One sealed reply on its way; see `adaptery_network.relay.Relay`."""

    refused: bool

    async def open(self, payload: bytes) -> None:
        """Send the request on."""
        ...

    def messages(self) -> AsyncGenerator[bytes, None]:
        """Yield what the agent sends."""
        ...

    async def close(self) -> Receipt | None:
        """End the reply; return what it cost, if its agent says so."""
        ...


@dataclass(frozen=True)
class Accepted:
    """A request whose grant is good, and that its caller may still make."""

    grant: Grant
    target: Target
    path: str
    payload: bytes

    @property
    def adapter_id(self) -> str | None:
        """The adapter that answers, if one does."""
        return self.target.adapter.id if self.target.adapter else None

    @property
    def base_weight_digest(self) -> str:
        """Of the base model that answers."""
        return self.target.base_weight_digest or ""

    @property
    def granted_tokens(self) -> int:
        """The most tokens of all answers."""
        return self.max_tokens * self.answers

    @property
    def max_tokens(self) -> int:
        """The most tokens of one answer."""
        return int(self.grant.limits["max_tokens"])

    @property
    def answers(self) -> int:
        """How many answers the request may make."""
        return int(self.grant.limits["answers"])


class SealedAnswer:
    """An answer that passes through here unread."""

    def __init__(
        self,
        wire: Wire,
        accepted: Accepted,
        turn: Turn,
        usage: UsageLog,
        identity: Identity,
        request_id: str,
    ) -> None:
        self._wire = wire
        self._accepted = accepted
        self._turn = turn
        self._usage = usage
        self._identity = identity
        self._request_id = request_id
        self._started_at = time.monotonic()
        self._failure: AdapteryError | None = None
        self._begun = False
        self._closed = False

    async def open(self) -> None:
        """Sends the request on."""
        try:
            await self._wire.open(self._accepted.payload)
        except IntegrityError as error:
            self._closed = True
            await asyncio.shield(self._turn.end())
            raise InvalidInputError(error.message) from None
        except BaseException:
            await asyncio.shield(self.close())
            raise

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Yields what the agent sends.

        Raises:
            AdapteryError: It cannot be reached, fell silent, or sends too much.
        """
        try:
            async with aclosing(self._wire.messages()) as messages:
                async for message in messages:
                    self._begun = True
                    yield message
        except AdapteryError as error:
            self._failure = error
            raise

    async def close(self) -> None:
        """Ends the answer, if it still runs, and accounts for it once."""
        if self._closed:
            return
        self._closed = True
        try:
            receipt = await self._wire.close()
            self._turn.place.release()
            await self._account(receipt)
        finally:
            await self._turn.end()  # only now: what is written counts before what is held does not

    async def _account(self, receipt: Receipt | None) -> None:
        outcome, prompt_tokens, completion_tokens = self._cost(receipt)
        target, adapter = self._accepted.target, self._accepted.target.adapter
        await self._usage.add(
            UsageEntry(
                tenant_id=self._identity.tenant_id,
                key_id=self._identity.key.id if self._identity.key else None,
                request_id=self._request_id,
                model=target.model,
                base_model=target.base_model,
                adapter_id=adapter.id if adapter else None,
                digests=target.digests,
                agent_id=self._accepted.grant.agent,
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                duration_ms=int((time.monotonic() - self._started_at) * 1000),
                outcome=outcome,
                channel="sealed",
                kind=self._accepted.path.partition("/")[0],
                job_id=adapter.job_id if adapter else None,
            )
        )

    def _cost(self, receipt: Receipt | None) -> tuple[str, int, int]:
        """Returns the outcome, the tokens of the prompt, and those of the answer."""
        granted = self._accepted.granted_tokens
        if receipt is not None:
            made = min(receipt.completion_tokens, granted)
            return receipt.outcome, self._prompt_tokens(receipt), made
        if self._wire.refused:
            return REFUSED, 0, 0
        if isinstance(self._failure, NoAgentError) and not self._begun:
            return self._failure.code, 0, 0  # nobody took it
        return UNCOUNTED, 0, granted

    def _prompt_tokens(self, receipt: Receipt) -> int:
        """Returns what the prompt cost: up to what the request can hold; about that, if unsaid."""
        size_bytes = len(self._accepted.payload)
        if not receipt.prompt_tokens and receipt.outcome == CANCELLED:
            return max(0, size_bytes - ENVELOPE_BYTES) // TOKEN_CHARACTERS
        return min(receipt.prompt_tokens, TEMPLATE_TOKENS + size_bytes)
