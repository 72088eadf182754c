"""What a version is called and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import RowMapping

from adaptery.schemas.datasets import Version, VersionReport
from adaptery.schemas.stores import StoreLevel
from adaptery_hub.database.statements import versions as statements

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


def describe_version(row: RowMapping, level: StoreLevel | None = None) -> Version:
    """Return a row of `statements.versions`, in a store of this level, as the API shows it."""
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
        report=None if row["report"] is None else VersionReport.model_validate(row["report"]),
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
