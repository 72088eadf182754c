"""What ClearML was told of versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Id, UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "clearml_links",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column(
            "version_id",
            Id(),
            sa.ForeignKey("versions.id", ondelete="CASCADE"),
            nullable=False,
            unique=True,
        ),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=True),
        sa.Column("told", sa.String(12), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", UtcTime(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
    )
