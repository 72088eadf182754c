"""Statements about datasets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, FieldProblem, QuotaError
from adaptery.schemas.datasets import DatasetOrder
from adaptery.times import now
from adaptery_hub.database.statements import grants
from adaptery_hub.database.statements.names import full_name_holds, prefix_column
from adaptery_hub.database.statements.places import behind
from adaptery_hub.database.tables import datasets, files, operations, tenants, versions
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, fetch, right_of, visible

#: Ids grow with the time of creation.
_PLACES: Mapping[DatasetOrder, sa.Tuple] = {
    "created": sa.tuple_(datasets.c.id),
    "-changed": sa.tuple_(datasets.c.updated_at, datasets.c.id),
    "name": sa.tuple_(datasets.c.name, datasets.c.id),
}


@dataclass(frozen=True)
class DatasetQuery:
    """Which datasets someone wants to see, and in what order."""

    search: str | None = None  # what the full name holds, in whatever case
    order: DatasetOrder = "created"


def insert(
    connection: Connection,
    *,
    dataset_id: str,
    tenant_id: str,
    creator_id: str,
    name: str,
    sensitivity: str,
    description: str,
    limit: int,
    draft_bytes: int | None = None,
) -> None:
    """Insert a dataset.

    Raises:
        ConflictError: its owner has a dataset of this name.
        QuotaError: its owner has `limit` datasets.
    """
    own = sa.select(sa.func.count()).where(datasets.c.tenant_id == tenant_id)
    if connection.scalar(own.where(datasets.c.name == name)):
        raise ConflictError(
            "The owner has a dataset of this name.",
            errors=[FieldProblem("name", "is taken.", "Choose another name.")],
        )
    if (held := connection.scalar(own) or 0) >= limit:
        raise QuotaError(
            f"An owner may have {limit} datasets and has {held}.", hint="Delete one first."
        )
    moment = now()
    connection.execute(
        sa.insert(datasets).values(
            id=dataset_id,
            created_at=moment,
            updated_at=moment,
            tenant_id=tenant_id,
            creator_id=creator_id,
            name=name,
            sensitivity=sensitivity,
            description=description,
            records=0,
            draft_bytes=draft_bytes,
        )
    )


def get(connection: Connection, identity: Identity, dataset_id: str, right: Right) -> RowMapping:
    """Return a dataset with its owner's `prefix` and the caller's `right`.

    Raises:
        NotFoundError: there is none, or the caller has no right on it.
        NotAllowedError: the caller has a lesser right.
    """
    fetch(connection, datasets, identity, dataset_id, right)
    statement = _select(identity).where(datasets.c.id == dataset_id)
    return connection.execute(statement).mappings().one()


def find_named(connection: Connection, tenant_id: str, name: str) -> RowMapping | None:
    """Return an owner's dataset of this name, whoever may see it; for the service's own use."""
    statement = sa.select(datasets).where(
        datasets.c.tenant_id == tenant_id, datasets.c.name == name
    )
    return connection.execute(statement).mappings().first()


def list_page(
    connection: Connection,
    identity: Identity,
    wanted: DatasetQuery,
    after: str | None,
    limit: int,
) -> list[RowMapping]:
    """Return up to `limit` datasets that the caller may view, behind the dataset `after`.

    Raises:
        InvalidInputError: `after` is no dataset that the caller may view; an order by time of
            creation goes on behind what is gone, too.
    """
    statement = _select(identity).where(visible(datasets, identity, Right.VIEW))
    if wanted.search:
        statement = statement.where(full_name_holds(datasets.c.name, wanted.search))
    place, descending = _PLACES[wanted.order], wanted.order.startswith("-")
    order = [column.desc() for column in place] if descending else list(place)
    if after is not None and wanted.order == "created":
        statement = statement.where(datasets.c.id > after)
    elif after is not None:
        statement = statement.where(
            behind(connection, identity, datasets, after, place, descending=descending)
        )
    return list(connection.execute(statement.order_by(*order).limit(limit)).mappings())


def change(connection: Connection, dataset_id: str, values: dict[str, str]) -> None:
    """Change columns of a dataset."""
    connection.execute(
        sa.update(datasets).where(datasets.c.id == dataset_id).values(**values, updated_at=now())
    )


def remove_draft(connection: Connection, dataset_id: str) -> None:
    """Delete a dataset that was never published.

    Raises:
        ConflictError: it has versions, or an operation is working on it.
    """
    published = sa.select(sa.func.count()).where(versions.c.dataset_id == dataset_id)
    if count := connection.scalar(published):
        raise ConflictError(
            f"This dataset has published versions ({count}), which stay.",
            hint="To empty its draft, remove its files. To destroy all of it, erase it.",
        )
    running = sa.select(operations.c.id).where(
        operations.c.thing_id == dataset_id, operations.c.state == "running"
    )
    if connection.scalar(running) is not None:
        raise ConflictError(
            "An operation is working on this dataset.", hint="Wait for it, or cancel it."
        )
    grants.remove_all(connection, dataset_id)
    connection.execute(sa.delete(files).where(files.c.dataset_id == dataset_id))
    connection.execute(sa.delete(datasets).where(datasets.c.id == dataset_id))


def all_ids(connection: Connection) -> set[str]:
    """Return the ids of every dataset, for the sweep at start."""
    return set(connection.scalars(sa.select(datasets.c.id)))


def _select(identity: Identity) -> sa.Select[tuple[object, ...]]:
    return sa.select(
        datasets,
        prefix_column().label("prefix"),
        right_of(datasets, identity).label("right"),
    ).join_from(datasets, tenants, tenants.c.id == datasets.c.tenant_id)


def viewable(connection: Connection, identity: Identity, ids: Collection[str]) -> list[str]:
    """Return which of these datasets someone may view."""
    may = visible(datasets, identity, Right.VIEW)
    return list(connection.scalars(sa.select(datasets.c.id).where(datasets.c.id.in_(ids), may)))
