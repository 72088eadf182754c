"""Agents with an embedding model, as a test says: each makes a vector that tells the text."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from adaptery.errors import AdapteryError
from adaptery.sealed import Frame
from adaptery_hub.fleet.live import AgentView, EmbeddingModelReport, Heartbeat
from adaptery_hub.gateway.embedding import EmbeddingGateway, EmbedOrder
from support.service import Service

MODEL = "tiny/tiny-embedder"
MODEL_WEIGHTS = "sha256:" + "e" * 64
DIMENSIONS = 4
MAX_TOKENS = 8  # words, of what these agents read
REPORT = EmbeddingModelReport(MODEL, MODEL_WEIGHTS, DIMENSIONS, MAX_TOKENS)
#: The option of `running_service` that this model needs.
EMBEDDING_MODELS = {MODEL: "/models/embedder"}

Frames = list[Frame]
#: Changes what an agent says.
Change = Callable[[Frames], Frames]


def vector_of(text: str) -> bytes:
    """Return the vector of a text: four numbers that no other text has."""
    found = struct.unpack("<4I", hashlib.sha256(text.encode()).digest()[:16])
    return struct.pack("<4f", *(number / 2**32 for number in found))


def frames_of(texts: Iterable[str], each: int = 3) -> Frames:
    """Return an honest answer."""
    listed = list(texts)
    packed = [vector_of(text) for text in listed]
    frames = [
        Frame(
            "data",
            {
                "start": start,
                "vectors": base64.b64encode(b"".join(packed[start : start + each])).decode(),
            },
        )
        for start in range(0, len(packed), each)
    ]
    words = [len(text.split()) for text in listed]
    usage = {
        "prompt_tokens": sum(min(count, MAX_TOKENS) for count in words),
        "truncated": sum(count > MAX_TOKENS for count in words),
    }
    return [*frames, Frame("usage", usage)]


@dataclass
class Embedders:
    """Agents that embed; remembers what they were asked."""

    agents: list[str] = field(default_factory=lambda: ["ag_a"])
    asked: list[tuple[str, EmbedOrder]] = field(default_factory=list)
    #: By agent: what it does to its answers.
    changes: dict[str, Change] = field(default_factory=dict)
    #: By agent: errors that it raises, one a request, before it behaves.
    failures: dict[str, list[AdapteryError]] = field(default_factory=dict)
    held: bool = False
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def views(self) -> Iterable[AgentView]:
        """See `EmbeddingFleet`."""
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for agent in self.agents:
            yield AgentView(
                Heartbeat(agent, 1, moment, embedding_models=(REPORT,)), "live", moment, 2
            )

    async def embed(self, agent_id: str, order: EmbedOrder) -> AsyncGenerator[Frame, None]:
        """See `EmbeddingFleet`."""
        self.asked.append((agent_id, order))
        if self.failures.get(agent_id):
            raise self.failures[agent_id].pop(0)
        change = self.changes.get(agent_id, lambda frames: frames)
        try:
            for frame in change(frames_of(order.texts)):
                await asyncio.sleep(0)  # others have their turn
                yield frame
                if self.held:
                    await asyncio.Event().wait()
        finally:
            self.left.set()

    def counts(self) -> Counter[str]:
        """Return how often each agent was asked."""
        return Counter(agent for agent, _ in self.asked)


async def serve_embeddings(service: Service) -> Embedders:
    """Let such agents answer the embeddings of a service that runs with `EMBEDDING_MODELS`."""
    compute = service.services.compute
    assert compute is not None
    await compute.embeddings.models.observe([REPORT])
    fleet = Embedders()
    models, names = compute.embeddings.models, compute.base_models.names
    limits = service.services.limits
    compute.embeddings = EmbeddingGateway(models, names, fleet, compute.usage, limits)
    return fleet
