"""What the service knows about agents right now: the last verified heartbeat of each.

A pure in-memory view; the database keeps only state and last-seen time. Nothing here reads a clock:
the time is given.

Invariants:
- Only verified heartbeats come in; an older or repeated one changes nothing.
- An agent is live until it has been silent for `GRACE_SECONDS`, so one lost beat never moves work.
- Sticky: an agent that went silent is live again only after `BEATS_TO_RETURN` beats, so a flapping
  link does not attract work. A new agent is live at its first beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

HEARTBEAT_SECONDS = 2.0
GRACE_SECONDS = 8.0  # four beats
BEATS_TO_RETURN = 2

AgentState = Literal["joined", "live", "gone"]


@dataclass(frozen=True)
class BaseModelReport:
    """A base model that an agent says it holds."""

    name: str
    weight_digest: str


@dataclass(frozen=True)
class EmbeddingModelReport(BaseModelReport):
    """An embedding model that an agent says it holds."""

    dimensions: int
    max_tokens: int
    state: str = "stopped"  # of the process that serves it
    running: int = 0


@dataclass(frozen=True)
class EngineReport:
    """What an agent says about its engine."""

    state: str = "stopped"
    running: int = 0
    waiting: int = 0
    adapters: frozenset[str] = frozenset()  # weight digests resident now
    tokens_per_second: float = 0.0


@dataclass(frozen=True)
class Heartbeat:
    """One verified heartbeat."""

    agent_id: str
    seq: int
    sent_at: datetime
    version: str = ""
    features: frozenset[str] = frozenset()  # what earlier releases do not understand
    abilities: frozenset[str] | None = None  # of its workers; None where it did not say
    workers: int = 0
    workers_free: int = 0
    base_models: tuple[BaseModelReport, ...] = ()
    preparing: frozenset[str] = frozenset()  # names of base models that will be there soon
    failed_base_models: frozenset[str] = frozenset()  # names of those that it cannot use
    embedding_models: tuple[EmbeddingModelReport, ...] = ()
    engine: EngineReport = EngineReport()
    attempts: tuple[str, ...] = ()
    load: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class AgentView:
    """One agent as seen from the service."""

    beat: Heartbeat
    state: AgentState
    last_seen_at: datetime
    beats_since_return: int

    @property
    def agent_id(self) -> str:
        """The agent's id."""
        return self.beat.agent_id

    @property
    def abilities(self) -> frozenset[str]:
        """What its workers can; nothing unusual until it says so."""
        return self.beat.abilities or frozenset()

    def holds(self, weight_digest: str) -> bool:
        """Whether the agent holds the base model with these weights."""
        return any(model.weight_digest == weight_digest for model in self.beat.base_models)

    def embedder(self, weight_digest: str) -> EmbeddingModelReport | None:
        """The embedding model with these weights; None if the agent does not hold it."""
        models = self.beat.embedding_models
        return next((model for model in models if model.weight_digest == weight_digest), None)


@dataclass(frozen=True)
class StateChange:
    """An agent came or went."""

    agent_id: str
    state: AgentState


class LiveView:
    """The last known view of every agent."""

    def __init__(self) -> None:
        self._views: dict[str, AgentView] = {}

    def __iter__(self) -> Iterator[AgentView]:
        return iter(list(self._views.values()))

    def get(self, agent_id: str) -> AgentView | None:
        """Returns the view of one agent, live or gone; None if it was never seen."""
        return self._views.get(agent_id)

    def features(self, agent_id: str) -> frozenset[str]:
        """Returns what one agent understands; nothing if it was never seen."""
        view = self._views.get(agent_id)
        return view.beat.features if view is not None else frozenset()

    def live(self, accept: Callable[[AgentView], bool] = lambda view: True) -> list[AgentView]:
        """Returns the live agents that `accept` lets pass."""
        return [view for view in self._views.values() if view.state == "live" and accept(view)]

    def observe(self, beat: Heartbeat, now: datetime) -> StateChange | None:
        """Takes in one verified heartbeat; returns the change of state it caused, if any."""
        old = self._views.get(beat.agent_id)
        if old is not None and (beat.sent_at, beat.seq) <= (old.beat.sent_at, old.beat.seq):
            return None
        state, beats = _state_after_beat(old)
        self._views[beat.agent_id] = AgentView(beat, state, now, beats)
        if old is None or old.state != state:
            return StateChange(beat.agent_id, state)
        return None

    def sweep(self, now: datetime) -> list[StateChange]:
        """Marks agents that have been silent for too long; returns those that went."""
        limit = now - timedelta(seconds=GRACE_SECONDS)
        changes: list[StateChange] = []
        for agent_id, view in self._views.items():
            if view.last_seen_at >= limit:
                continue
            if view.state == "live":
                changes.append(StateChange(agent_id, "gone"))
            self._views[agent_id] = replace(view, state="gone", beats_since_return=0)
        return changes

    def take_slot(self, agent_id: str) -> None:
        """Counts one worker slot as taken until the next heartbeat says how it is."""
        view = self._views[agent_id]
        beat = replace(view.beat, workers_free=max(0, view.beat.workers_free - 1))
        self._views[agent_id] = replace(view, beat=beat)

    def forget(self, agent_id: str) -> None:
        """Drops a revoked agent."""
        self._views.pop(agent_id, None)


def _state_after_beat(old: AgentView | None) -> tuple[AgentState, int]:
    if old is None or old.state == "live":
        return "live", BEATS_TO_RETURN
    beats = old.beats_since_return + 1
    return ("live" if beats >= BEATS_TO_RETURN else "gone"), beats
