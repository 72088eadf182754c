"""Statements about the published versions of datasets."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, InvalidInputError, NotFoundError, VersionExistsError
from adaptery.ids import is_id
from adaptery.names import parse_name
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.statements.tenants import by_prefix
from adaptery_hub.database.tables import datasets, tenants, version_sources, versions
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, fetch

#: The states of a version. A withdrawn one stays readable, but nothing new is made from it.
COMPLETED = "completed"
WITHDRAWN = "withdrawn"
ERASED = "erased"


def full_name(row: RowMapping) -> str:
    """Return the pinned name of a version row of this module."""
    return f"{row['prefix']}/{row['dataset_name']}@{row['number']}"


def get(connection: Connection, identity: Identity, version_id: str, right: Right) -> RowMapping:
    """Return a version with its dataset's name, `prefix`, `tenant_id` and `sensitivity`.

    Raises:
        NotFoundError: there is none, or the caller has no right on its dataset.
        NotAllowedError: the caller has a lesser right on it.
    """
    fetch(connection, versions, identity, version_id, right)
    return connection.execute(_select().where(versions.c.id == version_id)).mappings().one()


def resolve(connection: Connection, identity: Identity, name: str, right: Right) -> RowMapping:
    """Return the version that a name or id means to the caller; without a number the newest.

    Raises:
        InvalidInputError: this is neither a version's name nor an id.
        NotFoundError: there is none, or the caller has no right on its dataset.
        NotAllowedError: the caller has a lesser right on it.
    """
    if is_id(name, "dv"):
        return get(connection, identity, name, right)
    thing = parse_name(name)
    if thing.checkpoint_step is not None:
        raise InvalidInputError("A dataset has no checkpoints.", hint="Write name@version.")
    statement = sa.select(versions.c.id).join_from(versions, datasets)
    statement = statement.where(datasets.c.name == thing.name)
    statement = statement.where(datasets.c.tenant_id == _owner(connection, identity, thing))
    if thing.version is not None:
        statement = statement.where(versions.c.number == thing.version)
    newest = connection.scalar(statement.order_by(versions.c.number.desc()).limit(1))
    # No such version and no right take the same path and get the same answer.
    return get(connection, identity, newest or "", right)


def list_page(
    connection: Connection, dataset_id: str, after: str | None, limit: int
) -> list[RowMapping]:
    """Return up to `limit` versions of a dataset, oldest first."""
    statement = _select().where(versions.c.dataset_id == dataset_id)
    if after is not None:
        statement = statement.where(versions.c.id > after)
    return list(connection.execute(statement.order_by(versions.c.id).limit(limit)).mappings())


def next_number(connection: Connection, dataset_id: str) -> int:
    """Return the number that the next version of a dataset gets."""
    newest = sa.select(sa.func.max(versions.c.number)).where(versions.c.dataset_id == dataset_id)
    return (connection.scalar(newest) or 0) + 1


def check_new(connection: Connection, dataset_id: str, content_digest: str) -> None:
    """Refuse content that is published already.

    Raises:
        VersionExistsError: naming the version with this content.
    """
    statement = _select().where(
        versions.c.dataset_id == dataset_id, versions.c.content_digest == content_digest
    )
    row = connection.execute(statement).mappings().first()
    if row is not None:
        raise VersionExistsError(
            f"{full_name(row)} has exactly these records.", hint="Change the draft, or use it."
        )


def insert(connection: Connection, values: dict[str, Any]) -> RowMapping:
    """Insert a version and return it as `get` would.

    Raises:
        VersionExistsError: naming the version with this content.
        ConflictError: another version took this number meanwhile.
    """
    check_new(connection, values["dataset_id"], values["content_digest"])
    if next_number(connection, values["dataset_id"]) != values["number"]:
        raise ConflictError("Another version was published meanwhile.", hint="Publish again.")
    connection.execute(sa.insert(versions).values(**values))
    statement = _select().where(versions.c.id == values["id"])
    return connection.execute(statement).mappings().one()


def digests_of(connection: Connection, dataset_id: str) -> set[str]:
    """Return the content digests of every version of a dataset."""
    statement = sa.select(versions.c.content_digest).where(versions.c.dataset_id == dataset_id)
    return set(connection.scalars(statement))


def _owner(connection: Connection, identity: Identity, thing: Any) -> str:
    if thing.tenant is None:
        return identity.tenant_id
    owner = by_prefix(connection, f"@{thing.tenant}" if thing.personal else thing.tenant)
    if owner is None:
        raise NotFoundError(
            hint="Check the id; a thing you have no right to looks the same as one that is not."
        )
    return owner["id"]


def _withdrawn_sources() -> sa.ColumnElement[int]:
    source = versions.alias()
    return (
        sa.select(sa.func.count(source.c.id.distinct()))
        .join_from(version_sources, source, source.c.id == version_sources.c.source_version_id)
        .where(version_sources.c.version_id == versions.c.id, source.c.state != COMPLETED)
        .correlate(versions)
        .scalar_subquery()
    )


def _select() -> sa.Select[tuple[object, ...]]:
    return (
        sa.select(
            versions,
            datasets.c.name.label("dataset_name"),
            datasets.c.tenant_id,
            datasets.c.sensitivity,
            prefix_column().label("prefix"),
            _withdrawn_sources().label("withdrawn_sources"),
        )
        .join_from(versions, datasets, datasets.c.id == versions.c.dataset_id)
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
    )
