"""Carries the jobs of some queues through ClearML, and keeps both in step.

    job that waits -> signed ticket -> task in ClearML's queue -> its worker comes (`workers`)
    task that ended before a worker came -> a new one, after a pause
    job that is over -> its task is ended

What always holds:

- Our database is the truth about jobs. What ClearML says changes only whether a job that no worker
  has begun is given to it again: a ClearML that is dead, slow or lying makes jobs wait, and costs
  one child process now and then.
- A job is in ClearML once at most, and only so many of a queue at a time: the fair order of ours
  decides until then, and a pause of the queue holds.
- ClearML is shown a ticket: names, options, digests and no record. Jobs that take restricted data
  are not handed over unless the administrator says so.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.digests import sha256_bytes
from adaptery.ids import new_id
from adaptery.schemas.queues import QueueOptions
from adaptery.sealed import Ticket, sign_ticket
from adaptery.signing import SigningKey
from adaptery.states import JobState
from adaptery.times import Clock, now
from adaptery_hub import logs
from adaptery_hub.audit import AuditEntry, AuditLog
from adaptery_hub.clearml.carry import ENDED
from adaptery_hub.clearml.links import Program, Waits
from adaptery_hub.clearml.program import Failed, Round
from adaptery_hub.database import Database
from adaptery_hub.database.statements import attempts, jobs, queues
from adaptery_hub.database.statements import clearml_tasks as statements
from adaptery_hub.queue import transitions
from adaptery_hub.queue.embedded import EmbeddedQueue
from adaptery_hub.queue.fairness import fair_order

logger = logging.getLogger(__name__)

#: Tasks of one queue that wait in ClearML: its workers find the next one at once, and whoever comes
#: later still overtakes who has many jobs.
AHEAD = 8
#: Between questions about tasks that are there: their workers tell us themselves how they are.
LOOK_SECONDS = 10.0
#: How long ClearML may take for one round.
ROUND_SECONDS = 60.0
#: Between rounds, and after failures.
WAITS = Waits(look=2.0, last=300.0)
#: Pauses of a job whose tasks end before a worker has begun them: doubled up to the last.
PAUSES = Waits(first=10.0, last=3600.0)

_GUARDED = (
    "it takes restricted data, which is not handed to ClearML; use a task of another queue, or ask "
    "the administrator"
)


class ClearmlCarrier:
    """Keeps ClearML in step with our queues."""

    def __init__(
        self,
        database: Database,
        queue: EmbeddedQueue,
        program: Program,
        audit: AuditLog,
        key: SigningKey,
        project: str,
        options: Mapping[str, QueueOptions],
        clock: Clock = now,
        waits: Waits = WAITS,
    ) -> None:
        """Prepare.

        Args:
            database: ours.
            queue: ours.
            program: speaks with ClearML.
            audit: where it is written down.
            key: signs tickets.
            project: of ClearML, for its tasks.
            options: of the queues that lead there, by name.
            clock: tells the time.
            waits: between rounds, and after failures.
        """
        self._database = database
        self._queue = queue
        self._program = program
        self._audit = audit
        self._key = key
        self._project = project
        self._options = options
        self._clock = clock
        self._waits = waits
        self._rng = random.Random()  # noqa: S311 - a jitter
        self._away = 0
        self._looked_at = clock() - timedelta(days=1)
        self._halfway: set[str] = set()  # tickets that were used, and no attempt was seen yet
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._run(), name="clearml carrier")

    async def stop(self) -> None:
        """End it; a child that runs is killed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def step(self) -> float:
        """Do one round; return after how many seconds to do the next."""
        ending = await self._settle()
        await self._choose()
        placing = [row for row in await self._open() if row["state"] == statements.PLACING]
        due = self._clock() - self._looked_at >= timedelta(seconds=LOOK_SECONDS)
        known = [row for row in await self._open() if row["task"] is not None]
        looking = [row["task"] for row in known if row["id"] not in ending] if due else []
        if not (placing or ending or looking):
            return self._waits.look
        order = {
            "action": "carry",
            "project": self._project,
            "place": [await self._placing(row) for row in placing],
            "end": list(ending.values()),
            "look": looking,
        }
        outcome = await self._program.run(order)
        if isinstance(outcome, Failed) or outcome.round is None:
            return await self._put_off(outcome, placing)
        self._away = 0
        self._looked_at = self._clock() if due else self._looked_at
        await self._take(outcome.round, placing, known, ending, looking)
        return self._waits.look

    async def _run(self) -> None:
        while True:
            wait = self._waits.last
            try:
                wait = await self.step()
            except Exception as error:
                logs.log_exception(logger, "clearml_round_failed", error)
            await asyncio.sleep(wait)

    async def _open(self) -> list[RowMapping]:
        return await self._database.read(statements.open_tasks)

    # -- before a round -------------------------------------------------------------------------

    async def _settle(self) -> dict[str, str]:
        """Forget what needs no task any more; return the tasks to end, by our ids."""
        halfway: set[str] = set()
        for row in await self._open():
            if row["state"] != statements.ENDING and await self._is_idle(row, halfway):
                known = row["task"] is not None
                state = statements.ENDING if known else statements.OVER
                await self._change(row, row["state"], state=state)
        self._halfway = halfway
        rows = await self._open()
        return {row["id"]: row["task"] for row in rows if row["state"] == statements.ENDING}

    async def _is_idle(self, row: RowMapping, halfway: set[str]) -> bool:
        """Whether no worker works on a task, and none shall begin it."""
        if row["state"] != statements.BEGUN:
            return row["job_state"] != JobState.QUEUED
        if row["attempt_id"] is None:  # its worker comes just now; or the service died meanwhile
            halfway.add(row["id"])
            return row["id"] in self._halfway
        attempt = await self._database.read(lambda c: attempts.get(c, row["attempt_id"]))
        return attempt is None or attempt["outcome"] is not None

    async def _choose(self) -> None:
        """Choose who is handed over next."""
        giving = await self._database.read(queues.giving)
        for name in giving:
            if name in self._options:
                for job_id in await self._database.read(lambda c, name=name: self._next(c, name)):
                    await self._admit(job_id, name)

    def _next(self, connection: Connection, queue: str) -> list[str]:
        ahead = [
            row
            for row in statements.open_tasks(connection)
            if row["queue"] == queue and row["state"] in (statements.PLACING, statements.WAITING)
        ]
        rows = statements.waiting_jobs(connection, queue)
        limits = self._queue.book.of(queue).limits
        taken = transitions.taken(connection, queue, rows)
        order = fair_order(map(transitions.as_waiting, rows), taken, limits)
        chosen = [one.job_id for one in order if self._may_return(connection, one.job_id)]
        return chosen[: max(0, AHEAD - len(ahead))]

    def _may_return(self, connection: Connection, job_id: str) -> bool:
        """Whether a job that ClearML gave up on has waited long enough."""
        times = statements.given_up(connection, job_id)
        if not times:
            return True
        pause = min(PAUSES.last, PAUSES.first * 2.0 ** min(len(times) - 1, 20))
        return self._clock() - times[-1] >= timedelta(seconds=pause)

    async def _admit(self, job_id: str, queue: str) -> None:
        guarded = not self._queue.book.of(queue).restricted
        if guarded and await self._database.read(lambda c: statements.takes_guarded(c, job_id)):
            await self._queue.fail_waiting(job_id, _GUARDED)
            return
        # Its code is made when it is signed: until then this digest is nobody's.
        nobody = sha256_bytes(new_id("ct").encode())
        await self._database.write(
            lambda c: statements.insert(c, new_id("ct"), job_id, queue, nobody, self._clock())
        )

    async def _placing(self, row: RowMapping) -> dict[str, Any]:
        def sign(connection: Connection) -> dict[str, Any]:
            job = statements.carried_job(connection, row["job_id"])
            ticket = Ticket(job=job["id"], spec=_spec(job))
            digest = sha256_bytes(ticket.code.encode())
            statements.change(connection, row["id"], statements.PLACING, code_digest=digest)
            return {
                "ref": row["id"],
                "queue": self._options[row["queue"]].clearml_queue,
                "name": f"{job['prefix']}/{job['name']}",
                "tags": [f"adaptery:{job['id']}", f"owner:{job['prefix']}"],
                "ticket": sign_ticket(ticket, self._key),
            }

        return await self._database.write(sign)

    # -- after a round --------------------------------------------------------------------------

    async def _put_off(self, outcome: object, placing: Sequence[RowMapping]) -> float:
        self._away += 1
        reason = outcome.reason if isinstance(outcome, Failed) else "It gave no answer."
        logs.log(logger, logging.WARNING, "clearml_round_put_off", reason=reason, tries=self._away)
        for row in placing:
            await self._tell(row, f"waits for ClearML: {reason}")
        return self._waits.after(self._away, self._rng)

    async def _take(
        self,
        said: Round,
        placing: Sequence[RowMapping],
        known: Sequence[RowMapping],
        ending: Mapping[str, str],
        looking: Sequence[str],
    ) -> None:
        moment = self._clock()
        for row in placing:
            if (task := said.placed.get(row["id"])) is not None:
                await self._note_placed(row, task)
            elif reason := said.refused.get(row["id"]):
                await self._tell(row, f"waits for ClearML: {reason}")
        for row in known:
            if row["id"] in ending:
                if ending[row["id"]] in said.ended:
                    await self._change(row, row["state"], state=statements.OVER)
            elif row["task"] in looking:
                status = said.states.get(row["task"], "missing")[:20]
                await self._change(row, row["state"], status=status, seen_at=moment)
                if status == "missing" or status in ENDED:
                    # A worker that has begun it meanwhile goes on: its lease decides, not ClearML.
                    await self._change(row, statements.WAITING, state=statements.OVER)

    async def _note_placed(self, row: RowMapping, task: str) -> None:
        queue = self._options[row["queue"]].clearml_queue

        def note(connection: Connection) -> None:
            seen = {"task": task, "status": "queued", "seen_at": self._clock()}
            # Its worker may have been faster.
            if not statements.change(
                connection, row["id"], statements.PLACING, state=statements.WAITING, **seen
            ):
                statements.change(connection, row["id"], statements.BEGUN, **seen)
            details = {"queue": str(queue), "task": task}
            self._audit.append(
                connection, AuditEntry("job.clearml_task", None, row["job_id"], details)
            )

        await self._database.write(note)
        await self._tell(row, f"waits in ClearML's queue {queue}")

    async def _change(self, row: RowMapping, held: str, /, **values: Any) -> None:
        await self._database.write(lambda c: statements.change(c, row["id"], held, **values))

    async def _tell(self, row: RowMapping, reason: str) -> None:
        """Say of a job that waits why it does."""

        def tell(connection: Connection) -> None:
            job = jobs.lock_job(connection, row["job_id"])
            if job is not None and job["state"] == JobState.QUEUED and job["reason"] != reason:
                jobs.change_fields(connection, job["id"], self._clock(), reason=reason)

        await self._database.write(tell)


def _spec(job: RowMapping) -> dict[str, Any]:
    base_model = {"name": job["base_model"], "weight_digest": job["weight_digest"]}
    return {**job["spec"], "base_model": base_model}
