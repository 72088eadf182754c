"""Tells how jobs are, as dashboards show them: state and why, place, times, what can be done.

Everything about a page of jobs is read in one transaction, by a fixed number of statements; the
lines of queues are kept (`queue.lines`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection, RowMapping

from adaptery.abilities import required
from adaptery.schemas.clearml import ClearmlTask
from adaptery.schemas.jobs import Job
from adaptery.states import JobState
from adaptery.times import Clock, now
from adaptery_hub.database import Database, tables
from adaptery_hub.database.statements import (
    adapters,
    attempts,
    clearml_tasks,
    job_inputs,
    jobs,
    queues,
    tenants,
)
from adaptery_hub.full_names import full_name
from adaptery_hub.identity import Identity
from adaptery_hub.job_actions import Standing, actions_of
from adaptery_hub.job_charts import JobCharts
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.queue import RuleBook
from adaptery_hub.queue.forecast import AgentSlots
from adaptery_hub.queue.lines import Line, Lines, standing_of
from adaptery_hub.queue.pace import end_of
from adaptery_hub.queue.priorities import priority_word

__all__ = ["ConnectedAgents", "JobDashboard"]

_PREPARING = "the agent is preparing this base model"
_FAILED = (
    "no agent could make this base model ready: ask whoever runs this Hub, or clone the job "
    "with another one"
)


@dataclass(frozen=True)
class ConnectedAgents:
    """What jobs wait for: agents with slots and base weights."""

    slots: tuple[AgentSlots, ...] = ()
    preparing: frozenset[str] = frozenset()  # names of base models that will be there soon
    failed: frozenset[str] = frozenset()  # names of those that could not be made ready

    def serving(self, labels: frozenset[str]) -> list[AgentSlots]:
        """Returns those that carry the labels of a queue."""
        return [agent for agent in self.slots if agent.labels >= labels]


@dataclass(frozen=True)
class _Facts:
    """What the answers about some jobs need besides their rows."""

    inputs: Mapping[str, Sequence[RowMapping]]
    taken: Mapping[tuple[str, str], str]  # by job and role, the name of an adapter
    made: Mapping[str, RowMapping]
    attempts: Mapping[str, int]
    prefixes: Mapping[str, str]
    clearml: Mapping[str, ClearmlTask]
    lines: Mapping[str, Line]
    closed: Mapping[str, RowMapping]  # queues that give no job out
    book: RuleBook
    agents: ConnectedAgents
    moment: datetime


class JobDashboard:
    """Where jobs are looked at."""

    def __init__(
        self, database: Database, book: RuleBook, clock: Clock = now, clearml_url: str = ""
    ) -> None:
        self._clearml_url = clearml_url.rstrip("/")
        self.lines = Lines(book, clock)
        self._book = book
        self.charts = JobCharts(database)
        self._database = database
        self._clock = clock

    async def describe(
        self,
        rows: Sequence[RowMapping],
        identity: Identity,
        agents: ConnectedAgents = ConnectedAgents(),
    ) -> list[Job]:
        """Returns jobs as the API shows them.

        Args:
            rows: The jobs, with the caller's right on each.
            identity: The caller.
            agents: Those that are connected.
        """
        if not rows:
            return []
        facts = await self._database.read(lambda c: self._gather(c, rows, identity, agents))
        return [_describe(row, facts) for row in rows]

    async def describe_one(
        self,
        job_id: str,
        right: Right,
        identity: Identity,
        agents: ConnectedAgents = ConnectedAgents(),
    ) -> Job:
        """Returns a job as the API shows it, if the caller has this right on it.

        Raises:
            NotFoundError: There is no such job, or the caller may not know it.
            NotAllowedError: The caller may see it, but has not this right.
        """

        def gather(connection: Connection) -> tuple[RowMapping, _Facts]:
            row = fetch(connection, tables.jobs, identity, job_id, right)
            return row, self._gather(connection, [row], identity, agents)

        return _describe(*await self._database.read(gather))

    def _gather(
        self,
        connection: Connection,
        rows: Sequence[RowMapping],
        identity: Identity,
        agents: ConnectedAgents,
    ) -> _Facts:
        ids = [row["id"] for row in rows]
        begun = [row["id"] for row in rows if not _never_began(row)]
        owners = tenants.get_many(connection, list({row["tenant_id"] for row in rows}))
        inputs: defaultdict[str, list[RowMapping]] = defaultdict(list)
        for row in jobs.inputs_of(connection, ids):
            inputs[row["job_id"]].append(row)
        return _Facts(
            inputs=inputs,
            taken={
                (row["job_id"], row["role"]): row["name"]
                for row in job_inputs.adapters_of(connection, ids)
            },
            made=adapters.of_jobs(connection, begun, identity) if begun else {},
            attempts=attempts.count_by_job(connection, begun) if begun else {},
            prefixes={
                row["id"]: row["slug"] if row["kind"] == "group" else f"@{row['slug']}"
                for row in owners
            },
            clearml=self._clearml_tasks(connection, rows),
            lines=self._lines_of(connection, rows, agents),
            closed=queues.closed(connection),
            book=self._book,
            agents=agents,
            moment=self._clock(),
        )

    def _clearml_tasks(
        self, connection: Connection, rows: Sequence[RowMapping]
    ) -> dict[str, ClearmlTask]:
        ids = [row["id"] for row in rows if not self._book.of(row["queue"]).agents]
        if not ids:
            return {}
        return {
            job_id: ClearmlTask(
                task=row["task"],
                url=f"{self._clearml_url}/projects/*/experiments/{row['task']}",
                status=row["status"],
                seen_at=row["seen_at"],
            )
            for job_id, row in clearml_tasks.last_of_jobs(connection, ids).items()
        }

    def _lines_of(
        self, connection: Connection, rows: Sequence[RowMapping], agents: ConnectedAgents
    ) -> dict[str, Line]:
        waiting = {row["queue"] for row in rows if row["state"] == JobState.QUEUED}
        return {queue: self.lines.line(connection, queue, agents.slots) for queue in waiting}


def _never_began(row: RowMapping) -> bool:
    """Whether a job still waits for its first attempt, and so has made nothing."""
    return row["started_at"] is None and row["state"] in (JobState.CREATED, JobState.QUEUED)


def _describe(row: RowMapping, facts: _Facts) -> Job:
    job_id = row["id"]
    line = facts.lines[row["queue"]] if row["state"] == JobState.QUEUED else None
    inputs = facts.inputs[job_id]
    datasets = list(dict.fromkeys(_version_name(one) for one in inputs if not one["held_out"]))
    adapter = facts.made.get(job_id)
    starts_at, ends_at = _times(row, line, facts)
    return Job(
        id=job_id,
        name=row["name"],
        tenant=facts.prefixes[row["tenant_id"]],
        task=row["task"],
        base_model=row["base_model"],
        dataset=datasets[0],
        datasets=datasets,
        validation=next((_version_name(one) for one in inputs if one["held_out"]), None),
        stage=(row["spec"] or {}).get("stage", "sft"),
        start_from=facts.taken.get((job_id, "start")),
        reward=facts.taken.get((job_id, "reward")),
        state=JobState(row["state"]),
        reason=_reason(row, line, facts),
        position=line.places.get(job_id) if line is not None else None,
        cancel_requested=row["flag_cancel"],
        queue=row["queue"],
        priority=priority_word(row["priority"]),
        cloned_from=row["cloned_from"],
        metadata=row["metadata"],
        progress=row["progress"],
        step=row["step"],
        total_steps=row["total_steps"],
        attempts=facts.attempts.get(job_id, 0),
        adapter=_adapter_name(adapter) if adapter is not None else None,
        adapter_id=adapter["id"] if adapter is not None else None,
        created_at=row["created_at"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        state_at=row["state_at"],
        starts_at=starts_at,
        ends_at=ends_at,
        summary=row["summary"],
        options=row["options"],
        right=Right(row["right"]).word,
        clearml=facts.clearml.get(job_id),
        actions=actions_of(_standing(row, adapter)),
    )


def _times(
    row: RowMapping, line: Line | None, facts: _Facts
) -> tuple[datetime | None, datetime | None]:
    """Returns when a job will start and end, as far as that is known."""
    if row["state"] == JobState.TRAINING:
        standing = standing_of(row)
        return None, None if standing is None else end_of(standing, facts.moment)
    if line is None or row["queue"] in facts.closed:
        return None, None
    forecast = line.forecasts.get(row["id"])
    return (None, None) if forecast is None else (forecast.starts_at, forecast.ends_at)


def _standing(row: RowMapping, adapter: RowMapping | None) -> Standing:
    held = Right(adapter["right"]) if adapter is not None and adapter["right"] else None
    return Standing(
        state=JobState(row["state"]),
        right=Right(row["right"]),
        adapter_right=held,
        answers=adapter is None or adapter["kind"] == "chat",
        started=row["started_at"] is not None,
        cancelling=row["flag_cancel"],
    )


def _version_name(row: RowMapping) -> str:
    return full_name(row["tenant_kind"], row["slug"], row["dataset_name"], row["number"])


def _adapter_name(row: RowMapping) -> str:
    return full_name(row["tenant_kind"], row["slug"], row["name"], row["number"])


def _reason(row: RowMapping, line: Line | None, facts: _Facts) -> str | None:
    """Says why a queued job waits as things are now; other states keep their reason."""
    rules = facts.book.of(row["queue"])
    labels = rules.labels
    serving = facts.agents.serving(labels)
    holding = [agent for agent in serving if row["weight_digest"] in agent.weight_digests]
    held = bool(holding)
    is_awaited = not held and row["base_model"] in facts.agents.preparing
    if row["state"] == JobState.CREATED and row["translation"] is None:
        if is_awaited:
            return _PREPARING
        if not held and row["base_model"] in facts.agents.failed:
            return _FAILED
    if line is None:
        return row["reason"]
    if row["queue"] in facts.closed:
        return _why_closed(facts.closed[row["queue"]])
    if row["id"] in line.waiting and row["id"] not in line.places:
        return "your other jobs use all the slots that you may use at once"
    if line.full:
        return "as many jobs of its queue train as may at once"
    if not rules.agents:
        return row["reason"] or "waiting for ClearML"
    if is_awaited:
        return _PREPARING
    if not held:
        whose = f" of the queue {row['queue']}" if labels else ""
        return f"no agent{whose} that has this base model is connected"
    needs = frozenset(row["needs"].split())
    if not any(agent.abilities >= needs for agent in holding):
        return f"no agent that has this base model and {required(needs)} is connected"
    return row["reason"] or "waiting for a free slot"


def _why_closed(queue: RowMapping) -> str:
    done = "paused" if queue["state"] == "paused" else "being emptied"
    told = f": {queue['reason']}" if queue["reason"] else ""
    return f"the queue {queue['name']} is {done}{told}"
