"""Queues: their states, quick claims, and which agent lost a job last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Id, UtcTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

RUNS = sa.text("outcome IS NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "queues",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(200)),
        sa.Column("changed_by", Id()),
        sa.Column("changed_at", UtcTime()),
        sa.UniqueConstraint("name", name="uq_queues_name"),
    )
    op.add_column("jobs", sa.Column("lost_by", Id()))
    op.add_column("jobs", sa.Column("retry_at", UtcTime()))
    op.create_index(
        "ix_jobs_queue_state_tenant_id_creator_id_priority_queued_at",
        "jobs",
        ["queue", "state", "tenant_id", "creator_id", "priority", "queued_at"],
    )
    op.create_index(
        "ix_jobs_queue_tenant_id_started_at", "jobs", ["queue", "tenant_id", "started_at"]
    )
    op.drop_index("ix_attempts_lease_until", "attempts")
    op.create_index(
        "ix_attempts_lease_until",
        "attempts",
        ["lease_until"],
        sqlite_where=RUNS,
        postgresql_where=RUNS,
    )
