"""Adapters that jobs go on from or are judged by, translations, and checkpoints that are served.

Checkpoints of before cannot be served: nobody wrote down what their weights are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Digest, Id, UtcTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "job_adapters",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("job_id", Id(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("adapter_id", Id()),
        sa.Column("source_job_id", Id()),
        sa.Column("step", sa.Integer),
        sa.Column("weight_digest", Digest(), nullable=False),
        sa.Column("sensitivity", sa.String(12), nullable=False),
        sa.Column("content_digests", sa.JSON, nullable=False),
        sa.UniqueConstraint("job_id", "role", name="uq_job_adapters_job_id_role"),
    )
    for column in ("job_id", "source_job_id"):
        op.create_index(f"ix_job_adapters_{column}", "job_adapters", [column])
    op.add_column("jobs", sa.Column("translation", sa.JSON, nullable=True))
    for column in (
        sa.Column("light", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("weight_digest", Digest(), nullable=True),
        sa.Column("kind", sa.String(8), nullable=True),
        sa.Column("rank", sa.Integer, nullable=True),
        sa.Column("sensitivity", sa.String(12), nullable=True),
        sa.Column("content_digests", sa.JSON, nullable=True),
    ):
        op.add_column("checkpoints", column)
