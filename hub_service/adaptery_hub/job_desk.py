"""Takes requests for jobs.

A request is checked completely here (task, options, base model, right to use the dataset) and
frozen; what happens afterwards is the queue's business.

Invariants:
- A dataset named without a version is pinned to the newest one at once; the answer says the pinned
  name.
- A job belongs to who submitted it, also when its dataset belongs to a group: sharing the adapter
  is a decision of its own.
- A request with a key that came before, from the same caller, gets the job that it got then; it is
  not checked again, as the world may have changed since.
- The spec is data from the task's file and from checked options, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection, RowMapping

from adaptery.digests import sha256_bytes
from adaptery.errors import ConflictError, FieldProblem, NotFoundError, SpecError
from adaptery.ids import new_id
from adaptery.names import check_name
from adaptery.schemas.jobs import JobAgain, JobCreate, OptionValue
from adaptery.schemas.spec import InputSpec, StartSpec
from adaptery.states import JobState
from adaptery_hub.base_models import BaseModels
from adaptery_hub.database import Database, tables
from adaptery_hub.database.statements import job_inputs, jobs
from adaptery_hub.database.statements.job_inputs import TakenAdapter
from adaptery_hub.database.statements.jobs import RequestKey
from adaptery_hub.identity import Identity
from adaptery_hub.job_actions import check_action, check_priority
from adaptery_hub.job_adapters import JobBase, check_rank, take_adapters
from adaptery_hub.job_inputs import (
    Chosen,
    Translation,
    as_json,
    as_rows,
    choose_versions,
    holds_out,
    input_specs,
    plan_translation,
    refuse_restricted,
)
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.queue import EmbeddedQueue, Submission
from adaptery_hub.queue.priorities import priority_word
from adaptery_hub.storage import StorageDesk
from adaptery_hub.tasks import (
    Circumstances,
    TaskCatalog,
    TaskDefinition,
    check_combinations,
    freeze_spec,
)


@dataclass(frozen=True)
class JobPlan:
    """What a request for a job comes to."""

    task: TaskDefinition
    options: Mapping[str, OptionValue]
    base: JobBase
    chosen: Sequence[Chosen]
    translation: Translation | None
    adapters: tuple[TakenAdapter, ...]
    spec: dict[str, object]  # frozen; the job, the attempt and the base model are not in it yet
    inputs: Sequence[InputSpec]


class JobDesk:
    """Where jobs are submitted."""

    def __init__(
        self,
        database: Database,
        queue: EmbeddedQueue,
        tasks: TaskCatalog,
        base_models: BaseModels,
        storage: StorageDesk | None = None,
        circumstances: Callable[[str | None, str], Circumstances] = lambda weight_digest, queue: (
            Circumstances()
        ),
    ) -> None:
        self._storage = storage
        self._circumstances = circumstances
        self._database = database
        self._queue = queue
        self._tasks = tasks
        self._base_models = base_models

    async def resubmit(self, identity: Identity, job: RowMapping, wanted: JobAgain) -> str:
        """Submits a job that is over again, exactly as it was; returns the id of the new one.

        Raises:
            JobStateError: It is not over.
            AdapteryError: What `submit` raises: whether the caller may is looked at anew.
        """
        check_action("resubmit", JobState(job["state"]))
        again = await self._database.read(lambda c: _again(c, identity, job, wanted))
        return await self.submit(identity, again, task_digest=job["task_digest"])

    async def submit(
        self, identity: Identity, wanted: JobCreate, *, task_digest: str | None = None
    ) -> str:
        """Submits a job; returns its id.

        Args:
            identity: The caller.
            wanted: What was asked for.
            task_digest: What the task must be, if that matters.

        Raises:
            InvalidInputError: The name is not one that an adapter can have.
            SpecError: The task, an option or the base model is not one that there is, or the task
                cannot learn from some records of a version, or cannot take an adapter.
            NotFoundError: There is no such dataset version or adapter, or the caller has no right
                on it.
            NotAllowedError: The caller may see a dataset or adapter but not use it so.
            ConflictError: Its key came with another request before, or the task was changed.
            QuotaError: The caller has too many open jobs.
            StorageQuotaError: The caller has no room for what a job leaves.
        """
        request = _request_key(wanted)
        if request is not None:
            made = await self._database.read(
                lambda c: jobs.find_keyed(c, identity.tenant_id, request)
            )
            if made is not None:
                return made
        check_name(wanted.name)  # its adapter will have it too: in names, headers and files
        plan = await self.plan(identity, wanted, task_digest=task_digest, needs_room=True)
        submission = Submission(
            job_id=new_id("jb"),
            tenant_id=identity.tenant_id,
            creator_id=identity.tenant_id,
            name=wanted.name,
            task=plan.task,
            base_model=plan.base.base_model,
            weight_digest=plan.base.weight_digest,
            options=plan.options,
            frozen_spec=plan.spec,
            inputs=as_rows(plan.inputs),
            adapters=plan.adapters,
            translation=plan.translation and plan.translation.held_out(holds_out(plan.spec)),
            priority=wanted.priority,
            cloned_from=wanted.cloned_from,
            metadata=wanted.metadata,
            request=request,
        )
        return await self._queue.submit(submission)

    async def plan(
        self,
        identity: Identity,
        wanted: JobCreate,
        *,
        task_digest: str | None = None,
        needs_room: bool = False,
    ) -> JobPlan:
        """Checks a request for a job and returns what would be submitted.

        Args:
            identity: The caller.
            wanted: What was asked for.
            task_digest: What the task must be, if that matters.
            needs_room: Whether the caller must have room for what a job leaves.

        Raises:
            AdapteryError: As `submit`, but for names, keys and quotas.
        """
        await self._tasks.refresh()
        task = self._task(wanted.task, identity)
        if wanted.start_from is not None and not task.start_from:
            raise _wrong("start_from", "is not taken by this task", "leave it out")
        if task_digest not in (None, task.digest):
            raise ConflictError(
                f"The task {task.name} was changed since.",
                hint="Clone the job: its form shows what can be chosen now.",
            )
        check_priority(wanted.priority, identity)
        options = self._tasks.check_options(task.name, wanted.options)
        base_model = self._base_model(task, wanted.base_model)
        base = JobBase(
            task.stage, base_model, self._base_models.digest(base_model), task.start_from
        )

        def resolve(
            connection: Connection,
        ) -> tuple[list[Chosen], Translation | None, tuple[TakenAdapter, ...]]:
            if needs_room and self._storage is not None:
                self._storage.check_in(connection, identity.tenant_id)
            return _resolve(connection, identity, wanted, base)

        chosen, translation, taken = await self._database.read(resolve)
        if not self._queue.book.of(task.queue).restricted:
            refuse_restricted(chosen, taken)
        by_role = {entry.role: entry for entry in taken}
        start, judge = by_role.get("start"), by_role.get("reward")
        spec = freeze_spec(
            task,
            options,
            input_specs(chosen, holds_out=False),
            start and StartSpec(weight_digest=start.weight_digest, name=start.name),
            judge and judge.weight_digest,
        )
        check_rank(taken, spec)
        inputs = input_specs(chosen, holds_out=holds_out(spec))
        spec["inputs"] = as_json(inputs)
        known = self._circumstances(base.weight_digest, task.queue)
        has_turns = any(entry.kinds - {"text"} for entry in chosen)
        check_combinations(task, spec, replace(known, has_turns=has_turns))
        return JobPlan(task, options, base, chosen, translation, taken, spec, inputs)

    def _task(self, name: str, identity: Identity) -> TaskDefinition:
        try:
            return self._tasks.get(name, identity.groups)
        except NotFoundError:
            known = ", ".join(task.name for task in self._tasks.seen_by(identity.groups))
            raise _wrong("task", "there is no such task", f"use one of: {known}") from None

    def _base_model(self, task: TaskDefinition, name: str | None) -> str:
        """Returns the base model that was asked for; the default one, or the task's first."""
        allowed = task.allowed(self._base_models.names)
        if name is None and allowed:
            default = self._base_models.default
            return default if default in allowed else allowed[0]
        if name not in allowed:
            known = ", ".join(allowed) or "none is registered for this task"
            raise _wrong("base_model", "is not a base model of this task", f"use one of: {known}")
        return name


def _request_key(wanted: JobCreate) -> RequestKey | None:
    if wanted.key is None:
        return None
    # As it came, not as it is understood: defaults and newest versions may be others by now.
    body = json.dumps(wanted.model_dump(exclude={"key"}), sort_keys=True)
    return RequestKey(wanted.key, sha256_bytes(body.encode()))


def _resolve(
    connection: Connection, identity: Identity, wanted: JobCreate, base: JobBase
) -> tuple[list[Chosen], Translation | None, tuple[TakenAdapter, ...]]:
    """Returns what a job takes, as of one moment."""
    if wanted.cloned_from is not None:
        fetch(connection, tables.jobs, identity, wanted.cloned_from, Right.VIEW)
    chosen = choose_versions(connection, identity, wanted)
    translation = plan_translation(connection, identity, chosen, base.stage)
    return chosen, translation, take_adapters(connection, identity, wanted, base)


def _again(
    connection: Connection, identity: Identity, job: RowMapping, wanted: JobAgain
) -> JobCreate:
    """Returns the request that makes the same job; high priority is given anew, or not."""
    taken = {row["role"]: row["name"] for row in job_inputs.adapters_of(connection, [job["id"]])}
    priority = priority_word(job["priority"])
    return JobCreate(
        task=job["task"],
        name=wanted.name or job["name"],
        base_model=job["base_model"],
        datasets=_versions_of(connection, job),
        validation=next(iter(_inputs_of(connection, job, held_out=True)), None),
        start_from=taken.get("start"),
        reward=taken.get("reward"),
        priority="normal" if priority == "high" and "admin" not in identity.scopes else priority,
        options=job["options"],
        cloned_from=job["id"],
        metadata=job["metadata"],
        key=wanted.key,
    )


def _versions_of(connection: Connection, job: RowMapping) -> tuple[str, ...]:
    """Returns the ids of the versions that a job was submitted with."""
    if job["translation"] is not None:
        return tuple(job["translation"]["order"])
    return _inputs_of(connection, job, held_out=False)


def _inputs_of(connection: Connection, job: RowMapping, *, held_out: bool) -> tuple[str, ...]:
    rows = jobs.inputs_of(connection, [job["id"]])
    return tuple(dict.fromkeys(row["version_id"] for row in rows if row["held_out"] == held_out))


def _wrong(where: str, reason: str, remedy: str) -> SpecError:
    return SpecError(errors=[FieldProblem(where=where, reason=reason, remedy=remedy)])
