"""What storage locations were seen to have."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Applies the revision."""
    op.create_table(
        "backup_heads",
        sa.Column("location_id", sa.Text, primary_key=True),
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("repository_id", sa.Text, nullable=False),
        sa.Column("backup_id", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
    )
