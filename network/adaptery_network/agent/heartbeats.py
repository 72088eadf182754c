"""What an agent says of itself every two seconds.

Signing and opening are in `adaptery.sealed.heartbeats`. Invariants:
- numbers, digests and ids; never a name of a user, a prompt or a path;
- a beat that cannot be sent is dropped, not queued: the next one says more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import adaptery
from adaptery.times import to_text
from adaptery_network.agent.base_models import BaseModel
from adaptery_network.agent.embedding import EmbedderSeat
from adaptery_network.agent.inference import EngineSeat
from adaptery_network.agent.slots import WorkerSlots

#: What a service may ask of this agent that earlier releases do not understand.
FEATURES = ("sealed", "model-files", "channels")


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Where a heartbeat gets what it says."""

    agent: str
    clock: Callable[[], datetime]
    slots: WorkerSlots
    base_models: Callable[[], Iterable[BaseModel]]
    seats: Callable[[], Iterable[EngineSeat]]
    embedders: Callable[[], Iterable[EmbedderSeat]] = tuple
    #: Names of base models that are being converted.
    awaited: Callable[[], Iterable[str]] = tuple
    #: Names of base models that could not be converted.
    failed: Callable[[], Iterable[str]] = tuple
    features: Sequence[str] = FEATURES
    #: What workers can (`adaptery.abilities`); None until they were asked.
    abilities: Callable[[], Collection[str] | None] = lambda: None

    def beat(self, seq: int, load: Mapping[str, object], *, draining: bool) -> dict[str, object]:
        """Return the document of one heartbeat, with the load that was measured for it."""
        return {
            "agent": self.agent,
            "seq": seq,
            "at": to_text(self.clock()),
            "version": adaptery.__version__,
            "draining": draining,
            "features": list(self.features),
            "abilities": None if (can := self.abilities()) is None else sorted(can),
            "slots": {"workers": self.slots.count, "free": self.slots.free},
            "base_models": [
                {"name": model.name, "weight_digest": model.weight_digest}
                for model in self.base_models()
            ],
            "preparing": list(self.awaited()),
            "failed_base_models": list(self.failed()),
            "engine": engine_document(list(self.seats())),
            "embedding_models": [embedder_document(seat) for seat in self.embedders()],
            "attempts": list(self.slots.attempts),
            "load": dict(load),
        }


def embedder_document(seat: EmbedderSeat) -> dict[str, object]:
    """Return an embedding model and the state of the process that serves it."""
    return {
        "name": seat.model.name,
        "weight_digest": seat.model.weight_digest,
        "dimensions": seat.model.dimensions,
        "max_tokens": seat.model.max_tokens,
        "state": seat.engine.state,
        "running": seat.engine.load.running,
    }


def engine_document(seats: list[EngineSeat]) -> dict[str, object]:
    """Return the engines of a host as one: sums, and the best state of any."""
    states = {seat.engine.state for seat in seats}
    order = ("ready", "starting", "failed", "stopped")
    loads = [seat.engine.load for seat in seats]
    return {
        "state": next((state for state in order if state in states), "stopped"),
        "running": sum(load.running for load in loads),
        "waiting": sum(load.waiting for load in loads),
        "adapters": [digest for seat in seats for digest in seat.residents.digests],
        "tokens_per_second": round(sum(load.tokens_per_second for load in loads), 3),
    }
