"""One group commit: what several `record` calls write in one transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from server.core.names import SessionName
from server.sessions import store
from server.sessions.journal import EventBody
from server.sessions.model import Session
from server.sessions.registry import SessionRecord, SessionRegistry
from server.state.tables import event_log, events

from .stored import StoredEvent, encode

# What a row costs beside its body; counted so that many small events are not free.
ROW_OVERHEAD_BYTES = 64
INSERT_EVENTS = insert(events)


class LogTakenOver(RuntimeError):
    """Another server writes to this state database; two on one database are not possible."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One call of `record` that waits for its commit."""

    session: Session
    bodies: Sequence[tuple[EventBody, bytes]]
    spool_acked: int | None
    time: datetime
    done: asyncio.Future[None]

    @classmethod
    def of(
        cls, session: Session, bodies: Sequence[EventBody], spool_acked: int | None, time: datetime
    ) -> "Entry":
        """Encodes the events, so that one that cannot be stored fails its own caller."""
        return cls(
            session=session,
            bodies=[(body, encode(body)) for body in bodies],
            spool_acked=spool_acked,
            time=time,
            done=asyncio.get_running_loop().create_future(),
        )


@dataclass(slots=True, kw_only=True)
class Batch:
    """The entries with their places in the log, and what the registry will show afterwards."""

    base: int
    known: SessionRegistry
    records: dict[SessionName, SessionRecord] = field(default_factory=dict)
    stored: list[StoredEvent] = field(default_factory=list)
    rows: list[dict[str, object]] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def head(self) -> int:
        """The log's last position once this is committed."""
        return self.base + len(self.stored)

    def add(self, entry: Entry) -> None:
        """Gives the entry its places after those before it."""
        name = entry.session.name
        before = self.records.get(name) or self.known.record(name)
        sequence = before.sequence if before else 0
        for body, data in entry.bodies:
            sequence += 1
            self._add_event(entry, body, data, sequence)
        acked = entry.spool_acked
        if acked is None:
            acked = before.spool_acked if before else 0
        self.records[name] = SessionRecord(
            session=entry.session, sequence=sequence, spool_acked=acked
        )

    def _add_event(self, entry: Entry, body: EventBody, data: bytes, sequence: int) -> None:
        event = StoredEvent(
            position=self.head + 1,
            session=entry.session.name,
            sequence=sequence,
            receive_time=entry.time,
            body=body,
            size_bytes=len(data),
        )
        self.stored.append(event)
        self.size_bytes += len(data) + ROW_OVERHEAD_BYTES
        self.rows.append(
            {
                "position": event.position,
                "session_id": event.session.session_id,
                "sequence": sequence,
                "kind": int(event.kind),
                "receive_time": event.receive_time,
                "body": data,
            }
        )

    def write(self, connection: Connection, epoch: int) -> None:
        """Writes everything. May be repeated when it is unknown whether it was committed.

        Raises LogTakenOver if the log is not as the last commit of this server left it.
        """
        log = connection.execute(select(event_log).with_for_update()).one()
        if log.epoch != epoch:
            raise LogTakenOver(LogTakenOver.__doc__)
        if self.stored and log.head == self.head:
            return  # committed by the attempt before this one
        if log.head != self.base:
            raise LogTakenOver(LogTakenOver.__doc__)
        self._write_sessions(connection)
        if self.rows:
            connection.execute(INSERT_EVENTS, self.rows)
            connection.execute(
                update(event_log).values(
                    head=self.head, size_bytes=event_log.c.size_bytes + self.size_bytes
                )
            )

    def _write_sessions(self, connection: Connection) -> None:
        new, changed, advanced = [], [], []
        for name, record in self.records.items():
            before = self.known.find(name)
            if before is None:
                new.append(record)
            elif before != record.session:
                changed.append(record)
            else:
                advanced.append(record)
        store.add(connection, new)
        store.change(connection, changed)
        store.advance(connection, advanced)
