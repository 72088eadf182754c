"""What lies in a store that cannot rename, and the erasing of datasets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Digest, Id, UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "stored_files",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("prefix", sa.String(200), nullable=False),
        sa.Column("path", sa.String(1024), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", Digest(), nullable=False),
        sa.Column("version_id", sa.String(1024), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("locked_until", UtcTime(), nullable=True),
    )
    for column in ("prefix", "state"):
        op.create_index(f"ix_stored_files_{column}", "stored_files", [column])
    op.create_table(
        "erasures",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("dataset_id", Id(), nullable=False),
        sa.Column("creator_id", Id(), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
    )
    for column in ("dataset_id", "state"):
        op.create_index(f"ix_erasures_{column}", "erasures", [column])
