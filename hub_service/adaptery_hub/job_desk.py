"""Takes requests for jobs and tells how jobs are.

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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection, RowMapping

from adaptery.digests import sha256_bytes
from adaptery.errors import FieldProblem, NotFoundError, SpecError
from adaptery.ids import new_id
from adaptery.names import check_name
from adaptery.schemas.jobs import Job, JobCreate
from adaptery.schemas.spec import InputSpec
from adaptery.stages import STAGE_KINDS
from adaptery.states import JobState
from adaptery_hub.base_models import BaseModels
from adaptery_hub.database import Database
from adaptery_hub.database.statements import adapters, attempts, jobs, tenants, versions
from adaptery_hub.database.statements.jobs import NewInput, RequestKey
from adaptery_hub.full_names import full_name
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right
from adaptery_hub.queue import EmbeddedQueue, Submission, fairness, transitions
from adaptery_hub.storage import StorageDesk
from adaptery_hub.tasks import TaskCatalog, TaskDefinition, freeze_spec

_PREPARING = "the agent is preparing this base model"


@dataclass(frozen=True)
class _Facts:
    """What the answers about some jobs need besides their rows."""

    inputs: Mapping[str, RowMapping]
    made: Mapping[str, RowMapping]
    attempts: Mapping[str, int]
    prefixes: Mapping[str, str]
    positions: Mapping[str, int]


class JobDesk:
    """Where jobs are submitted and looked at."""

    def __init__(
        self,
        database: Database,
        queue: EmbeddedQueue,
        tasks: TaskCatalog,
        base_models: BaseModels,
        storage: StorageDesk | None = None,
    ) -> None:
        self._storage = storage
        self._database = database
        self._queue = queue
        self._tasks = tasks
        self._base_models = base_models

    async def submit(self, identity: Identity, wanted: JobCreate) -> str:
        """Submits a job; returns its id.

        Raises:
            InvalidInputError: The name is not one that an adapter can have.
            SpecError: The task, an option or the base model is not one that there is, or the task
                cannot learn from some records of the version.
            NotFoundError: There is no such dataset version, or the caller has no right on it.
            NotAllowedError: The caller may see the dataset but not use it.
            ConflictError: Its key came with another request before.
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
        if self._storage is not None:
            await self._storage.check(identity.tenant_id)
        check_name(wanted.name)  # its adapter will have it too: in names, headers and files
        task = self._task(wanted.task)
        options = self._tasks.check_options(task.name, wanted.options)
        base_model = self._base_model(wanted.base_model)
        version = await self._database.read(
            lambda c: versions.resolve(c, identity, wanted.versions[0], Right.USE)
        )
        _check_usable(version)
        _check_kinds(task, version["report"])
        wanted_input = await self._database.read(lambda c: _input(c, version))
        submission = Submission(
            job_id=new_id("jb"),
            tenant_id=identity.tenant_id,
            creator_id=identity.tenant_id,
            name=wanted.name,
            task=task,
            base_model=base_model,
            options=options,
            frozen_spec=freeze_spec(task, options, [wanted_input]),
            inputs=(NewInput(version["id"], wanted_input.split),),
            request=request,
        )
        return await self._queue.submit(submission)

    async def describe(
        self,
        rows: Sequence[RowMapping],
        has_agent: Mapping[str, bool],
        soon: Collection[str] = (),
    ) -> list[Job]:
        """Returns jobs as the API shows them.

        Args:
            rows: The jobs.
            has_agent: By weight digest, whether a live agent holds these base weights.
            soon: Names of base models that live agents will hold soon.
        """
        limit = self._queue.rules.running_limit
        facts = await self._database.read(lambda c: _gather(c, rows, limit))
        return [_describe(row, facts, _reason(row, facts, has_agent, soon)) for row in rows]

    def _task(self, name: str) -> TaskDefinition:
        try:
            return self._tasks.get(name)
        except NotFoundError:
            known = ", ".join(task.name for task in self._tasks)
            raise _wrong("task", "there is no such task", f"use one of: {known}") from None

    def _base_model(self, name: str | None) -> str:
        chosen = name or self._base_models.default
        if chosen not in self._base_models.names:
            known = ", ".join(sorted(self._base_models.names)) or "none is registered"
            raise _wrong("base_model", "is not a registered base model", f"use one of: {known}")
        return chosen


def _request_key(wanted: JobCreate) -> RequestKey | None:
    if wanted.key is None:
        return None
    # As it came, not as it is understood: defaults and newest versions may be others by now.
    body = json.dumps(wanted.model_dump(exclude={"key"}), sort_keys=True)
    return RequestKey(wanted.key, sha256_bytes(body.encode()))


def _input(connection: Connection, version: RowMapping) -> InputSpec:
    """Returns a version as an input: of one with splits, what is meant to be learnt from."""
    has_train = "train" in (version["splits"] or {})
    sources = versions.source_digests(connection, version["id"])
    return InputSpec(
        version=version["id"],
        content_digest=version["content_digest"],
        split="train" if has_train else "all",
        split_digest=version["split_digest"],
        sources=tuple(sources) or None,
    )


def _check_usable(version: RowMapping) -> None:
    """Refuses a version that was withdrawn, or that was merged from one."""
    name = versions.full_name(version)
    if version["state"] != versions.COMPLETED:
        raise _wrong("dataset", f"is {version['state']}: {name}", "use another version")
    if version["withdrawn_sources"]:
        reason = f"holds records of versions that are withdrawn: {name}"
        raise _wrong("dataset", reason, "merge again without them")


def _check_kinds(task: TaskDefinition, report: Mapping[str, Mapping[str, int]] | None) -> None:
    """Refuses now what a worker would refuse after the wait; old versions have no report."""
    kinds = report["kinds"] if report is not None else {}
    others = sorted(set(kinds) - set(STAGE_KINDS[task.stage]))
    if not others:
        return
    found = ", ".join(f"{kinds[kind]:,} of kind {kind}" for kind in others)
    known = " and ".join(sorted(STAGE_KINDS[task.stage]))
    reason = f"has records that {task.name} cannot learn from: {found}"
    remedy = f"remove or change them and publish again; it takes {known} records"
    raise _wrong("dataset", reason, remedy)


def _gather(connection: Connection, rows: Sequence[RowMapping], limit: int | None) -> _Facts:
    ids = [row["id"] for row in rows]
    owners = tenants.get_many(connection, list({row["tenant_id"] for row in rows}))
    positions: dict[str, int] = {}
    for queue in {row["queue"] for row in rows if row["state"] == JobState.QUEUED}:
        waiting, shares = transitions.waiting_line(connection, queue)
        line = fairness.fair_order(map(transitions.as_waiting, waiting), shares, limit)
        positions |= {entry.job_id: place for place, entry in enumerate(line, start=1)}
    return _Facts(
        inputs={row["job_id"]: row for row in jobs.inputs_of(connection, ids)},
        made=adapters.of_jobs(connection, ids),
        attempts=attempts.count_by_job(connection, ids),
        prefixes={
            row["id"]: row["slug"] if row["kind"] == "group" else f"@{row['slug']}"
            for row in owners
        },
        positions=positions,
    )


def _describe(row: RowMapping, facts: _Facts, reason: str | None) -> Job:
    version = facts.inputs[row["id"]]
    adapter = facts.made.get(row["id"])
    return Job(
        id=row["id"],
        name=row["name"],
        tenant=facts.prefixes[row["tenant_id"]],
        task=row["task"],
        base_model=row["base_model"],
        dataset=full_name(
            version["tenant_kind"], version["slug"], version["dataset_name"], version["number"]
        ),
        state=JobState(row["state"]),
        reason=reason,
        position=facts.positions.get(row["id"]),
        cancel_requested=row["flag_cancel"],
        queue=row["queue"],
        progress=row["progress"],
        attempts=facts.attempts.get(row["id"], 0),
        adapter=_adapter_name(adapter) if adapter is not None else None,
        adapter_id=adapter["id"] if adapter is not None else None,
        created_at=row["created_at"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        state_at=row["state_at"],
        summary=row["summary"],
        options=row["options"],
        right=Right(row["right"]).word if "right" in row else None,
    )


def _adapter_name(row: RowMapping) -> str:
    return full_name(row["tenant_kind"], row["slug"], row["name"], row["number"])


def _reason(
    row: RowMapping, facts: _Facts, has_agent: Mapping[str, bool], soon: Collection[str]
) -> str | None:
    """Says why a queued job waits as things are now; other states keep their reason."""
    is_awaited = row["base_model"] in soon and not has_agent.get(row["weight_digest"], False)
    if row["state"] == JobState.CREATED and is_awaited:
        return _PREPARING
    if row["state"] != JobState.QUEUED:
        return row["reason"]
    if row["id"] not in facts.positions:
        return "your other jobs use all the slots that you may use at once"
    if is_awaited:
        return _PREPARING
    if not has_agent.get(row["weight_digest"], False):
        return "no agent that has this base model is connected"
    return row["reason"] or "waiting for a free slot"


def _wrong(where: str, reason: str, remedy: str) -> SpecError:
    return SpecError(errors=[FieldProblem(where=where, reason=reason, remedy=remedy)])
