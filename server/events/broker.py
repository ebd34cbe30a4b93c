"""Subscriptions: a snapshot if wanted, then every event, from the log, at the reader's own pace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from server.core.clock import Clock
from server.core.errors import SubscriberTooSlow
from server.core.names import SessionName
from server.core.wakeup import Wakeup
from server.sessions.model import Session
from server.sessions.registry import SessionRegistry

from .log import EventLog
from .stored import DEFAULT_KINDS, EventFilter, EventKind, StoredEvent

BATCH_EVENTS = 100


@dataclass(frozen=True, slots=True)
class FromSnapshot:
    """Begin with the current sessions, then the events after that moment."""


@dataclass(frozen=True, slots=True)
class FromNow:
    """Begin with the next event."""


@dataclass(frozen=True, slots=True)
class AfterCursor:
    """Begin strictly after a cursor that an earlier item carried."""

    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What one subscriber wants; no sessions means all."""

    start: FromSnapshot | FromNow | AfterCursor
    sessions: frozenset[SessionName] = frozenset()
    kinds: frozenset[EventKind] = DEFAULT_KINDS
    heartbeat: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One session of the snapshot. Resuming after its cursor starts the snapshot over."""

    session: Session
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """One or more events in order, at most `BATCH_EVENTS`; more than one only when they wait."""

    events: tuple[StoredEvent, ...]
    cursor: str


class BookmarkReason(StrEnum):
    """Why a bookmark was sent; `SubscribeEventsResponse.Bookmark.Reason` explains each."""

    SNAPSHOT_COMPLETE = "snapshot_complete"
    IDLE = "idle"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """No event: all that match up to `cursor` have been given."""

    reason: BookmarkReason
    cursor: str


Item = Snapshot | Events | Bookmark


class Broker:
    """Serves subscriptions. Each reads the log by itself, so none can hold up another.

    Nothing is buffered for a subscriber: it takes an item when it has handled the one before, and
    a slow one simply falls behind in the log, which keeps its place for as long as retention does.
    """

    def __init__(self, log: EventLog, registry: SessionRegistry, clock: Clock) -> None:
        self._log = log
        self._registry = registry
        self._clock = clock
        self._is_closing = False
        self._open = 0
        self._ended = Wakeup()

    def cursor(self) -> str:
        """The place after everything that the registry shows now."""
        return self._log.cursor(self._log.head)

    async def subscribe(self, subscription: Subscription) -> AsyncIterator[Item]:
        """Gives items until the caller stops asking or the broker closes.

        Raises FieldInvalid or CursorExpired for a bad start, and SubscriberTooSlow when retention
        has passed the reader.
        """
        self._open += 1
        try:
            async for item in self._items(subscription):
                yield item
        finally:
            self._open -= 1
            self._ended.wake()

    async def close(self, grace: timedelta) -> None:
        """Ends every subscription with a CLOSING bookmark; waits at most `grace` for readers."""
        self._is_closing = True
        self._log.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                while self._open:
                    await self._ended.wait()

    async def _items(self, subscription: Subscription) -> AsyncIterator[Item]:
        position, is_in_snapshot = self._begin(subscription.start)
        if is_in_snapshot:
            for item in self._snapshot(position, subscription.sessions):
                yield item
        wanted = EventFilter(sessions=subscription.sessions, kinds=subscription.kinds)
        silence = subscription.heartbeat.total_seconds()
        due = self._clock.monotonic() + silence
        while not self._is_closing:
            page = await self._log.read(position, BATCH_EVENTS, wanted)
            if page is None:
                raise SubscriberTooSlow(last_cursor=self._log.cursor(position))
            position = page.position
            if page.events:
                yield Events(events=page.events, cursor=self._log.cursor(position))
                due = self._clock.monotonic() + silence
            elif self._clock.monotonic() >= due:
                yield Bookmark(reason=BookmarkReason.IDLE, cursor=self._log.cursor(position))
                due = self._clock.monotonic() + silence
            elif position >= self._log.head:
                with suppress(TimeoutError):
                    async with asyncio.timeout(due - self._clock.monotonic()):
                        await self._log.advanced()
        yield Bookmark(reason=BookmarkReason.CLOSING, cursor=self._log.cursor(position))

    def _begin(self, start: FromSnapshot | FromNow | AfterCursor) -> tuple[int, bool]:
        """The position to read after, and whether a snapshot comes first."""
        match start:
            case AfterCursor(cursor=cursor):
                place = self._log.resolve(cursor)
                # A snapshot that was cut off is given anew, as of now.
                return (self._log.head, True) if place.in_snapshot else (place.position, False)
            case FromSnapshot():
                return self._log.head, True
            case FromNow():
                return self._log.head, False

    def _snapshot(self, position: int, sessions: frozenset[SessionName]) -> list[Item]:
        """Taken in one step of the loop with `position`, so it holds all that happened before."""
        inside = self._log.cursor(position, in_snapshot=True)
        found: list[Item] = [
            Snapshot(session=session, cursor=inside)
            for session in self._registry.list()
            if not sessions or session.name in sessions
        ]
        complete = self._log.cursor(position)
        return [*found, Bookmark(reason=BookmarkReason.SNAPSHOT_COMPLETE, cursor=complete)]
