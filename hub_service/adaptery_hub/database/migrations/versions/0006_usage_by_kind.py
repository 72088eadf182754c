"""What was asked for, on each usage row; usage and audit are read by range of time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("usage", sa.Column("kind", sa.String(length=20), nullable=True))
    op.drop_index("ix_usage_tenant_id", "usage")
    op.drop_index("ix_usage_adapter_id", "usage")
    op.create_index("ix_usage_tenant_id_created_at", "usage", ["tenant_id", "created_at"])
    op.create_index("ix_usage_adapter_id_created_at", "usage", ["adapter_id", "created_at"])
    op.create_index("ix_usage_created_at", "usage", ["created_at"])
    op.create_index("ix_audit_created_at", "audit", ["created_at"])
