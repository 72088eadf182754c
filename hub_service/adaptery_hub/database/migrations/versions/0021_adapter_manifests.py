"""Signed manifests of adapters. What is there already is signed when it is downloaded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("adapters", sa.Column("manifest", sa.Text, nullable=True))
