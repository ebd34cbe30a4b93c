"""How a server shows in storage that it is alive, and how others tell that it is gone.

`servers/<server id>` is rewritten by its server every third of its `ttl`, by compare-and-swap only.
Nobody's wall clock is believed. A server counts as gone when

* it said so at a clean stop, or its heartbeat was removed by hand; or
* its heartbeat has not changed for the ttl and a margin, by the watcher's own monotonic clock; or
* it is older than that and a skew bound, both it and the watcher's own heartbeat being dated by the
  storage. So a server that has just started need not watch for a whole ttl; the bound is how far
  the storage's one clock may jump between two heartbeats.

The margin is for the owner: by its own clock it stops at the ttl, counted from before its last
heartbeat was sent, and whoever takes over waits longer than that, counted from after it was seen.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

import msgspec

from server.core.clock import Clock
from storage_backends.base import ObjectInfo
from storage_backends.errors import ObjectNotFound

from . import objects

T = TypeVar("T")

LONGEST_TTL = timedelta(hours=1)  # whatever a foreign object says
DRIFT = 0.05  # how far apart the speed of two machines' clocks may be
STOP_TIME = timedelta(seconds=3)  # for an owner to stop at its deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which server this is."""

    server: str
    """Made once, kept in the data directory."""
    instance: str
    """One run of the server's process."""
    place: str
    """The data directory on this machine since it booted: one server at a time can be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What is in `servers/<server id>`."""

    server: str
    instance: str
    place: str
    ttl_seconds: float
    beat: int
    is_stopped: bool = False
    taken: tuple[str, ...] = ()
    """Sessions that another server has taken; this server removes each once it has stopped it."""

    @property
    def patience(self) -> float:
        """For how many seconds without a change it may still be alive."""
        ttl = min(max(self.ttl_seconds, 0.0), LONGEST_TTL.total_seconds())
        return ttl * (1 + DRIFT) + STOP_TIME.total_seconds()

    def with_taken(self, session_id: str) -> "Heartbeat":
        """Marked: its server has to give this session up."""
        return replace(self, taken=tuple(sorted({*self.taken, session_id})))


class Swappable(Protocol):
    """What leases need of a storage; `AsyncStorage` is one."""

    async def stat(self, key: str) -> ObjectInfo:
        """As in the contract of a backend."""
        ...

    async def get(self, key: str) -> bytes:
        """As in the contract of a backend."""
        ...

    async def delete(self, key: str) -> None:
        """As in the contract of a backend."""
        ...

    async def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """As in the contract of a backend."""
        ...


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """An object as it was read. `value` is None if it cannot be understood."""

    etag: str
    value: T | None
    modify_time: datetime


async def find(storage: Swappable, key: str, kind: type[T]) -> Found[T] | None:
    """Reads a small JSON object with its etag; None: there is none."""
    try:
        info = await storage.stat(key)
        data = await storage.get(key)
    except ObjectNotFound:
        return None
    try:
        value = msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError:
        value = None
    return Found(info.etag, value, info.modify_time)


def encode(value: object) -> bytes:
    """As `find` reads it."""
    return msgspec.json.encode(value)


def key_of(server: str) -> str:
    """Where a server's heartbeat is."""
    return f"{objects.SERVERS}/{server}"


class Watch:
    """Remembers since when other servers' heartbeats have been as they are."""

    def __init__(self, clock: Clock, skew: timedelta) -> None:
        self._clock = clock
        self._skew = skew.total_seconds()
        self._since: dict[str, tuple[str, float]] = {}

    def known_etag(self, server: str) -> str | None:
        """Which heartbeat of a server was seen last."""
        seen = self._since.get(server)
        return seen[0] if seen else None

    def marked(self, server: str, etag: str, *, is_gone: bool) -> None:
        """The asker has written into a heartbeat as it was looked at: no sign of life."""
        _, since = self._since.get(server, ("", self._clock.monotonic()))
        self._since[server] = (etag, float("-inf") if is_gone else since)

    async def look(
        self, storage: Swappable, server: str, own: str
    ) -> tuple[Found[Heartbeat] | None, bool]:
        """A server's heartbeat, and whether the server is gone.

        `own` is the key of an object that the asker has written lately.
        """
        asked = self._clock.monotonic()
        found = await find(storage, key_of(server), Heartbeat)
        if found is None:
            self._since.pop(server, None)
            return None, True
        etag, since = self._since.get(server, ("", 0.0))
        if etag != found.etag:
            since = self._clock.monotonic()
            self._since[server] = (found.etag, since)
        beat = found.value
        if beat is None:  # nobody knows how often it is to change
            return found, asked - since >= LONGEST_TTL.total_seconds()
        if beat.is_stopped or asked - since >= beat.patience:
            return found, True
        return found, await self._is_old(storage, found, beat.patience, own)

    async def _is_old(
        self, storage: Swappable, found: Found[Heartbeat], patience: float, own: str
    ) -> bool:
        try:
            mine = await storage.stat(own)
        except ObjectNotFound:
            return False
        age = (mine.modify_time - found.modify_time).total_seconds()
        return age > patience + self._skew
