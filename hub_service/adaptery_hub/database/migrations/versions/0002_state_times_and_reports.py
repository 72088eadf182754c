"""When a job's state was set, and the report of a publish."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply.

    Only plain new columns, which may be null: to make them anything else, SQLite would need the
    tables built anew, and dropping the old ones would delete what hangs on their rows.
    """
    op.add_column("jobs", sa.Column("state_at", UtcTime(), nullable=True))
    op.add_column("versions", sa.Column("report", sa.JSON(none_as_null=True), nullable=True))
    op.execute(
        "UPDATE jobs SET state_at = coalesce((SELECT max(job_events.created_at) FROM job_events "
        "WHERE job_events.job_id = jobs.id AND job_events.kind = 'state'), created_at)"
    )
