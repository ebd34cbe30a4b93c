"""What a supervisor is told, in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from server.engine.base import EngineEvent

from .run import EngineRun


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Command:
    """Somebody asks for something and waits for the answer."""

    action: Callable[[], Awaitable[Any]]
    reply: asyncio.Future[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Happened:
    """The engine reports something."""

    run: EngineRun
    event: EngineEvent


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Due:
    """One of the supervisor's own timers or children has come to its end."""

    action: Callable[[], Awaitable[None]]


Item = Command | Happened | Due


class Inbox:
    """One queue for everything; `EngineRun` bounds its own share of it."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._arrived = asyncio.Event()

    def put(self, item: Item) -> None:
        """Appends an item."""
        self._items.append(item)
        self._arrived.set()

    async def take(self) -> Item:
        """The first item, once there is one."""
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()

    def peek(self) -> Item | None:
        """The first item, which stays."""
        return self._items[0] if self._items else None

    def skip(self) -> None:
        """Drops the first item, after `peek`."""
        self._items.popleft()

    def drain(self) -> list[Item]:
        """Everything that is left."""
        items = list(self._items)
        self._items.clear()
        return items
