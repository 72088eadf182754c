"""Dormant tenants, whose Hub name may go to another; what a tenant may store, and for how long."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ALIVE = sa.text("state != 'dormant'")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("tenants") as batch:
        batch.drop_constraint("uq_tenants_kind_hub_name", type_="unique")
        batch.add_column(sa.Column("dormant_at", UtcTime(), nullable=True))
        batch.add_column(sa.Column("storage_quota_bytes", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("retention_days", sa.Integer(), nullable=True))
    op.create_index(
        "ix_tenants_kind_hub_name",
        "tenants",
        ["kind", "hub_name"],
        unique=True,
        sqlite_where=ALIVE,
        postgresql_where=ALIVE,
    )
    op.create_index("ix_tenants_hub_name", "tenants", ["hub_name"])
    op.add_column("datasets", sa.Column("draft_bytes", sa.BigInteger(), nullable=True))
    op.add_column("checkpoints", sa.Column("bytes", sa.BigInteger(), nullable=True))
    _count_checkpoints(op.get_bind())


def _count_checkpoints(connection: sa.Connection) -> None:
    table = sa.table("checkpoints", sa.column("id"), sa.column("files"), sa.column("bytes"))
    for row in connection.execute(sa.select(table.c.id, table.c.files)).all():
        size = sum(int(file["bytes"]) for file in _read(row.files))
        connection.execute(sa.update(table).where(table.c.id == row.id).values(bytes=size))


def _read(files: Any) -> list[dict[str, Any]]:
    # PostgreSQL's driver has read the JSON already.
    return json.loads(files) if isinstance(files, str) else files
