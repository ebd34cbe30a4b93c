"""Follows all events and tells them as they come."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from roost.v1.event_service_pb2 import SubscribeEventsResponse
from roost.v1.session_pb2 import Session
from roost_client import AsyncClient
from roost_client.states import seen

from ..render import action, short, state

PATIENCE_SECONDS = 30.0


class Watcher:
    """One subscription over the whole demo, server restart included."""

    def __init__(self, roost: AsyncClient, tell: Callable[[str], None]) -> None:
        self._roost = roost
        self._tell = tell
        self._texts: list[str] = []
        self._state = Session.STATE_UNSPECIFIED
        self._news = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._task = self._tasks.create_task(self._follow(), name="demo/watcher")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    async def text(self, body: str) -> None:
        """Waits until a text with this body has arrived and was told."""
        await self._until(lambda: body in self._texts)

    async def state(self, state: Session.State) -> None:
        """Waits until the session is in this state and that was told."""
        await self._until(lambda: self._state == state)

    async def _until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not done():
                await self._news.wait()
                self._news.clear()

    async def _follow(self) -> None:
        last = ""
        async for update in self._roost.events.subscribe():
            for line in lines(update):
                if line != last:
                    self._tell(line)
                last = line
            for session in seen(update):
                self._state = session.state
            for event in update.events:
                if event.HasField("message_received"):
                    self._texts.append(event.message_received.text)
            self._news.set()


def lines(update: SubscribeEventsResponse) -> list[str]:
    """What a person wants to see of an update."""
    found = []
    for session in seen(update):
        why = f"  {session.condition.reason}" if session.condition.reason else ""
        todo = f"  (to do: {action(session.condition)})" if action(session.condition) else ""
        found.append(f"status: {short(session.name)} is {state(session)}{why}{todo}")
    for event in update.events:
        if event.HasField("message_received"):
            message = event.message_received
            what = "(cannot be read; asked for again)" if message.undecryptable else message.text
            found.append(f"event {event.sequence}: {message.push_name} writes: {what}")
    return found
