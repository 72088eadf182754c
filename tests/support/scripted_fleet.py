"""Agents that answer inference as a test says."""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from adaptery.errors import AdapteryError
from adaptery.sealed import Frame
from adaptery_hub.fleet.live import AgentView, BaseModelReport, EngineReport, Heartbeat
from adaptery_hub.gateway import InferOrder
from support.hub_tables import BASE, WEIGHTS

#: What one agent does: frames to send, or errors to raise.
Script = list[Frame | AdapteryError]


def view(agent_id: str, **engine: object) -> AgentView:
    beat = Heartbeat(
        agent_id=agent_id,
        seq=1,
        sent_at=datetime(2026, 1, 1, tzinfo=UTC),
        base_models=(BaseModelReport(BASE, WEIGHTS),),
        engine=EngineReport(state="ready", **engine),  # type: ignore[arg-type]
    )
    return AgentView(beat, "live", beat.sent_at, 2)


def text(content: str, finish: str | None = None) -> Frame:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return Frame("data", {"id": "engine-internal", "model": "ad_internal", "choices": [choice]})


def words(content: str, index: int = 0, finish: str | None = None) -> Frame:
    return Frame("data", {"choices": [{"index": index, "text": content, "finish_reason": finish}]})


USAGE = Frame("usage", {"prompt_tokens": 3, "completion_tokens": 2})


@dataclass
class ScriptedFleet:
    """Agents that follow scripts; remembers what they were asked and what was closed early."""

    scripts: dict[str, Script] = field(default_factory=dict)
    asked: list[tuple[str, InferOrder]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    engines: dict[str, dict] = field(default_factory=dict)

    def views(self) -> Iterable[AgentView]:
        return [view(agent, **self.engines.get(agent, {})) for agent in self.scripts]

    async def infer(self, agent_id: str, order: InferOrder) -> AsyncGenerator[Frame, None]:
        self.asked.append((agent_id, order))
        done = False
        try:
            for step in self.scripts[agent_id]:
                if isinstance(step, AdapteryError):
                    raise step
                yield step
            done = True
        finally:
            if not done:
                self.closed.append(agent_id)
