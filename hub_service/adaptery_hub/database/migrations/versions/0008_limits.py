"""Limits of adapters; the tokens that running answers may still make, by whom they count for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Id, UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("adapters", sa.Column("limits", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "running_answers",
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("owner_id", Id(), nullable=True),
        sa.Column("adapter_id", Id(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
    )
    for column in ("tenant_id", "owner_id", "adapter_id"):
        op.create_index(f"ix_running_answers_{column}", "running_answers", [column])
