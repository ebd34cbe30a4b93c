"""The newest events of the log in memory, so that live delivery needs no database."""

from collections.abc import Iterable
from dataclasses import dataclass

from .stored import EventFilter, Page, PageBuilder, StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class TailLimits:
    """How much is kept."""

    events: int = 4096
    size_bytes: int = 16 << 20


class Tail:
    """The events after `start`, without gaps."""

    def __init__(self, start: int, limits: TailLimits) -> None:
        self._limits = limits
        self._events: list[StoredEvent] = []
        self._forgotten = 0  # how many of them, from the front, are no longer counted
        self._start = start
        self._size_bytes = 0

    @property
    def start(self) -> int:
        """Everything after this position is here."""
        return self._start

    def extend(self, events: Iterable[StoredEvent]) -> None:
        """Appends what was committed and forgets the oldest beyond the limits."""
        for event in events:
            self._events.append(event)
            self._size_bytes += event.size_bytes
        while (
            len(self._events) - self._forgotten > self._limits.events
            or self._size_bytes > self._limits.size_bytes
        ):
            self._size_bytes -= self._events[self._forgotten].size_bytes
            self._forgotten += 1
            self._start += 1
        if self._forgotten > len(self._events) // 2:
            del self._events[: self._forgotten]
            self._forgotten = 0

    def page(self, after: int, wanted: EventFilter, builder: PageBuilder) -> Page | None:
        """A page after a position; None if the tail no longer reaches back to it."""
        if after < self._start:
            return None
        position = after
        for index in range(self._forgotten + after - self._start, len(self._events)):
            event = self._events[index]
            if wanted.matches(event) and not builder.takes(event):
                break
            position = event.position
        return builder.page(position)
