"""A log to record in and read from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from server.core.names import SessionName
from server.events.log import EventLog
from server.sessions.registry import SessionRegistry
from server.state import Database

from .builders import make_message, make_session
from .clock import FakeClock


class OpenLog(EventLog):
    """A log that shows the test what it works with."""

    registry: SessionRegistry
    database: Any


@asynccontextmanager
async def open_log(
    url: str, *, clock: FakeClock | None = None, database_type: Any = Database, **options: Any
) -> AsyncIterator[OpenLog]:
    """A log on a database of its own."""
    async with database_type.open(url) as database:
        registry = SessionRegistry()
        async with OpenLog(database, registry, clock or FakeClock(), **options) as log:
            log.registry, log.database = registry, database
            yield log


async def record_texts(log: OpenLog, count: int, session_id: str = "a", start: int = 1) -> None:
    """Records numbered texts of a session, one after the other."""
    session = log.registry.find(SessionName(session_id)) or make_session(session_id)
    for number in range(start, start + count):
        await log.record(session, [make_message(number)], spool_acked=number)
