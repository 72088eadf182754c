"""What an agent says of itself every two seconds.

Signing and opening are in `adaptery.sealed.heartbeats`. Invariants:
- numbers, digests and ids; never a name of a user, a prompt or a path;
- a beat that cannot be sent is dropped, not queued: the next one says more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import adaptery
from adaptery.times import to_text
from adaptery_network.agent.base_models import BaseModel
from adaptery_network.agent.inference import EngineSeat
from adaptery_network.agent.slots import WorkerSlots


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Where a heartbeat gets what it says."""

    agent: str
    clock: Callable[[], datetime]
    slots: WorkerSlots
    base_models: Callable[[], Iterable[BaseModel]]
    seats: Callable[[], Iterable[EngineSeat]]

    def beat(self, seq: int, load: Mapping[str, object], *, draining: bool) -> dict[str, object]:
        """Return the document of one heartbeat, with the load that was measured for it."""
        return {
            "agent": self.agent,
            "seq": seq,
            "at": to_text(self.clock()),
            "version": adaptery.__version__,
            "draining": draining,
            "slots": {"workers": self.slots.count, "free": self.slots.free},
            "base_models": [
                {"name": model.name, "weight_digest": model.weight_digest}
                for model in self.base_models()
            ],
            "engine": engine_document(list(self.seats())),
            "attempts": list(self.slots.attempts),
            "load": dict(load),
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
