"""``adaptery audit verify`` and ``export``: the audit as the database holds it.

Who can change the database can also cut off the last rows of a chain, or write a chain anew. That
shows against a tail that was noted elsewhere: `verify` says the tails, `--expect` compares one.

The database is only read. Rows that the service appends meanwhile are checked too. A file of SQLite
that nobody has open, such as a backup, is read as one that does not change: it may lie where this
account cannot write, and nothing is left beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from adaptery.errors import (
    AdapteryError,
    ConflictError,
    FieldProblem,
    IntegrityError,
    InvalidInputError,
    MissingExtraError,
)
from adaptery.times import to_text

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

    from adaptery.commands import Subparsers
    from adaptery_hub.audit import Tail

__all__ = ["register"]

#: What SQLite is told of a file that nobody changes.
_IMMUTABLE = "immutable"


def register(subparsers: Subparsers) -> None:
    """Add the commands to the command line."""
    audit = subparsers.add_parser("audit", help="the audit of a service, on the Hub's host")
    actions = audit.add_subparsers(title="actions", required=True, metavar="ACTION")
    verifying = actions.add_parser(
        "verify",
        help="check every chain of the audit",
        description="Checks every chain of the audit, offline, and says where each ends. Ends with "
        "1 if a row was changed, dropped, added or moved.",
    )
    _add_database(verifying)
    verifying.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="WRITER:SEQ:HASH",
        help="a tail that was noted before, as this command says it: that row must still be there; "
        "may be repeated",
    )
    verifying.set_defaults(run=_verify)
    exporting = actions.add_parser(
        "export",
        help="write the audit as JSON lines",
        description="Writes the audit as JSON lines, writer by writer, in the order of each chain.",
    )
    _add_database(exporting)
    exporting.set_defaults(run=_export)


def _add_database(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--database", metavar="URL", help="SQLAlchemy URL, or a file of SQLite")
    where.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the service's options: <state_dir>/service.json",
    )


@dataclass(frozen=True)
class _Noted:
    """A row that was the last one when somebody noted it."""

    writer: str
    seq: int
    row_hash: str

    @staticmethod
    def read(text: str) -> _Noted:
        """Return what a text says.

        Raises:
            InvalidInputError: it is not what `verify` says.
        """
        parts = text.split(":", 2)
        if len(parts) != 3 or not parts[1].isdigit() or not parts[2].startswith("sha256:"):
            problem = FieldProblem("--expect", "is no tail.", "Copy it from the output of verify.")
            raise InvalidInputError(errors=[problem])
        return _Noted(parts[0], int(parts[1]), parts[2])


def _verify(arguments: argparse.Namespace) -> int:
    from adaptery_hub.database.statements import audit as statements

    noted = [_Noted.read(text) for text in arguments.expect]
    failed = False
    with _connection(arguments) as connection:
        writers = statements.writers(connection)
        for writer in writers:
            try:
                tail = _last_of(connection, writer)
                sys.stdout.write(f"{writer}:{tail.seq}:{tail.row_hash}\n")
            except IntegrityError as error:
                failed = True
                sys.stderr.write(f"writer {writer}: {error.message}\n")
        for row in noted:
            if problem := _missing(connection, row):
                failed = True
                sys.stderr.write(f"writer {row.writer}: {problem}\n")
    if not failed:
        sys.stderr.write(f"{len(writers)} whole. Note the tails where the service cannot write.\n")
    return 1 if failed else 0


def _last_of(connection: Connection, writer: str) -> Tail:
    from adaptery_hub.audit import Tail, verify_writer

    tail = Tail()
    for tail in verify_writer(connection, writer):  # noqa: B007 - the last one is what is wanted
        pass
    return tail


def _missing(connection: Connection, noted: _Noted) -> str | None:
    from adaptery_hub.database.statements import audit as statements

    rows = statements.rows_of(connection, noted.writer, noted.seq - 1, 1)
    if not rows or rows[0]["seq"] != noted.seq:
        return f"Row {noted.seq}, which was noted, is not there any more: rows were cut off."
    if rows[0]["row_hash"] != noted.row_hash:
        return f"Row {noted.seq} is another than the one that was noted: the chain is not the same."
    return None


def _export(arguments: argparse.Namespace) -> int:
    with _connection(arguments) as connection:
        for line in _lines(connection):
            sys.stdout.write(f"{line}\n")
    return 0


def _lines(connection: Connection) -> Iterator[str]:
    from adaptery_hub.audit import VERIFIED_ROWS
    from adaptery_hub.database.statements import audit as statements

    for writer in statements.writers(connection):
        after = 0
        while rows := statements.rows_of(connection, writer, after, VERIFIED_ROWS):
            for row in rows:
                told = {**row, "created_at": to_text(row["created_at"])}
                yield json.dumps(told, ensure_ascii=False)
            after = rows[-1]["seq"]


@contextmanager
def _connection(arguments: argparse.Namespace) -> Generator[Connection]:
    from sqlalchemy.exc import SQLAlchemyError

    url = _url(arguments)
    try:
        engine = _engine(url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        raise AdapteryError(
            f"The database cannot be read ({type(error).__name__}).",
            hint="check its address, and that this account may read it; a file of SQLite with a "
            "-wal beside it also has to lie where this account may write",
        ) from None
    if _IMMUTABLE in url.query and _in_use(unquote((url.database or "").removeprefix("file:"))):
        raise ConflictError(
            "Somebody opened the database while it was read.", hint="run this again"
        )


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine

    try:
        return create_engine(url, hide_parameters=True)
    except ImportError:
        raise MissingExtraError.for_extra("postgres", "A database of PostgreSQL") from None


def _url(arguments: argparse.Namespace) -> URL:
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    text = str(arguments.database or _configured(arguments.config))
    try:
        url = make_url(text if "://" in text else f"sqlite:///{text}")
    except ArgumentError:
        raise InvalidInputError("This is no URL of a database.") from None
    if url.get_backend_name() != "sqlite":
        return url
    path = Path(url.database or "").absolute()
    with _readable("database"):
        if not path.is_file():  # SQLite would make one
            raise InvalidInputError("There is no such database.", hint="check the path")
        query = {"mode": "ro", "uri": "true"}
        if not _in_use(path):  # SQLite would make two files beside it
            query[_IMMUTABLE] = "1"
    return URL.create("sqlite", database=f"file:{quote(str(path))}", query=query)


def _in_use(path: Path | str) -> bool:
    return Path(f"{path}-wal").exists()


def _configured(config: Path) -> str:
    """Return the address of the database of a service."""
    from adaptery_hub.app import AdapteryService

    service = AdapteryService()
    with _readable("config file"):
        config.open("rb").close()
        service.initialize(["--config", str(config)])
    return service.database_url


@contextmanager
def _readable(what: str) -> Generator[None]:
    """Say which file this account cannot read.

    Raises:
        InvalidInputError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise InvalidInputError(
            f"The {what} cannot be read ({error.strerror}).",
            hint="check the path, and run this as an account that may read it",
        ) from None
