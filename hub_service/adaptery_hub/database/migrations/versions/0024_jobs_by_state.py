"""What is asked of jobs at each submit is answered by an index, however many jobs there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

CREATED = sa.text("state = 'created'")


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_jobs_state", "jobs")
    op.create_index("ix_jobs_state_queue", "jobs", ["state", "queue"])
    op.create_index(
        "ix_jobs_tenant_id_state_deleted_at_id", "jobs", ["tenant_id", "state", "deleted_at", "id"]
    )
    op.create_index(
        "ix_jobs_created", "jobs", ["id"], sqlite_where=CREATED, postgresql_where=CREATED
    )
