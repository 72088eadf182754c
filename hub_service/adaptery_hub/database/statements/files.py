"""Statements about the files of drafts."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError, NotFoundError, TooLargeError
from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database.tables import datasets, files

#: Files of one draft.
FILES_LIMIT = 10_000


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


def ready_of(connection: Connection, dataset_id: str) -> list[RowMapping]:
    """Return the files of a dataset whose records are in its draft."""
    statement = sa.select(files).where(files.c.dataset_id == dataset_id, files.c.state == "ready")
    return list(connection.execute(statement.order_by(files.c.id)).mappings())


def original(connection: Connection, dataset_id: str, file_id: str) -> RowMapping | None:
    """Return the digest of a file, and whether its dataset is restricted."""
    statement = (
        sa.select(files.c.digest, (datasets.c.sensitivity == "restricted").label("restricted"))
        .join_from(files, datasets, datasets.c.id == files.c.dataset_id)
        .where(files.c.dataset_id == dataset_id, files.c.id == file_id)
    )
    return connection.execute(statement).mappings().first()


def to_seal(connection: Connection, dataset_id: str) -> set[str]:
    """Return the digests of the files that a restricted dataset keeps, and nothing reads any more.

    None of another dataset; nor of a file that may still be imported, under whatever name.
    """
    here = files.c.dataset_id == dataset_id
    restricted = sa.select(datasets.c.id).where(
        datasets.c.id == dataset_id, datasets.c.sensitivity == "restricted"
    )
    statement = sa.select(files.c.digest, files.c.state).where(
        here, files.c.digest.is_not(None), files.c.dataset_id.in_(restricted)
    )
    rows = connection.execute(statement).all()
    open_ones = {row.digest for row in rows if row.state != "ready"}
    return {row.digest for row in rows} - open_ones


def by_id(connection: Connection, dataset_id: str, file_id: str) -> RowMapping | None:
    """Return the file with this id in a dataset."""
    statement = sa.select(files).where(files.c.dataset_id == dataset_id, files.c.id == file_id)
    return connection.execute(statement).mappings().first()


def receiving(
    connection: Connection, dataset_id: str, name: str, creator_id: str, received: int
) -> RowMapping:
    """Note how much of an unfinished file is here; one that came whole before stays as it is."""
    existing = by_name(connection, dataset_id, name)
    if existing is not None and existing["state"] != "receiving":
        return existing
    values = {"state": "receiving", "bytes": received, "kept_bytes": received}
    return _noted(connection, existing, dataset_id, name, creator_id, values)


def received(
    connection: Connection, dataset_id: str, name: str, creator_id: str, size: int, digest: str
) -> RowMapping:
    """Note that a file is here as a whole; one that never became records is replaced.

    Raises:
        ConflictError: the records of a file of this name are in the draft, or about to be.
    """
    existing = by_name(connection, dataset_id, name)
    if existing is not None and existing["state"] in ("importing", "ready"):
        raise ConflictError("A file of this name came meanwhile.", hint="Look at it first.")
    values = {
        "state": "received",
        "bytes": size,
        "kept_bytes": size,
        "digest": digest,
        **dict.fromkeys(("format", "container", "mapping", "reason", "tokenizer"), None),
        **dict.fromkeys(("records", "problems"), 0),
    }
    return _noted(connection, existing, dataset_id, name, creator_id, values)


def importing(connection: Connection, file_id: str) -> RowMapping:
    """Note that the records of a file are about to enter the draft.

    Raises:
        NotFoundError: the file is gone.
        ConflictError: its records are there, or it has not come whole.
    """
    statement = (
        sa.update(files)
        .where(files.c.id == file_id, files.c.state.in_(("received", "refused")))
        .values(state="importing", reason=None, problems=0, kept_bytes=files.c.bytes)
    )
    changed = connection.execute(statement).rowcount
    row = connection.execute(sa.select(files).where(files.c.id == file_id)).mappings().first()
    if row is None:
        raise NotFoundError("There is no such file in this draft.")
    if not changed:
        raise ConflictError(
            _NOT_NOW[row["state"]], hint="Remove the file and upload it again to read it otherwise."
        )
    return row


_NOT_NOW = {
    "receiving": "The file has not come whole yet.",
    "importing": "The records of this file are being imported already.",
    "ready": "The records of this file are in the draft already.",
}


def settle(connection: Connection, file_id: str, state: str, **values: Any) -> RowMapping | None:
    """Note how an import ended; None: the file is gone."""
    connection.execute(
        sa.update(files)
        .where(files.c.id == file_id, files.c.state == "importing")
        .values(state=state, **values)
    )
    return connection.execute(sa.select(files).where(files.c.id == file_id)).mappings().first()


def forget_original(connection: Connection, file_id: str) -> None:
    """Note that the bytes of a file go, while its records stay.

    Raises:
        ConflictError: its records are not in the draft, or its bytes are gone already.
    """
    changed = connection.execute(
        sa.update(files)
        .where(
            files.c.id == file_id,
            files.c.state == "ready",
            files.c.digest.is_not(None),
            files.c.kept_bytes >= files.c.bytes,
        )
        .values(kept_bytes=files.c.kept_bytes - files.c.bytes)
    )
    if not changed.rowcount:
        raise ConflictError(
            "Only the bytes of a file whose records are in the draft can go alone.",
            hint="Remove the file.",
        )


def discard_part(connection: Connection, dataset_id: str, name: str) -> None:
    """Forget a file that did not come whole."""
    connection.execute(
        sa.delete(files).where(
            files.c.dataset_id == dataset_id, files.c.name == name, files.c.state == "receiving"
        )
    )


def remove(connection: Connection, file_id: str) -> None:
    """Forget a file."""
    connection.execute(sa.delete(files).where(files.c.id == file_id))


def unfinished(connection: Connection) -> list[RowMapping]:
    """Return every file that has not come whole."""
    return _in_states(connection, "receiving")


def half_imported(connection: Connection) -> list[RowMapping]:
    """Return every file whose import has not ended."""
    return _in_states(connection, "importing")


def kept(connection: Connection) -> list[RowMapping]:
    """Return every file of which something has to lie here."""
    statement = sa.select(files).where(
        files.c.state != "receiving", files.c.kept_bytes > 0, files.c.digest.is_not(None)
    )
    return list(connection.execute(statement).mappings())


class Named(NamedTuple):
    """What the files of a dataset name."""

    digests: set[str]
    file_ids: set[str]


def named(connection: Connection, dataset_id: str) -> Named:
    """Return the ids of the files of a dataset, and the digests of those that are kept."""
    kept = sa.and_(files.c.digest.is_not(None), files.c.kept_bytes >= files.c.bytes)
    statement = sa.select(files.c.id, files.c.digest, kept.label("kept")).where(
        files.c.dataset_id == dataset_id
    )
    rows = connection.execute(statement).all()
    return Named({row.digest for row in rows if row.kept}, {row.id for row in rows})


def _in_states(connection: Connection, *states: str) -> list[RowMapping]:
    return list(connection.execute(sa.select(files).where(files.c.state.in_(states))).mappings())


def _check_count(connection: Connection, dataset_id: str) -> None:
    count = sa.select(sa.func.count()).where(files.c.dataset_id == dataset_id)
    if (connection.scalar(count) or 0) >= FILES_LIMIT:
        raise TooLargeError(
            f"A draft holds at most {FILES_LIMIT} files.",
            hint="Put them into one file or a zip archive, or remove some.",
        )


def _noted(
    connection: Connection,
    existing: RowMapping | None,
    dataset_id: str,
    name: str,
    creator_id: str,
    values: dict[str, Any],
) -> RowMapping:
    if connection.scalar(sa.select(datasets.c.id).where(datasets.c.id == dataset_id)) is None:
        raise NotFoundError("The dataset was deleted meanwhile.")
    if existing is None:
        _check_count(connection, dataset_id)
        file_id = new_id("fi")
        named = {"id": file_id, "created_at": now(), "dataset_id": dataset_id, "name": name}
        connection.execute(sa.insert(files).values(**named, creator_id=creator_id, **values))
    else:
        file_id = existing["id"]
        connection.execute(sa.update(files).where(files.c.id == file_id).values(**values))
    return connection.execute(sa.select(files).where(files.c.id == file_id)).mappings().one()


def touch_dataset(connection: Connection, dataset_id: str, records: int, draft_bytes: int) -> None:
    """Note that a draft changed, how many records it holds and how much it takes now."""
    connection.execute(
        sa.update(datasets)
        .where(datasets.c.id == dataset_id)
        .values(records=records, draft_bytes=draft_bytes, updated_at=now())
    )
