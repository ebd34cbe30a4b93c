"""Sessions may have a backup policy of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Applies the revision."""
    op.create_table(
        "backup_policies",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
