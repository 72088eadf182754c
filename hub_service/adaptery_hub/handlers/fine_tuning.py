"""`v1/fine_tuning/jobs`: jobs as OpenAI's clients submit and follow them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import RowMapping

from adaptery.errors import (
    AdapteryError,
    ConflictError,
    FieldProblem,
    InvalidInputError,
    NotFoundError,
)
from adaptery.schemas.fine_tuning import FineTuningRequest
from adaptery.schemas.jobs import METADATA_LIMIT
from adaptery_hub.database.statements import job_events, job_lists, training_files
from adaptery_hub.database.statements.job_lists import JobFilter
from adaptery_hub.fine_tuning import (
    JobFacts,
    as_asked,
    as_page,
    checkpoint_id_of,
    dataset_id_of,
    describe_checkpoint,
    describe_event,
    describe_job,
    event_seq_of,
    job_id_of,
    job_request,
    method_task,
)
from adaptery_hub.handlers.base import OpenAIHandler
from adaptery_hub.handlers.checkpoints import list_checkpoints
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.jobs import cancel_job, describe_jobs, fetch_job, see_to_jobs
from adaptery_hub.permissions import Right
from adaptery_hub.routes import PAGE_QUERY, Operation, Route


class _JobsHandler(OpenAIHandler):
    async def described(self, rows: Sequence[RowMapping]) -> list[dict[str, object]]:
        """Return jobs as OpenAI has them."""
        jobs = await describe_jobs(self, rows)
        ids = [row["id"] for row in rows]
        learnt = await self.services.db.read(lambda c: training_files.datasets_of_jobs(c, ids))
        return [
            describe_job(
                job,
                JobFacts(
                    learnt.get((job.id, False)), learnt.get((job.id, True)), row["spec"] or {}
                ),
            )
            for job, row in zip(jobs, rows, strict=True)
        ]

    async def answer_job(self, job_id: str) -> None:
        """Answer one job.

        Raises:
            NotFoundError: there is none, or the caller may not know it.
        """
        row = await fetch_job(self, job_id, Right.VIEW)
        self.answer_json((await self.described([row]))[0])


class FineTuningJobsHandler(_JobsHandler):
    """The jobs of the caller."""

    async def get(self) -> None:
        """List the jobs, newest first."""
        after, limit = self.page()
        behind = job_id_of(after) if after is not None else None
        wanted = JobFilter(sort="newest", metadata=self._notes())
        rows = await self.services.db.read(
            lambda c: job_lists.list_visible(c, self.identity, wanted, behind, limit)
        )
        self.answer_json(as_page(await self.described(rows), limit))

    def _notes(self) -> dict[str, str]:
        """Return the notes that listed jobs have, as `metadata[name]=value` says them.

        Raises:
            InvalidInputError: one is said twice, or in another way, or there are too many.
        """
        said = [name for name in self.request.query_arguments if name.startswith("metadata[")]
        found = {name[len("metadata[") : -1]: self.query(name) or "" for name in said}
        if len(said) > METADATA_LIMIT or "" in found or not all(one.endswith("]") for one in said):
            raise _wrong("metadata", "is no note of a job.", "Say metadata[name]=value.")
        return found

    async def post(self) -> None:
        """Submit a job."""
        self.check_query()
        wanted = self.body(FineTuningRequest)
        compute = compute_of(self)
        await compute.tasks.refresh()
        try:
            task = compute.tasks.get(method_task(wanted), self.identity.groups)
        except NotFoundError:
            raise _wrong("task", "is not there.", "GET api/tasks lists those that are.") from None
        base_model, start_from = await self._model(wanted.model)
        held_out = wanted.validation_file
        asked = job_request(
            wanted,
            task,
            dataset=await self._version("training_file", wanted.training_file),
            validation=held_out and await self._version("validation_file", held_out),
            base_model=base_model,
            start_from=start_from,
        )
        try:
            job_id = await compute.jobs.submit(self.identity, asked)
        except AdapteryError as error:
            raise as_asked(error) from None
        see_to_jobs(self)
        await self.answer_job(job_id)

    async def _model(self, name: str) -> tuple[str, str | None]:
        """Return the base model to train, and the adapter to go on from."""
        compute = compute_of(self)
        if name in compute.base_models.names:
            return name, None
        target = await compute.gateway.resolver.resolve(self.identity, name, sealed=True)
        return target.base_model, name if target.adapter is not None else None

    async def _version(self, field: str, name: str) -> str:
        """Return what names the version of a file; what names none is a version's name already.

        Raises:
            NotFoundError: there is no such file, or the caller may not know it.
            InvalidInputError: it has no version.
        """
        dataset = dataset_id_of(name)
        if not dataset:
            return name
        row = await self.services.db.read(
            lambda c: training_files.get(c, self.identity, dataset, Right.USE)
        )
        if row["version_id"] is None:
            raise _wrong(field, "is not processed.", "GET v1/files says why, in status_details.")
        return row["version_id"]


class FineTuningJobHandler(_JobsHandler):
    """One job."""

    async def get(self, fine_tuning_job: str) -> None:
        """Answer the job."""
        self.check_query()
        await self.answer_job(job_id_of(fine_tuning_job))


class FineTuningCancelHandler(_JobsHandler):
    """Cancelling one job."""

    async def post(self, fine_tuning_job: str) -> None:
        """Cancel the job, or ask its agent to."""
        job_id = job_id_of(fine_tuning_job)
        await cancel_job(self, job_id)
        await self.answer_job(job_id)


class FineTuningPauseHandler(_JobsHandler):
    """Pausing and resuming, which OpenAI has and we have not."""

    async def post(self, fine_tuning_job: str) -> None:
        """Say so."""
        await fetch_job(self, job_id_of(fine_tuning_job), Right.MANAGE)
        raise ConflictError(
            "A job cannot be paused.",
            hint="Cancel it, and submit another that goes on from its last checkpoint: its name "
            "is the model of that job.",
        )


class FineTuningEventsHandler(OpenAIHandler):
    """What happened to one job."""

    async def get(self, fine_tuning_job: str) -> None:
        """List the events, newest first."""
        after, limit = self.page()
        job_id = job_id_of(fine_tuning_job)
        before = event_seq_of(after, job_id) if after is not None else None
        await fetch_job(self, job_id, Right.VIEW)
        rows = await self.services.db.read(
            lambda c: job_events.read_back(c, job_id, before, limit + 1)
        )
        self.answer_json(as_page([describe_event(job_id, row) for row in rows], limit))


class FineTuningCheckpointsHandler(OpenAIHandler):
    """The checkpoints of one job."""

    async def get(self, fine_tuning_job: str) -> None:
        """List the checkpoints that are kept, lowest step first."""
        after, limit = self.page()
        job_id = job_id_of(fine_tuning_job)
        behind = checkpoint_id_of(after) if after is not None else None
        found = await list_checkpoints(self, job_id, behind)
        self.answer_json(as_page([describe_checkpoint(job_id, one) for one in found], limit))


def _wrong(where: str, reason: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(errors=[FieldProblem(where, reason, remedy)])


_JOBS = "v1/fine_tuning/jobs"
_ONE = f"{_JOBS}/{{fine_tuning_job}}"

ROUTES = [
    Route(
        _JOBS,
        FineTuningJobsHandler,
        {
            "GET": Operation(
                "read",
                "My jobs, as OpenAI lists them, newest first.",
                query={
                    **PAGE_QUERY,
                    "metadata[]": "`metadata[name]=value`: only jobs that say so.",
                },
            ),
            "POST": Operation(
                "write",
                "Submit a job as OpenAI's clients do; options of the task come beside OpenAI's "
                "fields.",
                request=FineTuningRequest,
            ),
        },
    ),
    Route(_ONE, FineTuningJobHandler, {"GET": Operation("read", "One job.")}),
    Route(
        f"{_ONE}/cancel",
        FineTuningCancelHandler,
        {"POST": Operation("write", "Cancel a job.")},
    ),
    *(
        Route(
            f"{_ONE}/{verb}",
            FineTuningPauseHandler,
            {"POST": Operation("write", "Refused: a job cannot be paused.")},
        )
        for verb in ("pause", "resume")
    ),
    Route(
        f"{_ONE}/events",
        FineTuningEventsHandler,
        {"GET": Operation("read", "What happened to a job, newest first.", query=PAGE_QUERY)},
    ),
    Route(
        f"{_ONE}/checkpoints",
        FineTuningCheckpointsHandler,
        {"GET": Operation("read", "The checkpoints of a job.", query=PAGE_QUERY)},
    ),
]
