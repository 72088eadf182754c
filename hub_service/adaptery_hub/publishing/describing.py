"""What a version is called and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from adaptery.ids import is_id
from adaptery.schemas.datasets import Version, VersionReport
from adaptery.schemas.stores import StoreLevel
from adaptery_hub.database.statements import lineage
from adaptery_hub.database.statements import versions as statements
from adaptery_hub.identity import Identity

#: Hexadecimal digits of the split digest in the name of a folder; the dataset has few versions.
_SPLIT_DIGITS = 16


def version_folder(content_digest: str, split_digest: str | None) -> str:
    """Return the name of the folder of a version within its dataset."""
    name = content_digest.removeprefix("sha256:")
    if split_digest is None:
        return name
    return f"{name}-{split_digest.removeprefix('sha256:')[:_SPLIT_DIGITS]}"


def version_prefix(dataset_id: str, content_digest: str, split_digest: str | None = None) -> str:
    """Return where the files of a version lie in the object store."""
    return f"datasets/{dataset_id}/{version_folder(content_digest, split_digest)}"


def prefix_of(row: RowMapping) -> str:
    """Return where the files of a row with these three columns lie."""
    return version_prefix(row["dataset_id"], row["content_digest"], row["split_digest"])


def source_names(
    connection: Connection, identity: Identity, rows: Iterable[RowMapping]
) -> Mapping[str, str]:
    """Return what the sources are called that versions were collated from, by id.

    Those that the caller may not view are not in it.
    """
    reports = [row["report"] for row in rows if row["report"] is not None]
    ids = {file["name"] for report in reports for file in report["files"]} - {None}
    ids = {name for name in ids if _is_source(name)}
    drafts = lineage.datasets_by_id(connection, identity, ids)
    published = lineage.versions_by_id(connection, identity, ids)
    return {id: f"{row['prefix']}/{row['name']}" for id, row in drafts.items()} | {
        id: statements.full_name(row) for id, row in published.items()
    }


def describe_version(
    row: RowMapping, level: StoreLevel | None = None, names: Mapping[str, str] | None = None
) -> Version:
    """Return a row of `statements.versions`, in a store of this level, as the API shows it.

    Args:
        row: the version.
        level: of the store.
        names: see `source_names`; any other source is called nothing but that.
    """
    counts: Mapping[str, int] = row["counts"]
    recipe: Mapping[str, list[Mapping[str, str]]] | None = row["recipe"]
    return Version(
        id=row["id"],
        dataset=row["dataset_id"],
        number=row["number"],
        name=statements.full_name(row),
        content_digest=row["content_digest"],
        manifest_digest=row["manifest_digest"],
        records=counts["records"],
        duplicates_dropped=counts["duplicates_dropped"],
        state=row["state"],
        created_at=row["created_at"],
        encrypted=bool(counts.get("encrypted")),
        level=level,
        report=None if row["report"] is None else _report(row["report"], names or {}),
        description=row["description"] or "",
        license=row["license"],
        splits=row["splits"],
        sources=None
        if recipe is None
        else tuple(dict.fromkeys(source["version"] for source in recipe["sources"])),
        reason=row["reason"],
        withdrawn_at=row["withdrawn_at"],
        withdrawn_sources=row["withdrawn_sources"],
    )


def _report(stored: Mapping[str, Any], names: Mapping[str, str]) -> VersionReport:
    """Return a stored report; it names what was collated by the id of its source."""
    files = [{**file, "name": _name(file["name"], names)} for file in stored["files"]]
    return VersionReport.model_validate({**stored, "files": files})


def _name(name: str | None, names: Mapping[str, str]) -> str | None:
    if name is None or not _is_source(name):
        return name
    return names.get(name, "another dataset")


def _is_source(name: str) -> bool:
    return any(is_id(name, prefix) for prefix in ("ds", "dv", "cs"))
