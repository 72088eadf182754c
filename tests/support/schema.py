"""The database as the migrations leave it: made once in a process, copied for each test.

SQLite, unless ADAPTERY_TEST_DATABASE says `postgresql`: then the same tests run on that.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from adaptery_hub.database import Database
from adaptery_hub.database.migrations import migrate
from support.postgres import postgres

ON_POSTGRESQL = os.environ.get("ADAPTERY_TEST_DATABASE") == "postgresql"


def lay_database(path: Path) -> str:
    """Put an empty database of the newest schema where there is none; return its URL.

    What lies in PostgreSQL is named by the path that it would have otherwise.
    """
    if ON_POSTGRESQL:
        return _database_of(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(_migrated())
    return f"sqlite:///{path}"


def open_database(path: Path) -> Database:
    """Open a database, with the newest schema where there is none."""
    return Database(lay_database(path))


@cache
def _database_of(path: Path) -> str:
    return postgres().new_database()


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hub.sqlite"
        database = Database(f"sqlite:///{path}")
        migrate(database.engine)
        database.close()
        return path.read_bytes()
