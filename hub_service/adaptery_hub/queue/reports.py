"""What a worker's events do to its job: stored once, and the job's progress and summary follow.

Invariants:
- An event is stored at most once, whatever is sent again; one that cannot be read is dropped and
  acknowledged, so that a bad line never wedges a job.
- Only typed fields are stored. No event holds text of a record, and a field that is not in the
  schema makes the event unreadable.
- An `error` event ends the attempt as failed, with its reason and remedy.
- Reports hold a job no longer than it may run, nor long after its owner cancelled it: then they are
  still taken, but the agent is told to end the attempt and the lease runs out.
- What pre-flights of others are told from is kept only if a machine can have measured it.
- A job has at most some `JOB_EVENTS_LIMIT` events; later ones are acknowledged and dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import InvalidInputError
from adaptery.schemas.events import (
    ErrorEvent,
    MetricsEvent,
    StateEvent,
    SummaryEvent,
    WorkerEvent,
    parse_event,
)
from adaptery.states import AttemptOutcome
from adaptery_hub.audit import AuditLog
from adaptery_hub.database.statements import attempts, job_events, jobs, queues, training_speeds
from adaptery_hub.database.statements.job_events import NewEvent
from adaptery_hub.database.statements.training_speeds import Measured
from adaptery_hub.queue import transitions
from adaptery_hub.queue.outcomes import AttemptEnd
from adaptery_hub.queue.pace import Mark, step_seconds
from adaptery_hub.queue.port import Fence, Renewal
from adaptery_hub.queue.rules import RuleBook

#: A worker's `state` is told as `phase`: the word `state` is the job's own in its events.
_KIND_OF_STATE = "phase"
EVENTS_LIMIT = 1000  # of one report; an agent sends 200
JOB_EVENTS_LIMIT = 1_000_000  # of one job: far more than any chart or log needs
#: The last points of the charts that a job's pace is taken from.
PACE_MARKS = 64
#: Tokens a second that a machine may have, and tokens of a row: what is beyond is no measurement,
#: and the pre-flights of others are told from it.
SPEEDS = (0.001, 1e8)
ROW_TOKENS = (1.0, 1e7)
#: An agent ends an attempt at its time limit by itself; it gets so much longer to hand in.
OVERTIME_SECONDS = 3600
#: How long an agent may take to end an attempt that was cancelled.
CANCEL_SECONDS = 600


def take_report(
    connection: Connection,
    fence: Fence,
    sent: Sequence[Mapping[str, object]],
    book: RuleBook,
    audit: AuditLog,
    now: datetime,
) -> tuple[str, Renewal]:
    """Stores the events of one report and renews the lease; returns the id of the job too.

    Raises:
        LeaseLostError: The fence does not hold the attempt.
        InvalidInputError: There are too many events in one report.
    """
    if len(sent) > EVENTS_LIMIT:
        raise InvalidInputError(f"A report carries at most {EVENTS_LIMIT} events.")
    job, attempt = transitions.lock_fenced(connection, fence)
    known_seq = job_events.last_attempt_seq(connection, fence.attempt_id)
    events = [event for event in map(_read, sent) if event is not None]
    fresh = _in_order([event for event in events if event.seq > known_seq])
    last_seq = job_events.last_seq(connection, job["id"])
    if last_seq < JOB_EVENTS_LIMIT:
        stored = [_stored(event) for event in fresh]
        job_events.append(connection, job["id"], fence.attempt_id, stored, last_seq)
    _follow(connection, job, fence.attempt_id, fresh, now)
    _note_speed(connection, job, attempt, fresh, now)
    lease_until: datetime = attempt["lease_until"]
    overdue = _overdue(connection, job, attempt, now)
    if not overdue:
        lease_until = now + timedelta(seconds=book.of(job["queue"]).lease_seconds)
        attempts.renew(connection, fence.attempt_id, str(fence.fencing_token), lease_until)
    if attempt["started_at"] is None:
        attempts.mark_started(connection, fence.attempt_id, now)
    failure = next((event for event in fresh if isinstance(event, ErrorEvent)), None)
    if failure is not None:
        end = AttemptEnd(AttemptOutcome.FAILED, failure.reason, failure.remedy or None)
        transitions.end_attempt(connection, job, attempt, end, book, audit, now)
    acked = max(known_seq, transitions.requested_events(sent))
    return job["id"], Renewal(
        lease_until,
        cancel=job["flag_cancel"] or overdue,
        drain=queues.state_of(connection, job["queue"]) == "draining",
        acked_seq=acked,
    )


def _overdue(connection: Connection, job: RowMapping, attempt: RowMapping, now: datetime) -> bool:
    """Whether the attempt should have ended by itself by now."""
    limits = (job["spec"] or {}).get("limits", {})
    allowed = timedelta(seconds=limits.get("wall_seconds", 0) + OVERTIME_SECONDS)
    if now - attempt["created_at"] > allowed:
        return True
    if not job["flag_cancel"]:
        return False
    told = job_events.latest(connection, job["id"], "state")
    return bool(told) and now - told[0]["created_at"] > timedelta(seconds=CANCEL_SECONDS)


def _read(sent: Mapping[str, object]) -> WorkerEvent | None:
    try:
        return parse_event(dict(sent))
    except InvalidInputError:
        return None


def _in_order(events: Sequence[WorkerEvent]) -> list[WorkerEvent]:
    by_seq = {event.seq: event for event in events}
    return [by_seq[seq] for seq in sorted(by_seq)]


def _stored(event: WorkerEvent) -> NewEvent:
    kind = _KIND_OF_STATE if isinstance(event, StateEvent) else event.kind
    data = event.model_dump(mode="json", exclude={"seq", "at", "kind"}, exclude_none=True)
    return NewEvent(kind, data, event.at, attempt_seq=event.seq)


def _follow(
    connection: Connection,
    job: RowMapping,
    attempt_id: str,
    fresh: Sequence[WorkerEvent],
    now: datetime,
) -> None:
    """Sets the job's progress, pace and summary to what the events say."""
    changes: dict[str, object] = {}
    for event in fresh:
        if isinstance(event, SummaryEvent):
            changes["summary"] = event.model_dump(
                mode="json", exclude={"seq", "at", "kind"}, exclude_none=True
            )
    steps = [event.step for event in fresh if isinstance(event, MetricsEvent)]
    if steps:
        changes |= _progress(connection, job["id"], attempt_id, steps[-1], now)
    if changes:
        jobs.change_fields(connection, job["id"], now, **changes)


def _note_speed(
    connection: Connection,
    job: RowMapping,
    attempt: RowMapping,
    fresh: Sequence[WorkerEvent],
    now: datetime,
) -> None:
    """Keeps what an attempt that reached its end measured, for the pre-flights of others."""
    summary = next((event for event in fresh if isinstance(event, SummaryEvent)), None)
    spec = job["spec"] or {}
    if summary is None or job["weight_digest"] is None or attempt["agent_id"] is None:
        return
    recent = job_events.recent_metrics(connection, attempt["id"], PACE_MARKS)
    speeds = [speed for row in recent if (speed := row["data"].get("tokens_per_second"))]
    speed = _plausible(median(speeds), SPEEDS) if speeds else None
    if speed is None:
        return
    rows = summary.train_samples_per_second * summary.train_runtime
    row_tokens = summary.tokens / rows if summary.tokens and rows else 0.0
    measured = Measured(
        agent_id=attempt["agent_id"],
        precision=spec.get("optim", {}).get("precision", "auto"),
        tokens_per_second=speed,
        peak_memory_bytes=summary.peak_memory_bytes,
        row_tokens=_plausible(row_tokens, ROW_TOKENS),
        spec={name: spec.get(name, {}) for name in ("lora", "optim")},
    )
    training_speeds.note(connection, job["weight_digest"], spec.get("stage", "sft"), measured, now)


def _plausible(value: float, bounds: tuple[float, float]) -> float | None:
    least, most = bounds
    return value if least <= value <= most else None


def _progress(
    connection: Connection, job_id: str, attempt_id: str, step: int, now: datetime
) -> dict[str, object]:
    told: dict[str, object] = {"step": step, "stepped_at": now}
    recent = job_events.recent_metrics(connection, attempt_id, PACE_MARKS)
    pace = step_seconds(Mark(row["data"]["step"], row["created_at"]) for row in recent)
    if pace is not None:
        told["step_seconds"] = pace
    total = _total_steps(connection, job_id)
    if total:
        told |= {"total_steps": total, "progress": min(1.0, step / total)}
    return told


def _total_steps(connection: Connection, job_id: str) -> int | None:
    phases = job_events.latest(connection, job_id, _KIND_OF_STATE, limit=10)
    totals = [row["data"].get("total_steps") for row in phases]
    return next((total for total in totals if total), None)
