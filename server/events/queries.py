"""The log's own reading of its tables."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from server.core.names import SessionName
from server.sessions import store
from server.sessions.registry import SessionRecord
from server.state.tables import event_log, events, log_epochs

from .cursor import Epoch
from .stored import EventFilter, EventKind, Page, PageBuilder, StoredEvent, decode

FILTER_IN_SQL = 500  # filters by more sessions than this are applied after reading


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStart:
    """What a server finds when it opens the log."""

    epoch: int
    head: int
    trimmed: int
    epochs: list[Epoch]
    sessions: list[SessionRecord]


def begin(connection: Connection, token: bytes, now: datetime) -> LogStart:
    """Begins an epoch at the log's head; earlier servers on this database are out from here on."""
    log = connection.execute(select(event_log).with_for_update()).one()
    epoch = log.epoch + 1
    connection.execute(update(event_log).values(epoch=epoch))
    connection.execute(
        insert(log_epochs).values(epoch=epoch, token=token, base=log.head, start_time=now)
    )
    rows = connection.execute(select(log_epochs).order_by(log_epochs.c.epoch)).all()
    # An epoch whose successor began before the oldest event can no longer hold a valid cursor.
    dead = [row.epoch for row, successor in pairwise(rows) if successor.base < log.trimmed]
    connection.execute(delete(log_epochs).where(log_epochs.c.epoch.in_(dead)))
    return LogStart(
        epoch=epoch,
        head=log.head,
        trimmed=log.trimmed,
        epochs=[Epoch(token=row.token, base=row.base) for row in rows if row.epoch not in dead],
        sessions=store.load(connection),
    )


def read(
    connection: Connection,
    *,
    after: int,
    head: int,
    limit: int,
    wanted: EventFilter,
    builder: PageBuilder,
) -> Page:
    """At most `limit` matching events after a position, none beyond `head`."""
    query = (
        select(events)
        .where(events.c.position > after, events.c.position <= head)
        .order_by(events.c.position)
        .limit(limit)
    )
    if wanted.kinds != frozenset(EventKind):
        query = query.where(events.c.kind.in_([int(kind) for kind in wanted.kinds]))
    if 0 < len(wanted.sessions) <= FILTER_IN_SQL:
        ids = [session.session_id for session in wanted.sessions]
        query = query.where(events.c.session_id.in_(ids))
    position, rows = after, 0
    for row in connection.execute(query):
        event = _from_row(row)
        rows += 1
        if wanted.matches(event) and not builder.takes(event):
            return builder.page(position)
        position = event.position
    return builder.page(head if rows < limit else position)


def _from_row(row: Row[Any]) -> StoredEvent:
    return StoredEvent(
        position=row.position,
        session=SessionName(row.session_id),
        sequence=row.sequence,
        receive_time=row.receive_time,
        body=decode(row.kind, row.body),
        size_bytes=len(row.body),
    )
