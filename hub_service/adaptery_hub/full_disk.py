"""A disk that takes no more, by whichever way it says so."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from adaptery import files
from adaptery.errors import AdapteryError, InternalError, UnavailableError


class DiskFullError(UnavailableError):
    """The disk of the service is full."""

    def __init__(self) -> None:
        super().__init__(hint="Ask an administrator to make room, then send it again.")


def is_full(error: BaseException | None) -> bool:
    """Say whether the disk takes no more."""
    if isinstance(error, DBAPIError):
        error = error.orig
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    return files.is_full(error)


def unexpected(error: BaseException | None) -> AdapteryError:
    """Return what is told of an error that is none of ours."""
    return DiskFullError() if is_full(error) else InternalError()
