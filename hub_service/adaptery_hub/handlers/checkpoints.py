"""`api/jobs/{job}/checkpoints`: what a job can resume from, and what answers as a model."""

from __future__ import annotations

import asyncio

from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import FieldProblem, InvalidInputError, NotFoundError
from adaptery.schemas.checkpoints import Checkpoint
from adaptery.schemas.common import Page
from adaptery.states import JobState
from adaptery_hub.database.statements import adapters, checkpoints
from adaptery_hub.fleet.adapter_manifests import downloaded_folder
from adaptery_hub.handlers.adapters import (
    DOWNLOAD_MEDIA,
    check_right,
    note_download,
    pack,
    send_zip,
)
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.jobs import fetch_job
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right
from adaptery_hub.routes import PAGE_QUERY, Operation, Route
from adaptery_hub.weights import pinned_name

_STEP_DIGITS = 8  # no job has more steps


class JobCheckpointsHandler(Handler):
    """The checkpoints of one job."""

    async def get(self, job: str) -> None:
        """List the checkpoints that are kept, lowest step first."""
        after, limit = self.page()
        self.answer_page(await list_checkpoints(self, job, after), limit)


async def list_checkpoints(handler: Handler, job: str, after: str | None) -> list[Checkpoint]:
    """Returns the checkpoints of a job that are kept, lowest step first.

    Raises:
        NotFoundError: There is no such job, or the caller may not know it.
    """
    row = await fetch_job(handler, job, Right.VIEW)
    identity = handler.identity

    def read(connection: Connection) -> list[Checkpoint]:
        adapter = adapters.of_jobs(connection, [job], identity).get(job)
        prefix = _model_of(row, adapter)
        kept = checkpoints.of_job(connection, job, after)
        return [describe_checkpoint(one, prefix) for one in kept]

    return await handler.services.db.read(read)


class CheckpointDownloadHandler(Handler):
    """One checkpoint as an adapter."""

    async def get(self, job: str, step: str) -> None:
        """Answer the adapter in the checkpoint as one zip file, which PEFT loads."""
        self.check_query()
        number = _parse_step(step)

        def find(connection: Connection, identity: Identity) -> RowMapping:
            row = checkpoints.find_of_job(connection, identity, number, job)
            if row is None:
                raise NotFoundError("There is no such checkpoint that could be served.")
            check_right(row, Right.VIEW)
            return row

        identity = self.identity
        row = await self.services.db.read(lambda c: find(c, identity))
        key = self.services.manifest_key
        folder = await self.services.db.read(lambda c: downloaded_folder(c, row, key))
        packed = await asyncio.to_thread(pack, self.services.objects, folder)
        with packed:
            await note_download(self, "checkpoint.download", row)
            name = f"{row['name']}-{row['number'] or job}-step{number}"
            await send_zip(self, packed, name, row["adapter_id"] or job, find)


def describe_checkpoint(row: RowMapping, model: str | None) -> Checkpoint:
    """Returns a checkpoint as the API shows it.

    Args:
        row: The checkpoint.
        model: How names of the checkpoints of its job begin, if the caller may ask them.
    """
    is_served = model is not None and row["weight_digest"] is not None
    return Checkpoint(
        id=row["id"],
        step=row["step"],
        digest=row["digest"],
        bytes=sum(file["bytes"] for file in row["files"]),
        metrics=row["metrics"],
        model=f"{model}-step{row['step']}" if is_served else None,
        created_at=row["created_at"],
    )


def _model_of(job: RowMapping, adapter: RowMapping | None) -> str | None:
    """Returns what names the checkpoints of a job; see `statements.checkpoints` for who may."""
    if adapter is not None:
        return pinned_name(adapter) if adapter["right"] >= Right.USE else None
    is_deleted = job["state"] == JobState.COMPLETED
    return job["id"] if job["right"] >= Right.EDIT and not is_deleted else None


def _parse_step(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _STEP_DIGITS):
        raise InvalidInputError(
            errors=[FieldProblem("step", "is not a step.", "Write its number, as the list has it.")]
        )
    return int(text)


ROUTES = [
    Route(
        "api/jobs/{job}/checkpoints",
        JobCheckpointsHandler,
        {
            "GET": Operation(
                "read",
                "The checkpoints of a job; `model` is how each is asked for.",
                response=Page[Checkpoint],
                query=PAGE_QUERY,
            )
        },
    ),
    Route(
        "api/jobs/{job}/checkpoints/{step}/download",
        CheckpointDownloadHandler,
        {
            "GET": Operation(
                "read",
                "The adapter in a checkpoint and its signed manifest as a zip file.",
                media=DOWNLOAD_MEDIA,
            )
        },
    ),
]
