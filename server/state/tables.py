"""Every table of the state database. Changed together with a new revision in `migrations/`."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from .columns import BIG_KEY, Instant

metadata = MetaData()

# One row per session, trashed ones included. `condition`, `account` and `labels` are JSON.
sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("desired", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("state_change_time", Instant, nullable=False),
    Column("condition", Text),
    Column("account", Text),
    Column("display_name", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("proxy_url", Text, nullable=False),
    Column("next_attempt_time", Instant),
    Column("delete_time", Instant),
    Column("purge_time", Instant),
    Column("store_epoch", Integer, nullable=False),
    Column("last_store_epoch", Integer, nullable=False),
    Column("connect_epoch", BigInteger, nullable=False),
    Column("clean_epoch", BigInteger, nullable=False),
    Column("spool_acked", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)

# The event log. Positions have no gaps; `body` is msgpack of the dataclass that `kind` names.
events = Table(
    "events",
    metadata,
    Column("position", BIG_KEY, primary_key=True, autoincrement=False),
    Column("session_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("receive_time", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("events_by_session", "session_id", "position"),
)

# One row: where the log begins and ends. Updated with every append, so that a second server on the
# same database is found out by the first commit after it came.
event_log = Table(
    "event_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("head", BigInteger, nullable=False),
    Column("trimmed", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

# One row per server start: positions after `base` were written in this epoch. Cursors name it.
log_epochs = Table(
    "log_epochs",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("token", LargeBinary, nullable=False),
    Column("base", BigInteger, nullable=False),
    Column("start_time", Instant, nullable=False),
)

# Long-running operations. `body` is JSON of `server.backups.operations`.
operations = Table(
    "operations",
    metadata,
    Column("operation_id", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("end_time", Instant),
    Column("body", Text, nullable=False),
    Index("operations_by_target", "target", "operation_id"),
)

# Responses to requests with a request_id, kept for repeats.
idempotency = Table(
    "idempotency",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Index("idempotency_by_expire_time", "expire_time"),
)

# Backup policies that were set by call; `-` is the one for all. `body` is JSON of
# `server.backups.policies`.
backup_policies = Table(
    "backup_policies",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("update_time", Instant, nullable=False),
    Column("body", Text, nullable=False),
)

# The newest that each storage location was seen to have of each session: so that a location whose
# end was cut off, or which was rolled back, is found out. Hashes are hex; `mark` may be empty.
backup_heads = Table(
    "backup_heads",
    metadata,
    Column("location_id", Text, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("place", Text, nullable=False),
    Column("repository_id", Text, nullable=False),
    Column("backup_id", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("mark", Text, nullable=False),
    Column("update_time", Instant, nullable=False),
)
