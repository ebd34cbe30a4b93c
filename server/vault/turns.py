"""One at a time: work on a repository that must not be done twice at once, by whichever server.

Moving manifests to trash and back, purging, and collecting take turns. The turn is an object that
is written by compare-and-swap only. A holder that was killed is waited for: when its object has
not changed for its whole time to live, by the waiter's interval clock, the next one takes it.
Storage that cannot compare and swap is taken to be used by one server only.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from server.core.clock import Clock
from server.core.ids import random_id
from storage_backends.errors import ObjectChanged, ObjectNotFound, StorageError
from storage_backends.threaded import AsyncStorage

from .objects import TURN

TIME_TO_LIVE = timedelta(seconds=60)
PATIENCE = timedelta(seconds=10)
POLL_SECONDS = 0.5


class TurnTaken(Exception):
    """Another server works on this repository; try again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    owner: str
    turn: str
    ttl_seconds: float
    is_free: bool = False


class Turn:
    """The right to move and delete. `check` before every step that would destroy something."""

    def __init__(self, storage: AsyncStorage, clock: Clock, holder: _Holder) -> None:
        self._storage = storage
        self._clock = clock
        self._holder = holder
        self._etag: str | None = None
        self._written = clock.monotonic()
        self._storage_time = clock.now()

    @property
    def storage_now(self) -> datetime:
        """The present by the storage's clock."""
        return self._storage_time + timedelta(seconds=self._clock.monotonic() - self._written)

    async def take(self, expected: str | None) -> None:
        """Raises ObjectChanged: somebody was faster."""
        await self._write(self._holder, expected)

    async def check(self) -> None:
        """Makes sure that it is still ours for a while; raises TurnTaken."""
        if self._clock.monotonic() - self._written > self._holder.ttl_seconds / 4:
            await self._renew()

    async def end(self) -> None:
        """Lets the next one begin at once."""
        if self._etag is not None:
            with suppress(StorageError):
                free = _encode(replace(self._holder, is_free=True))
                await self._storage.cas(TURN, free, expected=self._etag)

    async def _renew(self) -> None:
        if self._etag is None:
            return
        try:
            await self._write(self._holder, self._etag)
        except ObjectChanged as error:
            self._etag = None
            raise TurnTaken(TurnTaken.__doc__) from error

    async def _write(self, holder: _Holder, expected: str | None) -> None:
        began = self._clock.monotonic()
        info = await self._storage.cas(TURN, _encode(holder), expected=expected)
        self._etag, self._written, self._storage_time = info.etag, began, info.modify_time


class Turns:
    """The turns of this server in one storage.

    A process that comes after another one with the same `owner` need not wait for its end: only
    one of them can live, because they share a data directory.
    """

    def __init__(
        self,
        storage: AsyncStorage,
        clock: Clock,
        owner: str = "",
        time_to_live: timedelta = TIME_TO_LIVE,
    ) -> None:
        self.storage = storage
        self._clock = clock
        self._owner = owner or random_id()
        self._ttl = time_to_live.total_seconds()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def take(self, patience: timedelta = PATIENCE) -> AsyncIterator[Turn]:
        """Waits for the turn; raises TurnTaken, StorageError."""
        async with self._lock:
            holder = _Holder(owner=self._owner, turn=random_id(), ttl_seconds=self._ttl)
            turn = Turn(self.storage, self._clock, holder)
            if self.storage.properties.compare_and_swap:
                await self._wait_for(turn, patience)
            try:
                yield turn
            finally:
                await turn.end()

    async def _wait_for(self, turn: Turn, patience: timedelta) -> None:
        began = self._clock.monotonic()
        seen, since = "", began
        while True:
            etag, holder = await self._look()
            now = self._clock.monotonic()
            if etag != seen:
                seen, since = etag, now
            is_ours = holder is not None and (holder.is_free or holder.owner == self._owner)
            ttl = holder.ttl_seconds if holder else self._ttl
            if not etag or is_ours or now - since > ttl:
                with suppress(ObjectChanged):
                    await turn.take(etag or None)
                    return
            if now - began > patience.total_seconds():
                raise TurnTaken(TurnTaken.__doc__)
            await self._clock.sleep(POLL_SECONDS)

    async def _look(self) -> tuple[str, _Holder | None]:
        """The etag, empty if nobody ever had a turn; no holder: the object is damaged."""
        try:
            info = await self.storage.stat(TURN)
            data = await self.storage.get(TURN)
        except ObjectNotFound:
            return "", None
        try:
            return info.etag, _decode(data)
        except msgspec.DecodeError:
            return info.etag, None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Holder).decode
