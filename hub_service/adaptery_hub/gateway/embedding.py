"""Embeddings: from a list of texts to one vector for each, from the agents that have the model.

resolve -> limits -> share of the tenant -> split into sealed messages -> route -> seal to an agent
-> check -> account and audit.

Invariants:
- There are as many vectors as texts, in their order and of the model's length, all of them finite,
  or there is an error: an answer is never short.
- A part of a request that one agent fails at is asked of another, whole: vectors come out the same.
- No text and no vector is in any log line, error, metric or row that is written here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import math
import sys
import time
from array import array
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from adaptery.errors import (
    AdapteryError,
    FieldProblem,
    IntegrityError,
    InvalidInputError,
    NoAgentError,
    QuotaError,
    TooLargeError,
    UnavailableError,
)
from adaptery.schemas.embeddings import EmbeddingRequest
from adaptery.sealed import Frame
from adaptery_hub import logs
from adaptery_hub.embedding_models import RETRY_AFTER_SECONDS, EmbeddingModels, EmbeddingTarget
from adaptery_hub.fleet.live import AgentView
from adaptery_hub.gateway.answers import CANCELLED, COMPLETED
from adaptery_hub.gateway.routing import choose_embedder
from adaptery_hub.gateway.tenant_shares import TenantShares
from adaptery_hub.identity import Identity
from adaptery_hub.limits import Held, Limits, Tell, Wish
from adaptery_hub.usage import UsageEntry, UsageLog

logger = logging.getLogger(__name__)

#: Texts and bytes of texts in one sealed message. The broker carries a megabyte, and a request
#: that takes turns with others must not take long ones.
PART_TEXTS = 512
PART_BYTES = 768 * 1024
NUMBER_BYTES = 4  # float32
#: Requests of one tenant that are with agents at a time: one is computed, the next one is there.
REQUESTS_PER_TENANT = 2
#: The request itself is at fault: no other agent would answer differently.
_FINAL_ERRORS = (InvalidInputError, TooLargeError, QuotaError)
#: More than any text has; what an agent says beyond is not believed.
_COUNT_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class EmbedOrder:
    """What one agent is asked, before it is sealed."""

    target: EmbeddingTarget
    texts: Sequence[str] = field(repr=False)
    caller: str  # tenant id


class EmbeddingFleet(Protocol):
    """The port to the agents."""

    def views(self) -> Iterable[AgentView]:
        """Returns every agent as it was last heard."""
        ...

    def embed(self, agent_id: str, order: EmbedOrder) -> AsyncGenerator[Frame, None]:
        """Asks one agent and yields its frames; closing it tells the agent to stop.

        Raises:
            AdapteryError: The agent cannot be reached, refuses, or ends the answer with an error.
        """
        ...


@dataclass
class Vectors:
    """The answer to a request, or to a part of one."""

    model: str
    #: One for each text: little-endian float32.
    packed: list[bytes] = field(default_factory=list[bytes], repr=False)
    prompt_tokens: int = 0
    #: How many texts are longer than what the model reads.
    truncated: int = 0

    def add(self, part: Vectors) -> None:
        """Takes in the next part."""
        self.packed += part.packed
        self.prompt_tokens += part.prompt_tokens
        self.truncated += part.truncated


class EmbeddingGateway:
    """Answers embedding requests."""

    def __init__(
        self,
        models: EmbeddingModels,
        chat_models: Collection[str],
        fleet: EmbeddingFleet,
        usage: UsageLog,
        limits: Limits | None = None,
    ) -> None:
        """Makes a gateway.

        Args:
            models: the registered embedding models.
            chat_models: names of base models.
            fleet: the agents.
            usage: where answers are accounted for.
            limits: of users; without, there are none.
        """
        self.models = models
        self._chat_models = chat_models
        self._fleet = fleet
        self._usage = usage
        self._limits = limits
        self._shares = TenantShares(REQUESTS_PER_TENANT)

    async def embed(
        self,
        identity: Identity,
        request: EmbeddingRequest,
        request_id: str,
        tell: Tell = lambda headers: None,
    ) -> Vectors:
        """Returns one vector for each text.

        Args:
            identity: The caller.
            request: What is asked.
            request_id: Of the request.
            tell: Takes headers about limits.

        Raises:
            QuotaError: The caller has reached a limit.
            InvalidInputError: The model is none that makes vectors, or not of that length.
            NotFoundError: There is no such embedding model.
            NoAgentError: No agent that has it is connected, or none of them could answer.
            AdapteryError: An agent says that the request is at fault.
        """
        target = self.models.resolve(request.model, self._chat_models)
        _check_dimensions(request.dimensions, target)
        most = most_tokens(request.input, target.max_tokens)
        limits, wish = self._limits, Wish(request_id, identity.tenant_id, most)
        held = await limits.enter(wish, tell) if limits is not None else None
        account = _Account(self._usage, target, identity, request_id)
        outcome = CANCELLED
        try:
            async with self._shares.share(identity.tenant_id):
                for texts in split(request.input):
                    order = EmbedOrder(target, texts, identity.tenant_id)
                    account.answer.add(await self._part(order, account))
            outcome = COMPLETED
        except AdapteryError as error:
            outcome = error.code
            raise
        finally:
            # Shielded: a caller that leaves cancels us, and the row must be written all the same.
            await asyncio.shield(self._close(account, outcome, held))
        return account.answer

    async def _close(self, account: _Account, outcome: str, held: Held | None) -> None:
        await account.close(outcome)
        if held is not None and self._limits is not None:
            # Only now: what is written counts before what is held does not.
            await self._limits.leave(held, account.request_id)

    async def _part(self, order: EmbedOrder, account: _Account) -> Vectors:
        """Asks one agent after the other until one has answered."""
        tried: set[str] = set()
        last: AdapteryError | None = None
        digest = order.target.weight_digest
        while (view := choose_embedder(self._fleet.views(), digest, tried)) is not None:
            account.agent_id = view.agent_id
            tried.add(view.agent_id)
            try:
                return await self._ask(view.agent_id, order)
            except _FINAL_ERRORS:
                raise
            except AdapteryError as error:
                last = error
                logs.log(
                    logger,
                    logging.WARNING,
                    "agent_did_not_embed",
                    agent=view.agent_id,
                    code=error.code,
                )
        raise _no_answer(last)

    async def _ask(self, agent_id: str, order: EmbedOrder) -> Vectors:
        part = Vectors(order.target.model)
        async with aclosing(self._fleet.embed(agent_id, order)) as frames:
            async for frame in frames:
                if frame.type == "usage":
                    part.prompt_tokens = _count(frame.value.get("prompt_tokens"))
                    part.truncated = _count(frame.value.get("truncated"))
                elif frame.type == "data":
                    part.packed += read_vectors(frame.value, part.packed, order)
        if len(part.packed) != len(order.texts):
            raise _not_whole()
        return part


class _Account:
    """What a request has cost, written down at its end."""

    def __init__(
        self, usage: UsageLog, target: EmbeddingTarget, identity: Identity, request_id: str
    ) -> None:
        self.agent_id: str | None = None
        self.answer = Vectors(target.model)
        self._usage = usage
        self._target = target
        self._identity = identity
        self.request_id = request_id
        self._started_at = time.monotonic()

    async def close(self, outcome: str) -> None:
        """Writes usage and audit, unless no agent was asked."""
        if self.agent_id is None:
            return
        await self._usage.add(
            UsageEntry(
                tenant_id=self._identity.tenant_id,
                key_id=self._identity.key.id if self._identity.key else None,
                request_id=self.request_id,
                model=self._target.model,
                base_model=self._target.model,
                adapter_id=None,
                digests=(self._target.weight_digest,),
                agent_id=self.agent_id,
                prompt_tokens=self.answer.prompt_tokens,
                completion_tokens=0,
                duration_ms=int((time.monotonic() - self._started_at) * 1000),
                outcome=outcome,
                kind="embeddings",
            )
        )


def most_tokens(texts: Sequence[str], max_tokens: int) -> int:
    """Returns the most tokens that can be read of the texts: one a character, and two around."""
    return sum(min(len(text) + 2, max_tokens) for text in texts)


def split(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields the texts in parts that fit into one sealed message, in their order."""
    start = size_bytes = 0
    for place, text in enumerate(texts):
        more_bytes = len(json.dumps(text, ensure_ascii=False).encode()) + 1
        full = place - start >= PART_TEXTS or size_bytes + more_bytes > PART_BYTES
        if full and place > start:
            yield texts[start:place]
            start, size_bytes = place, 0
        size_bytes += more_bytes
    yield texts[start:]


def read_vectors(
    value: Mapping[str, object], before: Sequence[bytes], order: EmbedOrder
) -> list[bytes]:
    """Returns the vectors of one frame.

    Args:
        value: what the frame says.
        before: the vectors of the frames before it.
        order: what was asked.

    Raises:
        IntegrityError: They are not the next ones, not whole, too many, or not finite.
    """
    text, each = value.get("vectors"), order.target.dimensions * NUMBER_BYTES
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except binascii.Error:
        raw = b""
    count, rest = divmod(len(raw), each)
    if value.get("start") != len(before) or rest or not count:
        raise _not_whole()
    if len(before) + count > len(order.texts) or not math.isfinite(sum(numbers(raw))):
        raise _not_whole()
    return [raw[place : place + each] for place in range(0, len(raw), each)]


def numbers(packed: bytes) -> array[float]:
    """Returns the numbers in little-endian float32."""
    values = array("f", packed)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _check_dimensions(wanted: int | None, target: EmbeddingTarget) -> None:
    if wanted not in (None, target.dimensions):
        problem = FieldProblem(
            "dimensions",
            f"is {wanted}; the vectors of this model have {target.dimensions}, and cannot be cut.",
            "leave it out",
        )
        raise InvalidInputError(errors=[problem])


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return max(0, min(value, _COUNT_LIMIT))


def _not_whole() -> IntegrityError:
    return IntegrityError("The agent's answer is not one whole vector for each text.")


def _no_answer(last: AdapteryError | None) -> AdapteryError:
    if isinstance(last, UnavailableError):
        return last
    message = (
        "No agent that has this embedding model is connected."
        if last is None
        else "The agents that have this embedding model could not answer."
    )
    return NoAgentError(
        message, hint="try again in a moment", retry_after_seconds=RETRY_AFTER_SECONDS
    )
