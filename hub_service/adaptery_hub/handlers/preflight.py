"""`api/jobs/preflight`: what a job would do, told before it is submitted.

Numbers need what submitting needs: `use` on each dataset; how datasets overlap is told to whoever
may view them all, or a guess could be tried on one that may only be used. The first batch is
content: it needs `view` on each, and is answered only, never kept or logged.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy.engine import Connection

from adaptery.schemas.datasets import Operation as OperationAnswer
from adaptery.schemas.preflight import FirstBatch, PreflightRequest
from adaptery_hub.database import tables
from adaptery_hub.database.statements import versions
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.computing import compute_of
from adaptery_hub.handlers.operations import describe_operation
from adaptery_hub.identity import Identity
from adaptery_hub.job_desk import JobPlan
from adaptery_hub.job_inputs import choose_versions
from adaptery_hub.permissions import Right, fetch
from adaptery_hub.preflight import PreflightWork
from adaptery_hub.preflight.desk import agents_of
from adaptery_hub.routes import Operation, Route


class PreflightHandler(Handler):
    """A pre-flight, in numbers."""

    async def post(self) -> None:
        """Begin to count."""
        self.check_query()
        wanted = self.body(PreflightRequest)
        services, compute, identity = self.services, compute_of(self), self.identity
        plan = await compute.jobs.plan(identity, wanted)
        model = compute.preflights.model_of(plan)
        compares = await services.db.read(lambda c: may_compare(c, identity, plan))
        views = compute.fleet.views() if compute.fleet is not None else ()
        work = PreflightWork(
            services.processes,
            partial(compute.preflights.open, plan, model, compares),
            plan.task,
            plan.translation,
            agents_of(views, plan.base.weight_digest),
        )
        row = await services.operations.start(
            identity,
            "preflight",
            plan.chosen[0].row["id"],
            work,
            may=lambda c: choose_versions(c, identity, wanted),
        )
        self.answer(describe_operation(row, services.operations), 202)


def may_compare(connection: Connection, identity: Identity, plan: JobPlan) -> bool:
    """Whether the caller may be told how datasets overlap: of one, or where they may view all."""
    rights = [
        fetch(connection, tables.versions, identity, entry.row["id"], Right.USE)["right"]
        for entry in plan.chosen
    ]
    return len(rights) == 1 or min(rights) >= Right.VIEW


class FirstBatchHandler(Handler):
    """The first batch of a job, token by token."""

    async def post(self) -> None:
        """Answer what would be trained on first."""
        self.check_query()
        wanted = self.body(PreflightRequest)
        compute, identity = compute_of(self), self.identity
        plan = await compute.jobs.plan(identity, wanted)
        ids = [entry.row["id"] for entry in plan.chosen]

        def check(connection: Connection) -> None:
            for version in ids:
                versions.get(connection, identity, version, Right.VIEW)

        await self.services.db.read(check)
        with self.holding(self.services.looks):
            batch = await compute.preflights.first_batch(plan, identity.tenant_id)
        await self.services.db.read(check)  # it took a while
        self.answer(batch)


ROUTES = [
    Route(
        "api/jobs/preflight",
        PreflightHandler,
        {
            "POST": Operation(
                "write",
                "What a job would do, in numbers: examples, tokens, steps, time, memory and "
                "warnings. The result of the operation is a PreflightReport.",
                request=PreflightRequest,
                response=OperationAnswer,
                status=202,
            )
        },
    ),
    Route(
        "api/jobs/preflight/batch",
        FirstBatchHandler,
        {
            "POST": Operation(
                "write",
                "The first batch of a job, token by token with its weight in the loss; needs the "
                "right to view every dataset.",
                request=PreflightRequest,
                response=FirstBatch,
            )
        },
    ),
]
