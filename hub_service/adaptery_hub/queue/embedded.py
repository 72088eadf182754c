"""The embedded queue: the service's own database is the queue.

A thin asynchronous shell: each method is one transaction (`transitions`, `reports`) on a database
thread, then a signal to whoever watches the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import cast

from sqlalchemy.engine import Connection

from adaptery.abilities import needed_abilities, needs_text
from adaptery.errors import QuotaError
from adaptery.schemas.spec import InputSpec
from adaptery.times import Clock, now
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.database import Database, Lane
from adaptery_hub.database.statements import attempts, job_inputs, jobs, queues, tenants
from adaptery_hub.database.statements.jobs import Offer
from adaptery_hub.queue import priorities, reports, transitions
from adaptery_hub.queue.outcomes import AttemptEnd
from adaptery_hub.queue.port import Claim, Fence, Renewal, Submission
from adaptery_hub.queue.rules import RuleBook
from adaptery_hub.queue.signals import JobSignals


class EmbeddedQueue:
    """The queue back end that needs nothing but the database. See `port.Queue` for each method."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        book: RuleBook | None = None,
        signals: JobSignals | None = None,
        clock: Clock = now,
    ) -> None:
        self.book = book or RuleBook()
        self.signals = signals or JobSignals()
        self._database = database
        self._audit = audit
        self._clock = clock

    async def submit(self, submission: Submission) -> str:
        """Stores a job as `created` and queues it if it can be; returns its id.

        Raises:
            ConflictError: Its key came with another request before.
            QuotaError: The tenant has too many open jobs.
        """
        job_id = await self._database.write(lambda c: self._submit(c, submission))
        self.signals.notify(job_id)
        return job_id

    async def prepare(self) -> None:
        """Queues every `created` job that can be, and says why the others cannot."""
        for job_id in await self._database.read(transitions.enqueueable):
            await self._database.write(
                lambda c, job_id=job_id: transitions.enqueue(c, job_id, self._clock())
            )
            self.signals.notify(job_id)

    async def translated(self, job_id: str, inputs: Sequence[InputSpec], told: str) -> None:
        """Gives a job its inputs in place of what had to be translated, and queues it."""
        await self._database.write(
            lambda c: transitions.translated(c, job_id, inputs, told, self._clock())
        )
        self.signals.notify(job_id)

    async def fail_waiting(self, job_id: str, reason: str) -> None:
        """Fails a job that waits; one that does not any more stays as it is."""
        await self._database.write(
            lambda c: transitions.fail_waiting(c, job_id, reason, self._clock())
        )
        self.signals.notify(job_id)

    async def fail_lossy(self) -> None:
        """Fails every job that waits in vain: what it takes was withdrawn or deleted."""
        for job_id in await self._database.read(job_inputs.lossy_jobs):
            await self._database.write(lambda c, job_id=job_id: self._fail_lossy(c, job_id))
            self.signals.notify(job_id)

    async def giving(self) -> list[str]:
        """Returns the queues that are open and in which a job waits."""
        return await self._database.read(queues.giving)

    async def claim(self, offer: Offer) -> Claim | None:
        """Leases the job that is next for this slot; None if there is none."""
        rules = self.book.of(offer.queue)
        held = await self._database.write(
            lambda c: transitions.claim(c, offer, rules, self._audit, self._clock()),
            lane=Lane.AGENTS,
        )
        if held is not None:
            self.signals.notify(held.job_id)
        return held

    async def confirm(self, claim: Claim) -> None:
        """Notes that the agent took the order."""
        await self._database.write(
            lambda c: attempts.mark_started(c, claim.attempt_id, self._clock()),
            lane=Lane.AGENTS,
        )

    async def release(self, claim: Claim, reason: str) -> None:
        """Gives a claimed job back that its agent never started."""
        await self._database.write(
            lambda c: transitions.release(c, claim, reason, self._clock()), lane=Lane.AGENTS
        )
        self.signals.notify(claim.job_id)

    async def report(self, fence: Fence, events: Sequence[Mapping[str, object]]) -> Renewal:
        """Stores a worker's events and renews the lease.

        Raises:
            LeaseLostError: This token does not hold the attempt.
        """
        job_id, renewal = await self._database.write(
            lambda c: reports.take_report(c, fence, events, self.book, self._audit, self._clock()),
            lane=Lane.AGENTS,
        )
        self.signals.notify(job_id)
        return renewal

    async def finish(self, fence: Fence, end: AttemptEnd) -> None:
        """Ends an attempt and moves its job on.

        Raises:
            LeaseLostError: The attempt ended in another way, or this token does not hold it.
            ConflictError: It says `completed` but no adapter was committed.
        """
        job_id = await self._database.write(
            lambda c: transitions.finish(c, fence, end, self.book, self._audit, self._clock()),
            lane=Lane.AGENTS,
        )
        self.signals.notify(job_id)

    async def cancel(self, job_id: str, entry: AuditEntry | None = None) -> None:
        """Cancels a job, or asks its agent to; writes down who asked, if it was the first time.

        Raises:
            JobStateError: The job is over.
        """

        def cancel(connection: Connection) -> None:
            if transitions.cancel(connection, job_id, self._clock()) and entry is not None:
                self._audit.append(connection, entry)

        await self._database.write(cancel)
        self.signals.notify(job_id)

    async def reap(self) -> list[str]:
        """Ends every attempt whose lease is over; returns the ids of their jobs."""
        expired = await self._database.read(lambda c: attempts.expired(c, self._clock()))
        reaped: list[str] = []
        for row in expired:
            job_id = await self._database.write(
                lambda c, attempt_id=row["id"]: transitions.expire(
                    c, attempt_id, self.book, self._audit, self._clock()
                )
            )
            if job_id is not None:
                self.signals.notify(job_id)
                reaped.append(job_id)
        return reaped

    def _submit(self, connection: Connection, submission: Submission) -> str:
        # What one creator sends at once is taken one by one: neither key nor limit is overlooked.
        tenants.lock(connection, submission.creator_id)
        request = submission.request
        made = request and jobs.find_keyed(connection, submission.creator_id, request)
        if made is not None:
            return made
        self._check_room(connection, submission)
        moment = self._clock()
        transitions.create(connection, self._row(submission), submission.inputs, moment)
        job_inputs.insert_adapters(connection, submission.job_id, submission.adapters, moment)
        details = {
            "name": submission.name,
            "task": submission.task.name,
            "base_model": submission.base_model,
            "inputs": [entry.version_id for entry in submission.inputs],
            **{entry.role: entry.weight_digest for entry in submission.adapters},
        }
        self._audit.append(
            connection,
            AuditEntry("job.submit", submission.creator_id, submission.job_id, details),
        )
        return submission.job_id

    def _check_room(self, connection: Connection, submission: Submission) -> None:
        book = self.book
        counts = [(jobs.count_open(connection, submission.tenant_id), book.open_jobs_limit)]
        if book.user_open_jobs_limit is not None:
            own = jobs.count_open_by(connection, submission.creator_id)
            counts.append((own, book.user_open_jobs_limit))
        for open_jobs, limit in counts:
            if open_jobs >= limit:
                raise QuotaError(
                    f"There are {open_jobs} open jobs; the limit is {limit}.",
                    hint="Wait for a job to end, or cancel one.",
                )

    def _fail_lossy(self, connection: Connection, job_id: str) -> None:
        reason = job_inputs.loss(connection, job_id)
        if reason is not None:
            transitions.fail_waiting(connection, job_id, reason, self._clock())

    def _row(self, submission: Submission) -> dict[str, object]:
        translation = submission.translation
        optim = cast("Mapping[str, object]", submission.frozen_spec.get("optim", {}))
        return {
            "id": submission.job_id,
            "tenant_id": submission.tenant_id,
            "creator_id": submission.creator_id,
            "name": submission.name,
            "task": submission.task.name,
            "task_digest": submission.task.digest,
            "base_model": submission.base_model,
            "options": dict(submission.options),
            "spec": dict(submission.frozen_spec),
            "weight_digest": submission.weight_digest,
            "translation": translation and translation.model_dump(mode="json"),
            "reason": str(translation or "preparing"),
            "queue": submission.task.queue,
            "needs": needs_text(needed_abilities(optim).values()),
            "priority": priorities.NUMBERS[submission.priority],
            "cloned_from": submission.cloned_from,
            "metadata": submission.metadata,
            **(asdict(submission.request) if submission.request else {}),
        }
