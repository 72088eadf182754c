"""The database as the migrations leave it: made once in a process, copied for each test."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from adaptery_hub.database import Database
from adaptery_hub.database.migrations import migrate


def lay_database(path: Path) -> None:
    """Put an empty database of the newest schema where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(_migrated())


def open_database(path: Path) -> Database:
    """Open a database, with the newest schema where there is none."""
    lay_database(path)
    return Database(f"sqlite:///{path}")


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hub.sqlite"
        database = Database(f"sqlite:///{path}")
        migrate(database.engine)
        database.close()
        return path.read_bytes()
