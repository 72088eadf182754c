"""What erasing a dataset does not reach: things made from it, files that a store has locked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from sqlalchemy.engine import Connection, RowMapping

from adaptery.schemas.stores import Remaining
from adaptery_hub.database.statements import erasures as statements
from adaptery_hub.database.statements import versions as version_statements
from adaptery_hub.identity import Identity
from adaptery_hub.objects import KeptObject

_Kind = Literal["adapter", "checkpoint", "merged_version"]

_ADAPTER = "It learnt from the dataset and may repeat parts of it. Delete it if it must not."
_CHECKPOINTS = "They hold weights that learnt from it. They go as the retention of jobs says."
_MERGED = "It names records of the dataset by their digests, and cannot be read any more."
_PUT_OFF = "The store did not answer. It is removed as soon as it does."
_ENCRYPTED = "The store keeps it locked. It is encrypted, and its key is destroyed."
_LOCKED = "The store keeps it locked, and it is not encrypted. Ask who runs the store."
_BACKUPS = (
    "Backups of the service hold the draft, and versions that were not encrypted, until they are "
    "overwritten. What others copied into their own datasets, or downloaded, is not touched."
)


def made_from(
    connection: Connection, identity: Identity, version_ids: Sequence[str]
) -> list[Remaining]:
    """Return what was made from versions: names of what the caller may know, else numbers."""
    merged = statements.merged_from(connection, version_ids)
    everything = [*version_ids, *merged]
    return [
        *_named(
            "adapter",
            statements.adapters_of(connection, identity, everything),
            lambda row: f"{row['prefix']}/{row['name']}@{row['number']}",
            _ADAPTER,
        ),
        *_named(
            "checkpoint",
            statements.checkpoints_of(connection, identity, everything),
            lambda row: f"{row['count']} of the job {row['name']}",
            _CHECKPOINTS,
        ),
        *_named(
            "merged_version",
            statements.merged_shown(connection, identity, merged),
            version_statements.full_name,
            _MERGED,
        ),
    ]


def locked(kept: Sequence[KeptObject], versions: Mapping[str, tuple[str, bool]]) -> list[Remaining]:
    """Return what the store keeps.

    Args:
        kept: what it keeps.
        versions: the name of each version, and whether it is encrypted, by its prefix.
    """
    return [_locked(found, versions) for found in kept]


def everywhere() -> Remaining:
    """Return what can always be left."""
    return Remaining(kind="backup", name="backups and copies", why=_BACKUPS)


def _named(
    kind: _Kind, rows: Sequence[RowMapping], name: Callable[[RowMapping], str], why: str
) -> list[Remaining]:
    shown = [Remaining(kind=kind, name=name(row), why=why) for row in rows if statements.sees(row)]
    if hidden := len(rows) - len(shown):
        shown.append(Remaining(kind=kind, name=f"{hidden} of other owners", why=why))
    return shown


def _locked(found: KeptObject, versions: Mapping[str, tuple[str, bool]]) -> Remaining:
    prefix = next((prefix for prefix in versions if found.key.startswith(f"{prefix}/")), None)
    name, encrypted = versions[prefix] if prefix else ("an earlier version", False)
    path = found.key.removeprefix(f"{prefix}/") if prefix else found.key.rpartition("/")[2]
    why = _PUT_OFF if found.until is None else _ENCRYPTED if encrypted else _LOCKED
    return Remaining(kind="locked_object", name=f"{name}: {path}", why=why, until=found.until)
