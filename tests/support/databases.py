"""An empty database of each kind that the service runs on."""

from pathlib import Path

import pytest

from adaptery_hub.database import Database
from support.postgres import NoPostgresError, postgres
from support.schema import open_database

KINDS = ("sqlite", "postgresql")


def empty_database(kind: str, folder: Path) -> Database:
    """Open a new database of the newest schema; skips the test where its server cannot run."""
    if kind == "sqlite":
        return open_database(folder / "hub.sqlite")
    try:
        return Database(postgres().new_database())
    except NoPostgresError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
