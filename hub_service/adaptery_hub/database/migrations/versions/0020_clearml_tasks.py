"""ClearML tasks that carry jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Digest, Id, UtcTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "clearml_tasks",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column(
            "job_id",
            Id(),
            sa.ForeignKey("jobs.id", name="fk_clearml_tasks_job_id_jobs", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("queue", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("code_digest", Digest(), nullable=False),
        sa.Column("task", sa.String(64)),
        sa.Column("status", sa.String(20)),
        sa.Column("seen_at", UtcTime()),
        sa.Column("attempt_id", Id()),
    )
    op.create_index("ix_clearml_tasks_job_id", "clearml_tasks", ["job_id"])
    op.create_index("ix_clearml_tasks_state", "clearml_tasks", ["state"])
