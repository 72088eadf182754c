"""What was collated into the draft that a version was published from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("versions", sa.Column("collated", sa.JSON(none_as_null=True), nullable=True))
