"""What is kept of uploaded files, how they were read, and what was wrong in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply.

    Of files that earlier releases imported, nothing was kept.
    """
    op.add_column("files", sa.Column("container", sa.String(10), nullable=True))
    op.add_column("files", sa.Column("reason", sa.String(500), nullable=True))
    op.add_column("files", sa.Column("tokenizer", sa.String(200), nullable=True))
    for name, kind in (("problems", sa.Integer()), ("kept_bytes", sa.BigInteger())):
        op.add_column("files", sa.Column(name, kind, nullable=False, server_default="0"))
    op.execute("UPDATE files SET kept_bytes = bytes WHERE state = 'receiving'")
