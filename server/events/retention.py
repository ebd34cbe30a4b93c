"""How long events are kept, and how old ones go."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, update

from server.state.tables import event_log, events

from .batch import ROW_OVERHEAD_BYTES, LogTakenOver

CHUNK = 1000
EVENT_BYTES = func.length(events.c.body) + ROW_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """An event goes when it is older than `max_age` or when the log is larger than `max_bytes`."""

    max_age: timedelta = timedelta(days=7)
    max_bytes: int = 1 << 30
    check_every: timedelta = timedelta(minutes=1)


def plan(connection: Connection, retention: Retention, now: datetime) -> int | None:
    """The position through which the log's next chunk may go; None if all of it stays."""
    size_bytes = connection.execute(select(event_log.c.size_bytes)).scalar_one()
    oldest = connection.execute(
        select(events.c.position, events.c.receive_time, EVENT_BYTES.label("size_bytes"))
        .order_by(events.c.position)
        .limit(CHUNK)
    )
    through = None
    for row in oldest:
        if row.receive_time >= now - retention.max_age and size_bytes <= retention.max_bytes:
            break
        through = row.position
        size_bytes -= row.size_bytes
    return through


def apply(connection: Connection, through: int, epoch: int) -> None:
    """Removes the events up to `through`."""
    log = connection.execute(select(event_log).with_for_update()).one()
    if log.epoch != epoch:
        raise LogTakenOver(LogTakenOver.__doc__)
    gone = events.c.position <= through
    freed = connection.execute(
        select(func.coalesce(func.sum(EVENT_BYTES), 0)).where(gone)
    ).scalar_one()
    connection.execute(delete(events).where(gone))
    connection.execute(
        update(event_log).values(trimmed=through, size_bytes=event_log.c.size_bytes - int(freed))
    )
