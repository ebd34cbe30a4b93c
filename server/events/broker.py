"""Hands the log to any number of readers, each at its own pace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

from server.core.errors import SubscriberTooSlow
from server.core.wakeup import Wakeup
from server.sessions.model import Session
from server.sessions.registry import SessionRegistry

from .log import EventLog
from .stored import DEFAULT_KINDS, EventFilter
from .subscription import (
    AfterCursor,
    Bookmark,
    BookmarkReason,
    Events,
    FromSnapshot,
    Item,
    Snapshot,
    Subscription,
)

BATCH = 100
CLOSING_GRACE = timedelta(seconds=5)


class Broker:
    """Every stream reads the log from its own position; nothing is queued for anybody.

    A reader that is behind reads from the database, one that is not from the log's tail in memory.
    One that takes its time holds nobody up and costs nothing but its place; it is ended with
    SubscriberTooSlow when it comes back after retention has removed what it had not read.
    """

    def __init__(self, log: EventLog, registry: SessionRegistry) -> None:
        self._log = log
        self._registry = registry
        self._is_closing = False
        self._streams = 0
        self._stream_ended = Wakeup()

    def cursor(self) -> str:
        """Now: what the registry shows at this moment, and nothing later."""
        return self._log.cursor(self._log.head)

    def subscribe(self, subscription: Subscription) -> AsyncIterator[Item]:
        """Items until the subscriber leaves or the server closes, the last then being CLOSING.

        Raises FieldInvalid and CursorExpired at once; SubscriberTooSlow and StorageUnavailable
        while iterating.
        """
        wanted = EventFilter(
            sessions=subscription.sessions, kinds=subscription.kinds or DEFAULT_KINDS
        )
        position, snapshot = self._log.head, None
        if isinstance(subscription.start, AfterCursor):
            cursor = self._log.resolve(subscription.start.cursor)
            if cursor.in_snapshot:
                snapshot = self._snapshot(wanted)
            else:
                position = cursor.position
        elif isinstance(subscription.start, FromSnapshot):
            snapshot = self._snapshot(wanted)
        return self._stream(position, snapshot, wanted, subscription.heartbeat)

    async def close(self, grace: timedelta = CLOSING_GRACE) -> None:
        """Ends every stream with a CLOSING bookmark; waits for those that take it, up to `grace`.

        Streams that begin later get the bookmark at once.
        """
        self._is_closing = True
        self._log.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                while self._streams:
                    await self._stream_ended.wait()

    def _snapshot(self, wanted: EventFilter) -> list[Session]:
        return [
            session
            for session in self._registry.list()
            if not wanted.sessions or session.name in wanted.sessions
        ]

    async def _stream(
        self,
        position: int,
        snapshot: list[Session] | None,
        wanted: EventFilter,
        heartbeat: timedelta,
    ) -> AsyncIterator[Item]:
        self._streams += 1
        try:
            if snapshot is not None:
                async for item in self._show(position, snapshot):
                    yield item
            async for item in self._follow(position, wanted, heartbeat.total_seconds()):
                yield item
        finally:
            self._streams -= 1
            self._stream_ended.wake()

    async def _show(self, position: int, snapshot: list[Session]) -> AsyncIterator[Item]:
        unfinished = self._log.cursor(position, in_snapshot=True)
        for session in snapshot:
            yield Snapshot(session=session, cursor=unfinished)
        yield Bookmark(reason=BookmarkReason.SNAPSHOT_COMPLETE, cursor=self._log.cursor(position))

    async def _follow(
        self, position: int, wanted: EventFilter, heartbeat: float
    ) -> AsyncIterator[Item]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + heartbeat
        while not self._is_closing:
            page = await self._log.read(position, BATCH, wanted)
            if page is None:
                raise SubscriberTooSlow(last_cursor=self._log.cursor(position))
            position = page.position
            if page.events:
                yield Events(events=page.events, cursor=self._log.cursor(position))
                deadline = loop.time() + heartbeat
            elif loop.time() >= deadline:
                yield Bookmark(reason=BookmarkReason.IDLE, cursor=self._log.cursor(position))
                deadline = loop.time() + heartbeat
            elif position == self._log.head and not self._is_closing:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await self._log.advanced()
        yield Bookmark(reason=BookmarkReason.CLOSING, cursor=self._log.cursor(position))
