"""The port to a queue back end: what the service asks of it, whatever stands behind.

`submit -> prepare -> enqueue -> claim (lease, fencing token) -> report -> finish`, reaped and
queued again on loss. The embedded back end keeps everything in the service's database; another
(ClearML) would keep its own and be reconciled to it.

Invariants of every back end:
- A job is claimed by at most one attempt at a time, and only the holder of the newest fencing token
  changes anything.
- A submitted job is never lost: it stays `created` with a reason until the back end has it. Nor is
  it doubled, where its request has a key.
- `finish` may come twice; the second time changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from adaptery.schemas.jobs import OptionValue, Priority
from adaptery.schemas.spec import InputSpec, JobSpec
from adaptery_hub.audit import AuditEntry
from adaptery_hub.database.statements.job_inputs import TakenAdapter
from adaptery_hub.database.statements.jobs import NewInput, Offer, RequestKey
from adaptery_hub.job_inputs import Translation
from adaptery_hub.queue.outcomes import AttemptEnd
from adaptery_hub.tasks import TaskDefinition


@dataclass(frozen=True)
class Submission:
    """A checked request for a job; from here on it does not change."""

    job_id: str
    tenant_id: str
    creator_id: str
    name: str
    task: TaskDefinition
    base_model: str
    weight_digest: str | None  # of the base model, if it is known
    options: Mapping[str, OptionValue]
    frozen_spec: Mapping[str, object]
    inputs: Sequence[NewInput]
    adapters: Sequence[TakenAdapter] = ()
    translation: Translation | None = None  # what has to happen before it can be queued
    priority: Priority = "normal"
    cloned_from: str | None = None
    metadata: Mapping[str, str] | None = None
    request: RequestKey | None = None


@dataclass(frozen=True)
class Claim:
    """One attempt, leased to one agent."""

    attempt_id: str
    number: int
    job_id: str
    tenant_id: str
    agent_id: str
    fencing_token: int
    lease_until: datetime
    lease_seconds: float
    spec: JobSpec


@dataclass(frozen=True)
class Fence:
    """What an agent shows to prove that it still holds an attempt."""

    attempt_id: str
    agent_id: str
    fencing_token: int


@dataclass(frozen=True)
class Renewal:
    """The answer to a report."""

    lease_until: datetime
    cancel: bool
    drain: bool  # to save a checkpoint and give the job back
    acked_seq: int


class Queue(Protocol):
    """A queue back end."""

    async def submit(self, submission: Submission) -> str:
        """Stores a job as `created` and tries to queue it; returns its id.

        A request that came before with its key makes no second job: the first one's id is returned.

        Raises:
            ConflictError: Its key came with another request before.
            QuotaError: The tenant has too many open jobs.
        """
        ...

    async def prepare(self) -> None:
        """Queues every `created` job that can be, and says why the others cannot."""
        ...

    async def translated(self, job_id: str, inputs: Sequence[InputSpec], told: str) -> None:
        """Gives a job its inputs in place of what had to be translated, and queues it."""
        ...

    async def fail_waiting(self, job_id: str, reason: str) -> None:
        """Fails a job that waits; one that does not any more stays as it is."""
        ...

    async def fail_lossy(self) -> None:
        """Fails every job that waits in vain: what it takes was withdrawn or deleted."""
        ...

    async def giving(self) -> list[str]:
        """Returns the queues that are open and in which a job waits."""
        ...

    async def claim(self, offer: Offer) -> Claim | None:
        """Leases the job that is next for this slot; None if there is none."""
        ...

    async def confirm(self, claim: Claim) -> None:
        """Notes that the agent took the order."""
        ...

    async def release(self, claim: Claim, reason: str) -> None:
        """Gives a job back that its agent never started; it does not count as a lost attempt."""
        ...

    async def report(self, fence: Fence, events: Sequence[Mapping[str, object]]) -> Renewal:
        """Stores a worker's events and renews the lease.

        Raises:
            LeaseLostError: This token does not hold the attempt.
        """
        ...

    async def finish(self, fence: Fence, end: AttemptEnd) -> None:
        """Ends an attempt and moves its job on.

        Raises:
            LeaseLostError: The attempt ended in another way, or this token does not hold it.
            ConflictError: It says `completed` but no adapter was committed.
        """
        ...

    async def cancel(self, job_id: str, entry: AuditEntry | None = None) -> None:
        """Cancels a job, or asks its agent to; writes down who asked, if it was the first time.

        Raises:
            JobStateError: The job is over.
        """
        ...

    async def reap(self) -> list[str]:
        """Ends every attempt whose lease is over; returns the ids of their jobs."""
        ...
