"""Events as they are stored and filtered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import msgspec

from server.core.names import SessionName
from server.engine.base import MessageReceived, RawEvent, ReceiptReceived
from server.sessions.journal import EventBody
from server.sessions.model import BackupChanged, SessionChanged


class EventKind(IntEnum):
    """What an event is about. The numbers are stored, and equal `roost.v1.EventKind`'s."""

    SESSION = 1
    MESSAGE = 2
    ENGINE = 3
    RECEIPT = 4
    BACKUP = 5


TYPES: dict[EventKind, type[EventBody]] = {
    EventKind.SESSION: SessionChanged,
    EventKind.MESSAGE: MessageReceived,
    EventKind.ENGINE: RawEvent,
    EventKind.RECEIPT: ReceiptReceived,
    EventKind.BACKUP: BackupChanged,
}
KINDS: dict[type[EventBody], EventKind] = {cls: kind for kind, cls in TYPES.items()}
# What a subscriber gets who did not say.
DEFAULT_KINDS = frozenset(EventKind) - {EventKind.ENGINE}

encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_DECODERS = {kind: msgspec.msgpack.Decoder(cls) for kind, cls in TYPES.items()}


def decode(kind: int, data: bytes) -> EventBody:
    """Reads back what `encode` wrote. Fields added since get their defaults."""
    body: EventBody = _DECODERS[EventKind(kind)].decode(data)
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event with its place in the log."""

    position: int
    session: SessionName
    sequence: int  # grows by one per event of the session
    receive_time: datetime
    body: EventBody
    size_bytes: int  # of the encoded body

    @property
    def kind(self) -> EventKind:
        """What it is about."""
        return KINDS[type(self.body)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events somebody wants; an empty set of sessions means all."""

    sessions: frozenset[SessionName] = frozenset()
    kinds: frozenset[EventKind] = frozenset(EventKind)

    def matches(self, event: StoredEvent) -> bool:
        """Whether `event` is wanted."""
        return event.kind in self.kinds and (not self.sessions or event.session in self.sessions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Matching events in order; all that match up to and including `position` are there."""

    events: tuple[StoredEvent, ...]
    position: int


class PageBuilder:
    """Collects a page up to a number of events and, beyond the first, of bytes."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._events: list[StoredEvent] = []

    def takes(self, event: StoredEvent) -> bool:
        """Adds `event` if it fits; False: the page ends before it."""
        if len(self._events) >= self._limit:
            return False
        if self._events and event.size_bytes > self._limit_bytes:
            return False
        self._events.append(event)
        self._limit_bytes -= event.size_bytes
        return True

    def page(self, position: int) -> Page:
        """The page, which looked at everything up to `position`."""
        return Page(events=tuple(self._events), position=position)
