"""Files as the API shows them."""

from __future__ import annotations

from sqlalchemy.engine import RowMapping

from adaptery.schemas.datasets import FileInfo


def describe_file(row: RowMapping) -> FileInfo:
    """Return a row of `files` as the API shows it."""
    return FileInfo(
        id=row["id"],
        dataset=row["dataset_id"],
        name=row["name"],
        digest=row["digest"],
        bytes=row["bytes"],
        format=row["format"],
        container=row["container"],
        mapping=row["mapping"],
        tokenizer=row["tokenizer"],
        records=row["records"],
        problems=row["problems"],
        state=row["state"],
        reason=row["reason"],
        original=row["digest"] is not None and row["kept_bytes"] >= row["bytes"],
        created_at=row["created_at"],
    )
