"""Versions: what their card says, how they were split, and why they were withdrawn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from adaptery_hub.database.types import Digest, UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("versions") as batch:
        # The same records may be published again with other splits.
        batch.drop_constraint("uq_versions_dataset_id_content_digest", type_="unique")
        batch.add_column(sa.Column("description", sa.Text(), nullable=True))
        batch.add_column(sa.Column("license", sa.String(64), nullable=True))
        batch.add_column(sa.Column("splits", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("split_digest", Digest(), nullable=True))
        batch.add_column(sa.Column("reason", sa.Text(), nullable=True))
        batch.add_column(sa.Column("withdrawn_at", UtcTime(), nullable=True))
    op.create_index(
        "ix_version_sources_source_version_id", "version_sources", ["source_version_id"]
    )
    op.create_table(
        "version_files",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("version_id", sa.String(40), nullable=False),
        sa.Column("file_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("digest", Digest(), nullable=True),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name="fk_version_files_version_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_version_files"),
        sa.UniqueConstraint("version_id", "file_id", name="uq_version_files_version_id_file_id"),
    )
    op.create_index("ix_version_files_version_id", "version_files", ["version_id"])
