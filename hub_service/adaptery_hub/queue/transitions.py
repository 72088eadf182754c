"""The steps of jobs as transactions: each function runs inside one and leaves the tables whole.

Every step locks its job first, so that state, attempts and events of one job change together and
event numbers have no gaps. Not here: the event loop, threads, the network.

Invariants:
- A state changes only by comparison (`jobs.change_state`) and each change is told by one `state`
  event.
- Nothing of an attempt changes unless it runs and the fence fits.
- The adapter becomes visible in the same transaction in which its job becomes `completed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, JobStateError, LeaseLostError, NotFoundError
from adaptery.ids import new_id
from adaptery.schemas.spec import InputSpec, JobSpec
from adaptery.states import FINAL_STATES, AttemptOutcome, JobState
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database.statements import (
    adapters,
    attempts,
    base_models,
    checkpoints,
    job_events,
    job_inputs,
    jobs,
    queues,
    turns,
)
from adaptery_hub.database.statements.job_events import NewEvent
from adaptery_hub.database.statements.jobs import NewInput, Offer
from adaptery_hub.job_actions import check_action
from adaptery_hub.queue.fairness import Share, Taken, Waiting, fair_order
from adaptery_hub.queue.outcomes import AttemptEnd, NextStep, next_step, retry_after
from adaptery_hub.queue.port import Claim, Fence
from adaptery_hub.queue.rules import QueueRules, RuleBook

#: Microseconds since the epoch grow with time and stay below 2^53 until the year 2255.
_TOKENS_PER_SECOND = 1_000_000


def move(
    connection: Connection,
    job: RowMapping,
    step: NextStep,
    now: datetime,
    **changes: object,
) -> None:
    """Moves a locked job to a state and tells it.

    Raises:
        JobStateError: Another transaction was faster, or there is no such step.
    """
    old = JobState(job["state"])
    if not jobs.change_state(
        connection, job["id"], old, step.state, now, reason=step.reason, **changes
    ):
        raise JobStateError("The job changed at the same moment.", hint="Look at it again.")
    tell_state(connection, job["id"], step, now)


def tell_state(connection: Connection, job_id: str, step: NextStep, now: datetime) -> None:
    """Appends the event of a state."""
    job_events.append(connection, job_id, None, [_event_of(step, now)])


def _event_of(step: NextStep, now: datetime) -> NewEvent:
    data: dict[str, object] = {"state": step.state.value}
    if step.reason:
        data["reason"] = step.reason
    return NewEvent("state", data, now)


def create(
    connection: Connection,
    values: Mapping[str, object],
    inputs: Sequence[NewInput],
    now: datetime,
) -> None:
    """Inserts a job as `created`, and queues it if it can be; else says why not.

    Both come with one row, and their events together: nobody sees what is between them.
    """
    told = [NextStep(JobState.CREATED, str(values["reason"]))]
    changes: dict[str, object] = {"state": JobState.CREATED}
    if values["translation"] is None:
        step, digest = _after_created(connection, values)
        changes = {"state": step.state, "reason": step.reason, "weight_digest": digest}
        if step.state is JobState.QUEUED:
            changes["queued_at"] = now
        told.append(step)
    jobs.insert_job(connection, {**values, **changes}, inputs, now)
    events = [_event_of(step, now) for step in told]
    job_events.append(connection, str(values["id"]), None, events, last=0)


def _after_created(connection: Connection, job: Mapping[Any, Any]) -> tuple[NextStep, str | None]:
    """Returns what becomes of a `created` job that is ready, and its base weights, if bound."""
    digest = job["weight_digest"] or base_models.bound_digest(connection, job["base_model"])
    if digest is None:
        return NextStep(JobState.CREATED, _why_created(job)), None
    return NextStep(JobState.QUEUED, None), digest


def enqueue(connection: Connection, job_id: str, now: datetime) -> bool:
    """Queues a `created` job if all of it is ready and its base model is bound; else says why not.

    The base weights are those of its submit, if they were known then.
    """
    job = jobs.lock_job(connection, job_id)
    if job is None or job["state"] != JobState.CREATED or job["translation"] is not None:
        return False
    step, digest = _after_created(connection, job)
    if step.state is JobState.CREATED:
        if job["reason"] != step.reason:
            jobs.change_fields(connection, job_id, now, reason=step.reason)
            tell_state(connection, job_id, step, now)
        return False
    move(connection, job, step, now, queued_at=now, weight_digest=digest)
    return True


def enqueueable(connection: Connection) -> list[str]:
    """Returns the `created` jobs that can be queued now, or do not say yet why they cannot."""
    bound = {row["name"] for row in base_models.bindings(connection)}
    return [
        row["id"]
        for row in jobs.list_created(connection)
        if row["translation"] is None
        and (row["base_model"] in bound or row["reason"] != _why_created(row))
    ]


def translated(
    connection: Connection,
    job_id: str,
    inputs: Sequence[InputSpec],
    told: str,
    now: datetime,
) -> bool:
    """Gives a job what it learns from in place of what had to be translated, and queues it.

    Returns:
        False if it does not wait for that any more.
    """
    job = jobs.lock_job(connection, job_id)
    if job is None or job["state"] != JobState.CREATED or job["translation"] is None:
        return False
    rows = [NewInput(one.version, one.split, bool(one.held_out)) for one in inputs]
    jobs.put_inputs(connection, job_id, rows, now)
    frozen = [entry.model_dump(mode="json", exclude_none=True) for entry in inputs]
    spec = {**job["spec"], "inputs": frozen}
    jobs.change_fields(connection, job_id, now, spec=spec, translation=None)
    data = {"level": "info", "message": told}
    job_events.append(connection, job_id, None, [NewEvent("log", data, now)])
    enqueue(connection, job_id, now)
    return True


def fail_waiting(connection: Connection, job_id: str, reason: str, now: datetime) -> bool:
    """Fails a job that waits; returns False if it does not wait any more."""
    job = jobs.lock_job(connection, job_id)
    if job is None or job["state"] not in (JobState.CREATED, JobState.QUEUED):
        return False
    move(connection, job, NextStep(JobState.FAILED, reason), now)
    return True


def _why_created(job: Mapping[Any, Any]) -> str:
    return f"waiting for an agent that has the base model {job['base_model']}"


def taken(connection: Connection, queue: str, waiting: Sequence[RowMapping]) -> Taken:
    """Returns who has what of a queue already, as far as that matters to those who wait."""
    tenants, creators = Counter[str](), Counter[str]()
    for row in turns.running(connection, queue):
        tenants[row["tenant_id"]] += row["jobs"]
        creators[row["creator_id"]] += row["jobs"]
    starts = turns.last_starts(connection, queue, {row["tenant_id"] for row in waiting})
    shares = {tenant: Share(tenants[tenant], at) for tenant, at in starts.items()}
    return Taken(shares, creators)


def as_waiting(row: RowMapping) -> Waiting:
    """Returns a waiting job as the fair order sees it."""
    return Waiting(
        row["id"], row["tenant_id"], row["creator_id"], row["priority"], row["queued_at"]
    )


def claim(
    connection: Connection, offer: Offer, rules: QueueRules, audit: AuditLog, now: datetime
) -> Claim | None:
    """Leases the next job that the offered slot can take.

    Claims of one queue come one after the other, so that no limit is overstepped.
    """
    if queues.lock(connection, offer.queue, now)["state"] != "open":
        return None
    limit = rules.queue_running_limit
    if limit is not None and queues.count_training(connection, offer.queue) >= limit:
        return None
    while (job_id := _next(connection, offer, rules, now)) is not None:
        job = jobs.lock_job(connection, job_id)
        if job is None or job["state"] != JobState.QUEUED:
            continue
        lost = job_inputs.loss(connection, job_id)
        if lost is not None:
            move(connection, job, NextStep(JobState.FAILED, lost), now)
            continue
        return _lease(connection, job, offer, rules, audit, now)
    return None


def _next(connection: Connection, offer: Offer, rules: QueueRules, now: datetime) -> str | None:
    rows = turns.firsts(connection, offer, now)
    order = fair_order(map(as_waiting, rows), taken(connection, offer.queue, rows), rules.limits)
    first = next(order, None)
    return first and first.job_id


def _lease(
    connection: Connection,
    job: RowMapping,
    offer: Offer,
    rules: QueueRules,
    audit: AuditLog,
    now: datetime,
) -> Claim:
    attempt_id = new_id("at")
    earlier = attempts.of_job(connection, job["id"])
    number = earlier[-1]["number"] + 1 if earlier else 1
    token = _next_token(earlier, now)
    lease_until = now + timedelta(seconds=rules.lease_seconds)
    attempts.insert_attempt(
        connection,
        attempt_id=attempt_id,
        job_id=job["id"],
        agent_id=offer.agent_id,
        number=number,
        fencing_token=str(token),
        lease_until=lease_until,
        now=now,
    )
    move(
        connection,
        job,
        NextStep(JobState.TRAINING, None),
        now,
        started_at=job["started_at"] or now,
    )
    spec = _spec(connection, job, attempt_id, token)
    details = {"agent": offer.agent_id, "attempt": attempt_id, "number": number}
    # Last: until the commit nobody else can write to the audit.
    audit.append(connection, AuditEntry("job.claim", job["tenant_id"], job["id"], details))
    return Claim(
        attempt_id=attempt_id,
        number=number,
        job_id=job["id"],
        tenant_id=job["tenant_id"],
        agent_id=offer.agent_id,
        fencing_token=token,
        lease_until=lease_until,
        lease_seconds=rules.lease_seconds,
        spec=spec,
    )


def _next_token(earlier: Sequence[RowMapping], now: datetime) -> int:
    later = (int(row["fencing_token"]) + 1 for row in earlier)
    return max([int(now.timestamp() * _TOKENS_PER_SECOND), *later])


def _spec(connection: Connection, job: RowMapping, attempt_id: str, token: int) -> JobSpec:
    """Returns the frozen spec of a job, completed for one attempt."""
    checkpoint = checkpoints.last(connection, job["id"])
    resume = {"step": checkpoint["step"], "digest": checkpoint["digest"]} if checkpoint else None
    return JobSpec.model_validate(
        {
            **job["spec"],
            "job": job["id"],
            "attempt": attempt_id,
            "fencing_token": token,
            "base_model": {"name": job["base_model"], "weight_digest": job["weight_digest"]},
            "resume_from": resume,
        }
    )


def lock_fenced(connection: Connection, fence: Fence) -> tuple[RowMapping, RowMapping]:
    """Returns the locked job and the attempt that `fence` holds.

    Raises:
        LeaseLostError: The attempt has ended, is another agent's, or the token is not its own.
    """
    job, attempt = _lock_held(connection, fence)
    if attempt["outcome"] is not None:
        raise LeaseLostError()
    return job, attempt


def _lock_held(connection: Connection, fence: Fence) -> tuple[RowMapping, RowMapping]:
    """Like `lock_fenced`, also when the attempt has ended."""
    job = jobs.lock_job_of(connection, fence.attempt_id)
    attempt = attempts.get(connection, fence.attempt_id)
    if job is None or attempt is None:
        raise LeaseLostError()
    if (attempt["agent_id"], attempt["fencing_token"]) != (
        fence.agent_id,
        str(fence.fencing_token),
    ):
        raise LeaseLostError()
    return job, attempt


def finish(
    connection: Connection,
    fence: Fence,
    end: AttemptEnd,
    book: RuleBook,
    audit: AuditLog,
    now: datetime,
) -> str:
    """Ends a fenced attempt; returns the id of its job. Saying the same end again changes nothing.

    Raises:
        LeaseLostError: The attempt ended in another way, or the fence does not hold it.
        ConflictError: It says `completed` but no adapter of this attempt was committed.
    """
    job, attempt = _lock_held(connection, fence)
    if attempt["outcome"] is None:
        end_attempt(connection, job, attempt, _believed(end, job), book, audit, now)
    elif attempt["outcome"] != end.outcome:
        raise LeaseLostError()
    return job["id"]


def _believed(end: AttemptEnd, job: RowMapping) -> AttemptEnd:
    """An agent may only call an attempt cancelled if somebody asked for that."""
    if end.outcome is AttemptOutcome.CANCELLED and not job["flag_cancel"]:
        return AttemptEnd(AttemptOutcome.LOST, "its agent ended it")
    return end


def end_attempt(
    connection: Connection,
    job: RowMapping,
    attempt: RowMapping,
    end: AttemptEnd,
    book: RuleBook,
    audit: AuditLog,
    now: datetime,
) -> None:
    """Ends a running attempt of a locked job and moves the job on."""
    rules = book.of(job["queue"])
    adapter = _handed_in(connection, job["id"], attempt["id"])
    if end.outcome is AttemptOutcome.COMPLETED and adapter is None:
        raise ConflictError(
            "The attempt has no committed adapter.", hint="Commit the folder adapter/ first."
        )
    if not attempts.end(connection, attempt["id"], end.outcome, end.reason, now):
        raise LeaseLostError()
    drained = queues.state_of(connection, job["queue"]) == "draining"
    lost_attempts = 0 if drained else attempts.count_lost(connection, job["id"])
    step = next_step(
        end,
        lost_attempts=lost_attempts,
        max_attempts=rules.max_attempts,
        cancel_requested=job["flag_cancel"],
    )
    changes: dict[str, object] = {}
    if step.state is JobState.QUEUED and not drained:
        changes["lost_by"] = attempt["agent_id"]
        changes["retry_at"] = now + retry_after(lost_attempts, rules.retry_seconds)
    if step.state is JobState.COMPLETED and adapter is not None:
        adapters.set_state(connection, adapter["id"], adapters.STAGED, adapters.COMPLETED)
        changes["progress"] = 1.0
    move(connection, job, step, now, **changes)
    details = {"attempt": attempt["id"], "outcome": end.outcome.value, "state": step.state.value}
    if step.state is JobState.COMPLETED and adapter is not None:
        details |= {"adapter": adapter["id"], "weight_digest": adapter["weight_digest"]}
    audit.append(connection, AuditEntry("attempt.end", job["tenant_id"], job["id"], details))


def _handed_in(connection: Connection, job_id: str, attempt_id: str) -> RowMapping | None:
    """Returns the adapter that this attempt committed; an earlier one's does not count."""
    staged = adapters.staged_of_job(connection, job_id)
    own = adapters.adapter_id_of(attempt_id)
    return staged if staged is not None and staged["id"] == own else None


def release(connection: Connection, held: Claim, reason: str, now: datetime) -> bool:
    """Puts a claimed job back that was never started; returns False if the attempt had ended."""
    job = jobs.lock_job(connection, held.job_id)
    if job is None or not attempts.end(
        connection, held.attempt_id, AttemptOutcome.LOST, reason, now
    ):
        return False
    if job["flag_cancel"]:
        move(connection, job, NextStep(JobState.CANCELLED, "cancelled by its owner"), now)
    else:
        step = NextStep(JobState.QUEUED, reason)
        move(connection, job, step, now, lost_by=held.agent_id, retry_at=None)
    return True


def cancel(connection: Connection, job_id: str, now: datetime) -> bool:
    """Cancels a job that does not train, or asks for it; returns False if that was done before.

    Raises:
        NotFoundError: There is no such job.
        JobStateError: The job is over.
    """
    job = jobs.lock_job(connection, job_id)
    if job is None:
        raise NotFoundError()
    state = JobState(job["state"])
    if state is JobState.CANCELLED or (state is JobState.TRAINING and job["flag_cancel"]):
        return False
    if state in FINAL_STATES:
        raise JobStateError(f"The job is {state} already; there is nothing to cancel.")
    if state is JobState.TRAINING:
        jobs.change_fields(connection, job_id, now, flag_cancel=True)
        tell_state(connection, job_id, NextStep(state, "cancelling"), now)
        return True
    step = NextStep(JobState.CANCELLED, "cancelled by its owner")
    move(connection, job, step, now, flag_cancel=True)
    return True


def prioritise(connection: Connection, job_id: str, priority: int, now: datetime) -> None:
    """Changes the priority of a job that waits.

    Raises:
        NotFoundError: There is no such job.
        JobStateError: The job does not wait any more.
    """
    job = jobs.lock_job(connection, job_id)
    if job is None:
        raise NotFoundError()
    check_action("prioritise", JobState(job["state"]))
    jobs.change_fields(connection, job_id, now, priority=priority)


def expire(
    connection: Connection, attempt_id: str, book: RuleBook, audit: AuditLog, now: datetime
) -> str | None:
    """Ends one attempt if its lease is still over; returns the id of its job."""
    job = jobs.lock_job_of(connection, attempt_id)
    attempt = attempts.get(connection, attempt_id)
    if job is None or attempt is None or attempt["outcome"] is not None:
        return None
    if attempt["lease_until"] >= now:
        return None
    end = AttemptEnd(AttemptOutcome.LOST, "its agent stopped reporting")
    end_attempt(connection, job, attempt, end, book, audit, now)
    return job["id"]


def requested_events(events: Sequence[Mapping[str, object]]) -> int:
    """Returns the highest number that a batch of worker events carries; 0 for none."""
    numbers = [event.get("seq") for event in events]
    return max((n for n in numbers if isinstance(n, int) and not isinstance(n, bool)), default=0)
