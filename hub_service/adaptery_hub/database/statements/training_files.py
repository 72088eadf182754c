"""Statements about what OpenAI calls a file: a dataset with one uploaded file, and its version."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import NotFoundError
from adaptery.times import now
from adaptery_hub.database.statements.versions import COMPLETED
from adaptery_hub.database.tables import datasets, files, job_inputs, versions
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, fetch, visible

#: By when they came.
FileOrder = Literal["asc", "desc"]


def get(connection: Connection, identity: Identity, dataset_id: str, right: Right) -> RowMapping:
    """Return the only file of a dataset, with `version_id`, the newest that can be learnt from.

    Raises:
        NotFoundError: there is none, or the caller has no right on the dataset.
        NotAllowedError: the caller has a lesser right.
    """
    fetch(connection, datasets, identity, dataset_id, right)
    row = connection.execute(_select().where(datasets.c.id == dataset_id)).mappings().first()
    if row is None:
        raise NotFoundError(
            "There is no such file.", hint="It has several files, or its versions are withdrawn."
        )
    return row


def list_page(
    connection: Connection, identity: Identity, after: str | None, limit: int, order: FileOrder
) -> list[RowMapping]:
    """Return up to `limit` files that the caller may view."""
    place, down = datasets.c.id, order == "desc"
    statement = _select().where(visible(datasets, identity, Right.VIEW))
    if after is not None:
        statement = statement.where(place < after if down else place > after)
    ordered = statement.order_by(place.desc() if down else place)
    return list(connection.execute(ordered.limit(limit)).mappings())


def expire(connection: Connection, dataset_id: str, at: datetime) -> None:
    """Write down when a file is erased."""
    connection.execute(sa.update(datasets).where(datasets.c.id == dataset_id).values(expires_at=at))


def completed(connection: Connection, dataset_id: str) -> list[str]:
    """Return the ids of all versions of a dataset that can be learnt from."""
    statement = sa.select(versions.c.id).where(
        versions.c.dataset_id == dataset_id, versions.c.state == COMPLETED
    )
    return list(connection.scalars(statement))


def datasets_of_jobs(connection: Connection, ids: Collection[str]) -> dict[tuple[str, bool], str]:
    """Return the dataset that each job learns from first, and the one that it holds out."""
    first = sa.or_(job_inputs.c.position == 0, job_inputs.c.held_out)
    statement = (
        sa.select(job_inputs.c.job_id, job_inputs.c.held_out, versions.c.dataset_id)
        .join_from(job_inputs, versions, versions.c.id == job_inputs.c.version_id)
        .where(job_inputs.c.job_id.in_(ids), first)
    )
    rows = connection.execute(statement)
    return {(row.job_id, row.held_out): row.dataset_id for row in rows}


def _select() -> sa.Select[tuple[object, ...]]:
    other = files.alias()
    another = sa.exists().where(other.c.dataset_id == datasets.c.id, other.c.id != files.c.id)
    of_dataset = versions.c.dataset_id == datasets.c.id
    newest = (
        sa.select(versions.c.id)
        .where(of_dataset, versions.c.state == COMPLETED)
        .order_by(versions.c.number.desc())
        .limit(1)
        .correlate(datasets)
        .scalar_subquery()
    )
    published = sa.exists().where(of_dataset).correlate(datasets)
    return (
        sa.select(files, newest.label("version_id"), datasets.c.expires_at)
        .join_from(files, datasets, datasets.c.id == files.c.dataset_id)
        .where(~another, files.c.state != "receiving", sa.or_(~published, newest.is_not(None)))
        .where(sa.or_(datasets.c.expires_at.is_(None), datasets.c.expires_at > now()))
    )
