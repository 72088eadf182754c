"""Versions that jobs hold out, and datasets that are erased when their time comes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import UtcTime

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    held_out = sa.Column("held_out", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("job_inputs", held_out)
    op.add_column("datasets", sa.Column("expires_at", UtcTime(), nullable=True))
    op.create_index("ix_datasets_expires_at", "datasets", ["expires_at"])
