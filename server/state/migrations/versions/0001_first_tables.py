"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Applies the revision."""
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("desired", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("state_change_time", sa.BigInteger, nullable=False),
        sa.Column("condition", sa.Text),
        sa.Column("account", sa.Text),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("proxy_url", sa.Text, nullable=False),
        sa.Column("next_attempt_time", sa.BigInteger),
        sa.Column("delete_time", sa.BigInteger),
        sa.Column("purge_time", sa.BigInteger),
        sa.Column("store_epoch", sa.Integer, nullable=False),
        sa.Column("last_store_epoch", sa.Integer, nullable=False),
        sa.Column("connect_epoch", sa.BigInteger, nullable=False),
        sa.Column("clean_epoch", sa.BigInteger, nullable=False),
        sa.Column("spool_acked", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("receive_time", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_by_session", "events", ["session_id", "position"])
    event_log = op.create_table(
        "event_log",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("head", sa.BigInteger, nullable=False),
        sa.Column("trimmed", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(event_log, [{"id": 1, "epoch": 0, "head": 0, "trimmed": 0, "size_bytes": 0}])
    op.create_table(
        "log_epochs",
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", sa.LargeBinary, nullable=False),
        sa.Column("base", sa.BigInteger, nullable=False),
        sa.Column("start_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "operations",
        sa.Column("operation_id", sa.Text, primary_key=True),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("end_time", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("operations_by_target", "operations", ["target", "operation_id"])
    op.create_table(
        "idempotency",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_by_expire_time", "idempotency", ["expire_time"])
