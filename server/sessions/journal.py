"""The port through which sessions are changed. `events.log.EventLog` implements it."""

from collections.abc import Sequence
from typing import Protocol

from server.engine.base import MessageReceived, RawEvent, ReceiptReceived

from .model import BackupChanged, Session, SessionChanged

EventBody = SessionChanged | BackupChanged | MessageReceived | ReceiptReceived | RawEvent


class Journal(Protocol):
    """Makes a change of a session durable together with the events that tell of it."""

    async def record(
        self, session: Session, events: Sequence[EventBody] = (), *, spool_acked: int | None = None
    ) -> None:
        """Records `session` (new or changed), then `events` in this order, in one transaction.

        `spool_acked`: everything up to this position of the session's spool is among the events.
        Returns after the commit, when the registry shows the session and the subscribers are
        awake. Waits for as long as the database does not answer. A caller that is cancelled must
        expect that the record is made all the same.

        One caller at a time per session: its supervisor.
        """
        ...
