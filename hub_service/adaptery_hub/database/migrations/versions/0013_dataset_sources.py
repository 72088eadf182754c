"""Which datasets hold records that were collated from which others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Id, UtcTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "dataset_sources",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column(
            "dataset_id", Id(), sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("source_dataset_id", Id(), nullable=False),
        sa.UniqueConstraint(
            "dataset_id",
            "source_dataset_id",
            name="uq_dataset_sources_dataset_id_source_dataset_id",
        ),
    )
    for column in ("dataset_id", "source_dataset_id"):
        op.create_index(f"ix_dataset_sources_{column}", "dataset_sources", [column])
