"""How many grants somebody has given is counted before each new one."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_grants_creator_id", "grants", ["creator_id"])
