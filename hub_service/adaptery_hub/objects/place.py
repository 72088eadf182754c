"""Which store holds what is kept: written down, so that with another setting nothing runs.

Another store has none of the files. Versions would be labelled by a store that they do not lie in,
and reading them would look as if their files had been lost.

Invariants:

- The store is another one only while nothing is kept: no version, adapter or checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Connection

from adaptery.files import write_atomic
from adaptery_hub.database.statements import stored_files as statements
from adaptery_hub.objects.credentials import StoreConfigurationError
from adaptery_hub.settings import ServiceSettings


def check_place(settings: ServiceSettings, connection: Connection) -> None:
    """Write down the store that is set, or refuse it.

    Raises:
        StoreConfigurationError: what is kept lies in another store.
    """
    refuse_other(settings, connection)
    _path(settings).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(_path(settings), _place(settings).encode())


def refuse_other(settings: ServiceSettings, connection: Connection) -> None:
    """Refuse a store that what is kept does not lie in.

    Raises:
        StoreConfigurationError: it lies in another store.
    """
    place, before = _place(settings), _before(settings, connection)
    if place == before or not statements.keeps_files(connection):
        return
    raise StoreConfigurationError(
        f"object_store is {place}, but what was published and trained lies in {before}.",
        hint="Set object_store (and s3_bucket) back: files are not carried from one store to "
        "another. For another store begin with an empty state_dir.",
    )


def _before(settings: ServiceSettings, connection: Connection) -> str:
    path = _path(settings)
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    # From before it was written down: only stores that cannot rename have rows.
    if not statements.has_any(connection):
        return "filesystem"
    return "an S3 store" if settings.object_store == "filesystem" else _place(settings)


def _place(settings: ServiceSettings) -> str:
    """Return the name of a store; its address may change, as servers move."""
    if settings.object_store != "s3":
        return settings.object_store
    return f"s3 (bucket {settings.s3_bucket})"


def _path(settings: ServiceSettings) -> Path:
    return settings.state_path / "object-store"
