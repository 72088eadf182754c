"""Statements about the files of drafts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import NotFoundError
from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database.tables import datasets, files


def by_name(connection: Connection, dataset_id: str, name: str) -> RowMapping | None:
    """Return the file of this name in a dataset."""
    statement = sa.select(files).where(files.c.dataset_id == dataset_id, files.c.name == name)
    return connection.execute(statement).mappings().first()


def find(connection: Connection, dataset_id: str, name_or_id: str) -> RowMapping | None:
    """Return the file with this id, or else of this name, in a dataset."""
    statement = (
        sa.select(files)
        .where(
            files.c.dataset_id == dataset_id,
            sa.or_(files.c.id == name_or_id, files.c.name == name_or_id),
        )
        .order_by(sa.case((files.c.id == name_or_id, 0), else_=1))
    )
    return connection.execute(statement).mappings().first()


def list_page(
    connection: Connection, dataset_id: str, after: str | None, limit: int
) -> list[RowMapping]:
    """Return up to `limit` files of a dataset, oldest first."""
    statement = sa.select(files).where(files.c.dataset_id == dataset_id)
    if after is not None:
        statement = statement.where(files.c.id > after)
    return list(connection.execute(statement.order_by(files.c.id).limit(limit)).mappings())


def names(connection: Connection, dataset_id: str) -> dict[str, str]:
    """Return the names of a dataset's files by their ids."""
    statement = sa.select(files.c.id, files.c.name).where(files.c.dataset_id == dataset_id)
    return {row.id: row.name for row in connection.execute(statement)}


def receiving(
    connection: Connection, dataset_id: str, name: str, creator_id: str, received: int
) -> RowMapping:
    """Note how much of an unfinished file is here."""
    return _unready(connection, dataset_id, name, creator_id, "receiving", received)


def importing(
    connection: Connection, dataset_id: str, name: str, creator_id: str, size: int
) -> RowMapping:
    """Note that the records of a file are about to enter the draft."""
    return _unready(connection, dataset_id, name, creator_id, "importing", size)


def ready(
    connection: Connection, file_id: str, *, digest: str, format: str, records: int
) -> RowMapping:
    """Note that every record of a file is in the draft."""
    values = {"digest": digest, "format": format, "records": records, "state": "ready"}
    connection.execute(sa.update(files).where(files.c.id == file_id).values(**values))
    return connection.execute(sa.select(files).where(files.c.id == file_id)).mappings().one()


def discard(connection: Connection, dataset_id: str, name: str) -> None:
    """Forget a file that did not become ready."""
    connection.execute(
        sa.delete(files).where(
            files.c.dataset_id == dataset_id, files.c.name == name, files.c.state != "ready"
        )
    )


def remove(connection: Connection, file_id: str) -> None:
    """Forget a file."""
    connection.execute(sa.delete(files).where(files.c.id == file_id))


def unfinished(connection: Connection) -> list[RowMapping]:
    """Return every file that is not ready."""
    return list(connection.execute(sa.select(files).where(files.c.state != "ready")).mappings())


def _unready(
    connection: Connection, dataset_id: str, name: str, creator_id: str, state: str, size: int
) -> RowMapping:
    if connection.scalar(sa.select(datasets.c.id).where(datasets.c.id == dataset_id)) is None:
        raise NotFoundError("The dataset was deleted meanwhile.")
    existing = by_name(connection, dataset_id, name)
    values: dict[str, Any] = {"state": state, "bytes": size}
    if existing is None:
        file_id = new_id("fi")
        values |= {
            "id": file_id,
            "created_at": now(),
            "dataset_id": dataset_id,
            "creator_id": creator_id,
            "name": name,
        }
        connection.execute(sa.insert(files).values(**values))
    else:
        file_id = existing["id"]
        if existing["state"] != "ready":
            connection.execute(sa.update(files).where(files.c.id == file_id).values(**values))
    return connection.execute(sa.select(files).where(files.c.id == file_id)).mappings().one()


def touch_dataset(connection: Connection, dataset_id: str, records: int, draft_bytes: int) -> None:
    """Note that a draft changed, how many records it holds and how much it takes now."""
    connection.execute(
        sa.update(datasets)
        .where(datasets.c.id == dataset_id)
        .values(records=records, draft_bytes=draft_bytes, updated_at=now())
    )
