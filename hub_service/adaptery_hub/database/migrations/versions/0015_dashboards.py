"""What dashboards of jobs show: how far each is and how fast, what it was cloned from, if it went.

Priorities of before were all 0, which is `normal`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Id, UtcTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_INDEX = ("queue", "state", "state_at")


def upgrade() -> None:
    """Apply."""
    for column in (
        sa.Column("cloned_from", Id(), nullable=True),
        sa.Column("step", sa.BigInteger, nullable=True),
        sa.Column("total_steps", sa.BigInteger, nullable=True),
        sa.Column("stepped_at", UtcTime(), nullable=True),
        sa.Column("step_seconds", sa.Float, nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
    ):
        op.add_column("jobs", column)
    op.create_index("ix_jobs_queue_state_state_at", "jobs", list(_INDEX))
