"""Own keys: what they may do and how much, their rotation, and what they cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Digest, Id, UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. No release before this one made keys; what stands in the table is nobody's."""
    op.execute(sa.text("DELETE FROM keys"))
    with op.batch_alter_table("keys") as batch:
        batch.add_column(sa.Column("prefix", sa.String(length=16), nullable=False))
        batch.add_column(sa.Column("verbs", sa.JSON(), nullable=False))
        batch.add_column(sa.Column("tokens_per_day", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("requests_per_minute", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("old_secret_hash", Digest(), nullable=True))
        batch.add_column(sa.Column("old_secret_until", UtcTime(), nullable=True))
        batch.add_column(sa.Column("last_used_at", UtcTime(), nullable=True))
        batch.alter_column("expires_at", existing_type=UtcTime(), nullable=False)
    op.create_index("ix_keys_old_secret_hash", "keys", ["old_secret_hash"], unique=True)
    op.add_column("usage", sa.Column("key_id", Id(), nullable=True))
    op.create_index("ix_usage_key_id_created_at", "usage", ["key_id", "created_at"])
    op.create_table(
        "reservations",
        sa.Column("id", Id(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("key_id", Id(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reservations"),
        sa.ForeignKeyConstraint(
            ["key_id"], ["keys.id"], name="fk_reservations_key_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_reservations_key_id", "reservations", ["key_id"])
