"""A full disk is told as such, whoever meets it."""

import errno
import sqlite3

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from adaptery.errors import InternalError
from adaptery_hub.full_disk import DiskFullError, unexpected


def test_it_is_told() -> None:
    assert isinstance(unexpected(OSError(errno.ENOSPC, "no room")), DiskFullError)
    assert type(unexpected(OSError(errno.EIO, "broken"))) is InternalError
    assert type(unexpected(KeyError("a bug"))) is InternalError
    assert type(unexpected(None)) is InternalError


def test_a_full_database_is_told_through_sqlalchemy() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=2")
        connection.exec_driver_sql("CREATE TABLE t (x)")
        try:
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")
        except OperationalError as error:
            assert isinstance(error.orig, sqlite3.OperationalError)
            assert isinstance(unexpected(error), DiskFullError)
        else:
            raise AssertionError
    engine.dispose()
