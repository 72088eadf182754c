"""Statements about what lies in a store that cannot rename.

A folder appears and goes by one change of the state of its rows, whatever the store is doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from adaptery.errors import ConflictError
from adaptery.ids import new_id
from adaptery.times import now
from adaptery_hub.database.statements.versions import ERASED
from adaptery_hub.database.tables import adapters, checkpoints, stored_files, versions


@dataclass(frozen=True)
class NewFile:
    """A file that is about to be stored."""

    path: str
    bytes: int
    digest: str


def begin(connection: Connection, prefix: str, files: Sequence[NewFile]) -> None:
    """Write down what is about to be stored, before a byte of it is.

    Raises:
        ConflictError: something is stored there already.
    """
    if list_stored(connection, prefix, limit=1):
        raise ConflictError("This content is stored already.")
    moment = now()
    connection.execute(
        sa.insert(stored_files),
        [
            {
                "id": new_id("sf"),
                "created_at": moment,
                "prefix": prefix,
                "path": file.path,
                "bytes": file.bytes,
                "digest": file.digest,
                "state": "putting",
            }
            for file in files
        ],
    )


def finish(
    connection: Connection,
    prefix: str,
    version_ids: Mapping[str, str | None],
    locked_until: datetime | None,
) -> None:
    """Let a folder appear; its store has all of it."""
    for path, version_id in version_ids.items():
        connection.execute(
            sa.update(stored_files)
            .where(
                stored_files.c.prefix == prefix,
                stored_files.c.path == path,
                stored_files.c.state == "putting",
            )
            .values(state="stored", version_id=version_id, locked_until=locked_until)
        )


def find(connection: Connection, key: str) -> RowMapping | None:
    """Return a stored file by its folder's prefix and its path in it, joined by a slash."""
    parts = key.split("/")
    splits = [("/".join(parts[:cut]), "/".join(parts[cut:])) for cut in range(1, len(parts))]
    places = [
        (stored_files.c.prefix == prefix) & (stored_files.c.path == path) for prefix, path in splits
    ]
    statement = sa.select(stored_files).where(sa.or_(*places), stored_files.c.state == "stored")
    return connection.execute(statement).mappings().first()


def list_stored(connection: Connection, prefix: str, limit: int | None = None) -> list[RowMapping]:
    """Return what is stored in a folder and the folders below it, in order."""
    statement = sa.select(stored_files).where(_within(prefix), stored_files.c.state == "stored")
    statement = statement.order_by(stored_files.c.prefix, stored_files.c.path).limit(limit)
    return list(connection.execute(statement).mappings())


def hide(connection: Connection, prefix: str) -> bool:
    """Let a folder disappear for readers; tell whether anything of it may still be stored."""
    connection.execute(
        sa.update(stored_files)
        .where(_within(prefix), stored_files.c.state.in_(("stored", "putting")))
        .values(state="removing")
    )
    statement = sa.select(stored_files.c.id).where(_within(prefix)).limit(1)
    return connection.scalar(statement) is not None


def hide_unfinished(connection: Connection, prefix: str) -> None:
    """Take what was being stored in a folder for what is being removed."""
    connection.execute(
        sa.update(stored_files)
        .where(stored_files.c.prefix == prefix, stored_files.c.state == "putting")
        .values(state="removing")
    )


def forget(connection: Connection, prefix: str, kept: Mapping[str, datetime | None]) -> None:
    """Forget what was removed; what the store keeps for now (by path) is looked at again later."""
    gone = _within(prefix) & (stored_files.c.state.in_(("removing", "kept")))
    for row in connection.execute(sa.select(stored_files).where(gone)).mappings().all():
        key = f"{row['prefix']}/{row['path']}"
        this = stored_files.c.id == row["id"]
        if key in kept:
            values = {"state": "kept", "locked_until": kept[key]}
            connection.execute(sa.update(stored_files).where(this).values(**values))
        else:
            connection.execute(sa.delete(stored_files).where(this))


def kept(connection: Connection, prefix: str) -> list[RowMapping]:
    """Return what the store would not give up below a prefix, or was not asked for yet."""
    held = stored_files.c.state.in_(("kept", "removing"))
    statement = sa.select(stored_files).where(_within(prefix), held)
    return list(connection.execute(statement).mappings())


def has_any(connection: Connection) -> bool:
    """Tell whether anything was ever put into a store that cannot rename, and is not gone."""
    return connection.scalar(sa.select(stored_files.c.id).limit(1)) is not None


def keeps_files(connection: Connection) -> bool:
    """Tell whether anything is kept whose files lie in a store, whichever that is."""
    kept = (
        sa.select(versions.c.id).where(versions.c.state != ERASED),
        sa.select(adapters.c.id).where(adapters.c.state == "completed"),
        sa.select(checkpoints.c.id),
    )
    return any(connection.scalar(statement.limit(1)) is not None for statement in kept)


def unfinished(connection: Connection, moment: datetime) -> list[str]:
    """Return the folders that a crash left half stored or half removed, or whose lock has ended."""
    over = (stored_files.c.state == "kept") & (stored_files.c.locked_until <= moment)
    statement = sa.select(stored_files.c.prefix).where(
        stored_files.c.state.in_(("putting", "removing")) | over
    )
    return sorted(set(connection.scalars(statement)))


def _within(prefix: str) -> sa.ColumnElement[bool]:
    # Prefixes are made of ids and digests: no character of them means something to LIKE but "_",
    # which `autoescape` takes care of.
    below = stored_files.c.prefix.startswith(f"{prefix}/", autoescape=True)
    return (stored_files.c.prefix == prefix) | below
