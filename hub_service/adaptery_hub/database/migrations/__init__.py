"""Alembic migrations, and how they are run: at every start of the service, up to the newest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, Engine

FOLDER = Path(__file__).parent


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to a revision, the newest one; nothing happens if it is. Blocking.

    Raises:
        RuntimeError: a row would be left without the row it hangs on; nothing is changed then.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection, _tables_can_be_rebuilt(connection), connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        _check_references(connection)


@contextmanager
def _tables_can_be_rebuilt(connection: Connection) -> Iterator[None]:
    """Let SQLite drop a table that others refer to, for as long as the new one is not in place.

    Source: SQLite documentation, "ALTER TABLE", section 7, "Making Other Kinds Of Table Schema
    Changes".
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    # On the driver's connection: the pragma does nothing within a transaction.
    raw = connection.connection.dbapi_connection
    assert raw is not None
    raw.execute("PRAGMA foreign_keys=OFF")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")  # pyright: ignore[reportAttributeAccessIssue]


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise RuntimeError(f"the migration left rows of {broken[0]} without what they refer to")
