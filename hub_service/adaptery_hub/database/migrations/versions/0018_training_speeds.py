"""What completed attempts measured, for pre-flights."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Digest, Id, UtcTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "training_speeds",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("agent_id", Id(), nullable=False),
        sa.Column("weight_digest", Digest(), nullable=False),
        sa.Column("stage", sa.String(8), nullable=False),
        sa.Column("precision", sa.String(8), nullable=False),
        sa.Column("tokens_per_second", sa.Float, nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger),
        sa.Column("row_tokens", sa.Float),
        sa.Column("spec", sa.JSON, nullable=False),
    )
    op.create_index("ix_training_speeds_weight_digest", "training_speeds", ["weight_digest"])
