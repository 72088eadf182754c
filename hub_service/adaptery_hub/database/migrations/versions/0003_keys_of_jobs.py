"""The key that a client made for a job, so that it is submitted once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Digest

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Jobs without a key do not meet in the index: null equals nothing."""
    op.add_column("jobs", sa.Column("key", sa.String(length=64), nullable=True))
    op.add_column("jobs", sa.Column("request_digest", Digest(), nullable=True))
    op.create_index("ix_jobs_creator_id_key", "jobs", ["creator_id", "key"], unique=True)
