"""Statements about the published versions of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, InvalidInputError, NotFoundError, VersionExistsError
from adaptery.ids import is_id
from adaptery.names import parse_name
from adaptery_hub.database.statements.names import prefix_column
from adaptery_hub.database.statements.tenants import by_prefix
from adaptery_hub.database.tables import (
    datasets,
    tenants,
    version_files,
    version_sources,
    versions,
)
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right, fetch

#: The states of a version. A withdrawn one stays readable, but nothing new is made from it.
COMPLETED = "completed"
WITHDRAWN = "withdrawn"
ERASED = "erased"


@dataclass(frozen=True)
class SourceFile:
    """A file whose records are in a version."""

    file_id: str
    name: str
    digest: str | None
    records: int


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
    return find(connection, version_id)


def check_readable(row: RowMapping) -> None:
    """Refuse a version that was erased.

    Raises:
        ConflictError: nobody can read it any more.
    """
    if row["state"] == ERASED:
        raise ConflictError(
            f"{full_name(row)} was erased: nobody can read it any more.",
            hint="Use another version, or publish the dataset anew.",
        )


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
    else:
        statement = statement.where(versions.c.state == COMPLETED)
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


def check_new(
    connection: Connection,
    dataset_id: str,
    content_digest: str,
    split_digest: str | None,
    *,
    encrypted: bool = False,
) -> str | None:
    """Refuse content that is published already, in the same splits.

    An encrypted version may take the place of one that lies in clear.

    Returns:
        The id of the version whose place this one takes.

    Raises:
        VersionExistsError: naming the version with this content.
    """
    statement = _select().where(
        versions.c.dataset_id == dataset_id,
        versions.c.content_digest == content_digest,
        versions.c.split_digest.is_not_distinct_from(split_digest),
    )
    # What was replaced has the content of what took its place: that one counts.
    statement = statement.order_by(versions.c.number.desc())
    row = connection.execute(statement).mappings().first()
    if row is None:
        return None
    if encrypted and row["state"] == COMPLETED and not row["counts"].get("encrypted"):
        return row["id"]
    what = "these records" if split_digest is None else "these records in these splits"
    if row["state"] != COMPLETED:
        raise VersionExistsError(
            f"{full_name(row)} has exactly {what}, and is {row['state']}.",
            hint="Change the draft: what was withdrawn is not published again.",
        )
    raise VersionExistsError(
        f"{full_name(row)} has exactly {what}.", hint="Change the draft, or use it."
    )


def insert(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a version.

    Raises:
        VersionExistsError: naming the version with this content.
        ConflictError: another version took this number meanwhile.
    """
    replaced = check_new(
        connection,
        values["dataset_id"],
        values["content_digest"],
        values.get("split_digest"),
        encrypted=values["counts"].get("encrypted", False),
    )
    if next_number(connection, values["dataset_id"]) != values["number"]:
        raise ConflictError("Another version was published meanwhile.", hint="Publish again.")
    connection.execute(sa.insert(versions).values(**values))
    if replaced is not None:
        _replace(connection, replaced, values)


def clear_restricted(connection: Connection) -> int:
    """Return how many versions of restricted datasets lie in clear."""
    statement = (
        sa.select(versions.c.counts)
        .join_from(versions, datasets, datasets.c.id == versions.c.dataset_id)
        .where(datasets.c.sensitivity == "restricted", versions.c.state != ERASED)
    )
    return sum(not counts.get("encrypted") for counts in connection.scalars(statement))


def replaced_by(connection: Connection, dataset_id: str, at: datetime) -> RowMapping | None:
    """Return the version whose place the one took that was published at this moment."""
    statement = _select().where(
        versions.c.dataset_id == dataset_id,
        versions.c.state == WITHDRAWN,
        versions.c.withdrawn_at == at,
    )
    return connection.execute(statement).mappings().first()


def _replace(connection: Connection, version_id: str, values: dict[str, Any]) -> None:
    """Let the encrypted files of a new version be those of the one with the same content."""
    withdraw(
        connection,
        version_id,
        f"Published again, encrypted, as number {values['number']}.",
        values["created_at"],
    )
    this = versions.c.id == version_id
    counts = connection.scalar(sa.select(versions.c.counts).where(this))
    assert counts is not None
    # The files count for the new one. A lock, or a backup, may still hold those in clear.
    counts = {**counts, "bytes": 0, "encrypted": True, "was_clear": True}
    connection.execute(
        sa.update(versions)
        .where(this)
        .values(counts=counts, manifest_digest=values["manifest_digest"])
    )


def insert_files(
    connection: Connection, version_id: str, files: Sequence[SourceFile], at: datetime
) -> None:
    """Write down which files the records of a version came from."""
    for number, file in enumerate(files):
        connection.execute(
            sa.insert(version_files).values(
                id=f"{version_id}.{number}",
                created_at=at,
                version_id=version_id,
                file_id=file.file_id,
                name=file.name,
                digest=file.digest,
                records=file.records,
            )
        )


def insert_sources(
    connection: Connection, version_id: str, source_ids: Sequence[str], at: datetime
) -> None:
    """Write down which versions a merged one references, in order."""
    for position, source_id in enumerate(source_ids):
        connection.execute(
            sa.insert(version_sources).values(
                id=f"{version_id}.{position}",
                created_at=at,
                version_id=version_id,
                source_version_id=source_id,
                position=position,
            )
        )


def source_digests(connection: Connection, version_id: str) -> list[str]:
    """Return the content digests of the versions whose records a merged one may hold."""
    return list(connection.scalars(_SOURCE_DIGESTS, {"version": version_id}))


def find(connection: Connection, version_id: str) -> RowMapping:
    """Return a version as `get` would, whoever may see it; for the service's own use."""
    return connection.execute(_FIND, {"version": version_id}).mappings().one()


def of_dataset_named(connection: Connection, tenant_id: str, name: str) -> list[RowMapping]:
    """Return the versions of an owner's dataset, newest first; for the service's own use."""
    statement = _select().where(datasets.c.tenant_id == tenant_id, datasets.c.name == name)
    return list(connection.execute(statement.order_by(versions.c.number.desc())).mappings())


def withdraw(connection: Connection, version_id: str, reason: str, at: datetime) -> bool:
    """Withdraw a version; return False if it was not completed any more."""
    statement = (
        sa.update(versions)
        .where(versions.c.id == version_id, versions.c.state == COMPLETED)
        .values(state=WITHDRAWN, reason=reason, withdrawn_at=at)
    )
    return connection.execute(statement).rowcount == 1


def digests_of(connection: Connection, dataset_id: str) -> set[tuple[str, str | None]]:
    """Return the content digest and the split digest of every version of a dataset."""
    statement = sa.select(versions.c.content_digest, versions.c.split_digest).where(
        versions.c.dataset_id == dataset_id
    )
    return {(row.content_digest, row.split_digest) for row in connection.execute(statement)}


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
            datasets.c.expires_at,
            prefix_column().label("prefix"),
            _withdrawn_sources().label("withdrawn_sources"),
        )
        .join_from(versions, datasets, datasets.c.id == versions.c.dataset_id)
        .join(tenants, tenants.c.id == datasets.c.tenant_id)
    )


#: Asked at each submit, so they are built once: that costs more than to run them.
_FIND = _select().where(versions.c.id == sa.bindparam("version"))
_SOURCE_DIGESTS = (
    sa.select(versions.c.content_digest)
    .join(version_sources, version_sources.c.source_version_id == versions.c.id)
    .where(version_sources.c.version_id == sa.bindparam("version"))
    .order_by(version_sources.c.position)
)
