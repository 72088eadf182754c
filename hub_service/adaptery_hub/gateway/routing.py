"""Which agent serves a request: a pure choice over live agents.

Invariants:
- Only a live agent that holds exactly the base weights is eligible; nothing else makes up for that.
- Among those: one whose engine is ready, then one that already has the adapter or the shorter line.
  Ties go to the faster, then by id, so that the choice is stable.
- An agent that already failed this request is not asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from adaptery_hub.fleet.live import AgentView

#: How soon an engine in each state can answer; one that is unknown to us comes last.
_READINESS = {"ready": 0, "starting": 1, "stopped": 2, "failed": 3}

#: A loaded adapter is worth this many waiting requests: loading takes about as long as a few
#: short answers.
RESIDENCY_WORTH_REQUESTS = 4


_NONE_RUNNING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Need:
    """What a request needs from an agent."""

    base_weight_digest: str
    adapter_weight_digest: str | None = None
    feature: str | None = None  # that the agent must understand


def eligible(view: AgentView, need: Need) -> bool:
    """Whether this agent can serve the request at all."""
    understands = need.feature is None or need.feature in view.beat.features
    return view.state == "live" and view.holds(need.base_weight_digest) and understands


def choose(
    views: Iterable[AgentView],
    need: Need,
    tried: Collection[str] = (),
    running: Mapping[str, int] = _NONE_RUNNING,
) -> AgentView | None:
    """Returns the best agent for the request; None if no agent can serve it.

    Args:
        views: the agents.
        need: what the request needs.
        tried: agents that are not asked again.
        running: answers that this process has from each agent; a heartbeat is seconds old.
    """
    candidates = [v for v in views if v.agent_id not in tried and eligible(v, need)]
    return min(candidates, key=lambda view: _cost(view, need, running), default=None)


def _cost(view: AgentView, need: Need, running: Mapping[str, int]) -> tuple[int, int, float, str]:
    engine = view.beat.engine
    resident = need.adapter_weight_digest in (None, *engine.adapters)
    here = max(engine.running, running.get(view.agent_id, 0))
    line = here + engine.waiting + (0 if resident else RESIDENCY_WORTH_REQUESTS)
    readiness = _READINESS.get(engine.state, len(_READINESS))
    return readiness, line, -engine.tokens_per_second, view.agent_id


def choose_embedder(
    views: Iterable[AgentView], weight_digest: str, tried: Collection[str] = ()
) -> AgentView | None:
    """Returns the best agent with this embedding model; None if there is none."""

    def cost(view: AgentView) -> tuple[int, int, str]:
        model = view.embedder(weight_digest)
        assert model is not None
        return _READINESS.get(model.state, len(_READINESS)), model.running, view.agent_id

    candidates = [
        view
        for view in views
        if view.agent_id not in tried and view.state == "live" and view.embedder(weight_digest)
    ]
    return min(candidates, key=cost, default=None)
