"""Alembic migrations, and how they are run: at every start of the service, up to the newest."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Engine

FOLDER = Path(__file__).parent


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to a revision, the newest one; nothing happens if it is. Blocking."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
