"""The event log: everything that happened, in order, durable before anybody is told."""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from server.core.clock import Clock
from server.core.errors import CursorExpired, ServerDraining, StorageUnavailable
from server.core.wakeup import Wakeup
from server.sessions.journal import EventBody
from server.sessions.model import Session
from server.sessions.registry import SessionRegistry
from server.state.database import Database

from . import queries
from . import retention as trimming
from .batch import Batch, Entry
from .cursor import TOKEN_BYTES, Cursor, Epochs, format_cursor, parse_cursor
from .retention import Retention
from .stored import EventFilter, Page, PageBuilder
from .tail import Tail, TailLimits

logger = structlog.get_logger(__name__)

BATCH_EVENTS = 2000  # a commit takes no more entries once it has this many events
PAGE_BYTES = 1 << 20  # a page of events, beyond its first: one response must fit 4 MiB
RETRY_SECONDS = (0.1, 0.5, 2.0)
ALL = EventFilter()


class EventLog:
    """The journal of the sessions, and what subscribers read.

    Group commit: one task commits; calls of `record` that arrive while a commit is under way share
    the next one. An idle log commits at once.

    Enter it before anything that records; on leaving it commits what was recorded. Leaving raises
    `LogTakenOver` (and cancels the body) when another server has begun to write to the database.
    """

    def __init__(
        self,
        database: Database,
        registry: SessionRegistry,
        clock: Clock,
        *,
        retention: Retention | None = None,
        tail: TailLimits | None = None,
    ) -> None:
        self._database = database
        self._registry = registry
        self._clock = clock
        self._retention = retention or Retention()
        self._tail_limits = tail or TailLimits()
        self._tasks = asyncio.TaskGroup()
        self._pending: deque[Entry] = deque()
        self._committing: list[Entry] = []
        self._arrived = asyncio.Event()
        self._is_closed = True
        self._trimming = asyncio.Lock()
        self._advanced = Wakeup()
        self._epoch = 0
        self._head = 0
        self._oldest = 0
        self._epochs = Epochs([])
        self._tail = Tail(0, self._tail_limits)

    async def __aenter__(self) -> Self:
        token, now = secrets.token_bytes(TOKEN_BYTES), self._clock.now()
        start = await self._database.write(lambda connection: queries.begin(connection, token, now))
        self._epoch, self._head, self._oldest = start.epoch, start.head, start.trimmed
        self._epochs = Epochs(start.epochs)
        self._tail = Tail(start.head, self._tail_limits)
        self._registry.apply(start.sessions)
        self._is_closed = False
        await self._tasks.__aenter__()
        self._tasks.create_task(self._commit_forever(), name="events/commit")
        self._trimmer = self._tasks.create_task(self._trim_forever(), name="events/trim")
        logger.info("log.opened", head=self._head, sessions=len(start.sessions))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closed = True
        self._trimmer.cancel()
        self._arrived.set()
        await self._tasks.__aexit__(kind, error, traceback)

    # --- writing

    async def record(
        self, session: Session, events: Sequence[EventBody] = (), *, spool_acked: int | None = None
    ) -> None:
        """As `Journal.record`. Raises ServerDraining once the log is closed."""
        if self._is_closed:
            raise ServerDraining
        entry = Entry.of(session, events, spool_acked, self._clock.now())
        self._pending.append(entry)
        self._arrived.set()
        await entry.done

    async def _commit_forever(self) -> None:
        try:
            while self._pending or not self._is_closed:
                if self._pending:
                    await self._commit(self._take())
                else:
                    self._arrived.clear()
                    await self._arrived.wait()
        finally:
            self._is_closed = True
            for entry in (*self._committing, *self._pending):
                _fail(entry, ServerDraining())

    def _take(self) -> list[Entry]:
        self._committing = []
        size = 0
        while self._pending and size < BATCH_EVENTS:
            self._committing.append(self._pending.popleft())
            size += len(self._committing[-1].bodies)
        return self._committing

    async def _commit(self, entries: list[Entry]) -> None:
        batch = Batch(base=self._head, known=self._registry)
        for entry in entries:
            batch.add(entry)
        try:
            await self._write(batch)
        except (SQLAlchemyError, ArithmeticError, TypeError, ValueError) as error:
            await self._commit_apart(entries, error)
        else:
            self._show(batch, entries)

    async def _commit_apart(self, entries: list[Entry], error: Exception) -> None:
        """One of the entries cannot be stored: the others shall not suffer for it."""
        if len(entries) == 1:
            _fail(entries[0], error)
            return
        for entry in entries:
            await self._commit([entry])

    async def _write(self, batch: Batch) -> None:
        """Commits, however long the database is away: nothing may be told before or forgotten."""
        attempt = 0
        while True:
            try:
                await self._database.write(lambda c: batch.write(c, self._epoch))
            except StorageUnavailable as error:
                delay = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                attempt += 1
                cause = str(error.__cause__)
                logger.warning("log.commit_failed", cause=cause, attempt=attempt, retry=delay)
                await self._clock.sleep(delay)
            else:
                return

    def _show(self, batch: Batch, entries: list[Entry]) -> None:
        """After the commit, in one step of the loop: nobody sees one half of it."""
        self._registry.apply(batch.records.values())
        self._head = batch.head
        self._tail.extend(batch.stored)
        for entry in entries:
            if not entry.done.done():
                entry.done.set_result(None)
        self._advanced.wake()

    # --- reading

    @property
    def head(self) -> int:
        """The position of the last event."""
        return self._head

    @property
    def oldest(self) -> int:
        """Everything after this position is still in the log."""
        return self._oldest

    def cursor(self, position: int, *, in_snapshot: bool = False) -> str:
        """The cursor for a position."""
        return format_cursor(self._epochs.cursor(position, in_snapshot=in_snapshot))

    def resolve(self, cursor: str) -> Cursor:
        """The place that a cursor names. Raises FieldInvalid, CursorExpired."""
        parsed = parse_cursor(cursor)
        if parsed.position < self._oldest or not self._epochs.know(parsed, self._head):
            raise CursorExpired(oldest_cursor=self.cursor(self._oldest))
        return parsed

    async def read(
        self,
        after: int,
        limit: int,
        wanted: EventFilter = ALL,
    ) -> Page | None:
        """At most `limit` matching events after a position, and at most about 1 MiB of them.

        From memory, without giving up the loop, when they are recent. None if events after
        `after` have been removed meanwhile.
        """
        builder = PageBuilder(limit, PAGE_BYTES)
        if after < self._oldest:
            return None
        page = self._tail.page(after, wanted, builder)
        if page is not None:
            return page
        head = self._head
        found = await self._database.read(
            lambda connection: queries.read(
                connection, after=after, head=head, limit=limit, wanted=wanted, builder=builder
            )
        )
        # `oldest` moves before events go, so a page with a hole is found out here.
        return found if after >= self._oldest else None

    async def advanced(self) -> None:
        """Returns when the head moves, or at `wake`; look at it first, without awaiting between."""
        await self._advanced.wait()

    def wake(self) -> None:
        """Lets everybody who waits in `advanced` look again."""
        self._advanced.wake()

    # --- retention

    async def trim(self) -> int:
        """Removes what retention no longer covers; how many events. Raises StorageUnavailable."""
        async with self._trimming:
            before = self._oldest
            while await self._trim_chunk():
                pass
            return self._oldest - before

    async def _trim_chunk(self) -> bool:
        now = self._clock.now()
        through = await self._database.read(lambda c: trimming.plan(c, self._retention, now))
        if through is None:
            return False
        position = self._oldest = through
        await self._database.write(lambda c: trimming.apply(c, position, self._epoch))
        return True

    async def _trim_forever(self) -> None:
        while True:
            await self._clock.sleep(self._retention.check_every.total_seconds())
            try:
                if removed := await self.trim():
                    logger.info("log.trimmed", removed=removed, oldest=self._oldest)
            except StorageUnavailable as error:
                logger.warning("log.trim_failed", cause=str(error.__cause__))


def _fail(entry: Entry, error: Exception) -> None:
    if not entry.done.done():
        entry.done.set_exception(error)
