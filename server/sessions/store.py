"""Sessions as rows of the state database."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, insert, select, update

from server.core.names import SessionName
from server.engine.base import Account
from server.state.tables import sessions

from .model import Condition, DesiredState, Session, State
from .registry import SessionRecord

# Columns that are the fields of the same name.
PLAIN = (
    "etag",
    "create_time",
    "state_change_time",
    "display_name",
    "proxy_url",
    "next_attempt_time",
    "delete_time",
    "purge_time",
    "store_epoch",
    "last_store_epoch",
    "connect_epoch",
    "clean_epoch",
)
POSITIONS = ("sequence", "spool_acked")
KEY = "of"  # a bind parameter may not be named like the column it is compared with

INSERT = insert(sessions)
UPDATE = update(sessions).where(sessions.c.session_id == bindparam(KEY))
ADVANCE = UPDATE.values({name: bindparam(name) for name in POSITIONS})


def load(connection: Connection) -> list[SessionRecord]:
    """All sessions."""
    return [_from_row(row) for row in connection.execute(select(sessions))]


def add(connection: Connection, records: Iterable[SessionRecord]) -> None:
    """Inserts new sessions."""
    if rows := [_to_row(record) for record in records]:
        connection.execute(INSERT, rows)


def change(connection: Connection, records: Iterable[SessionRecord]) -> None:
    """Replaces sessions."""
    if rows := [_to_row(record) for record in records]:
        connection.execute(UPDATE, [row | {KEY: row.pop("session_id")} for row in rows])


def advance(connection: Connection, records: Iterable[SessionRecord]) -> None:
    """Stores the positions of sessions that are otherwise unchanged."""
    rows = [
        {KEY: _key(record), "sequence": record.sequence, "spool_acked": record.spool_acked}
        for record in records
    ]
    if rows:
        connection.execute(ADVANCE, rows)


def _key(record: SessionRecord) -> str:
    return record.session.name.session_id


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _to_row(record: SessionRecord) -> dict[str, Any]:
    session = record.session
    return {name: getattr(session, name) for name in PLAIN} | {
        "session_id": session.name.session_id,
        "state": session.state.value,
        "desired": session.desired.value,
        "condition": _json(session.condition),
        "account": _json(session.account),
        "labels": _json(session.labels),
        "sequence": record.sequence,
        "spool_acked": record.spool_acked,
    }


def _from_row(row: Row[Any]) -> SessionRecord:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's documented way to read a row by name
    session = Session(
        name=SessionName(row.session_id),
        state=State(row.state),
        desired=DesiredState(row.desired),
        condition=row.condition and msgspec.json.decode(row.condition, type=Condition),
        account=row.account and msgspec.json.decode(row.account, type=Account),
        labels=msgspec.json.decode(row.labels, type=dict[str, str]),
        **{name: values[name] for name in PLAIN},
    )
    return SessionRecord(session=session, sequence=row.sequence, spool_acked=row.spool_acked)
