"""Adapters of stage rm are of kind `reward`; all of before answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "adapters", sa.Column("kind", sa.String(8), nullable=False, server_default="chat")
    )
