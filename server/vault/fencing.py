"""Keeps this server's heartbeat going, and sessions off that are another server's.

What happens while the storage does not answer is a choice. Lenient: sessions go on and start, and
what was started unseen is compared as soon as the storage is back; if another server has taken a
session over meanwhile, both may be connected until then. Strict: without a heartbeat for the ttl
all sessions stop, and none starts before the storage is back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import structlog

from server.core.clock import Clock
from server.core.errors import DomainError, SessionLeased, StorageMisconfigured, StorageUnavailable
from server.core.names import SessionName, StorageLocationName
from storage_backends.base import ObjectInfo
from storage_backends.errors import BackendTimeout, NotSupported, StorageError
from storage_backends.threaded import AsyncStorage

from .heartbeats import Identity
from .leases import SKEW, TTL, IdentityBusy, IdentityTaken, Leases

logger = structlog.get_logger(__name__)

T = TypeVar("T")

CALL_SECONDS = 8.0  # for one answer of the storage: nobody may wait for a minute to start
BEATS = 3  # within a ttl
AWAY = (StorageError, StorageUnavailable, StorageMisconfigured)


class Loss(Enum):
    """Why a session has to stop."""

    TAKEN = auto()  # by another server
    AWAY = auto()  # nobody can tell


class Fencing:
    """Leave to run sessions. `async with` around the sessions' whole life.

    `lost` ends a session's engine and returns when it is gone.
    """

    def __init__(
        self,
        storage: Callable[[], Awaitable[AsyncStorage]],
        identity: Identity,
        clock: Clock,
        *,
        location: StorageLocationName,
        lost: Callable[[SessionName, Loss], Awaitable[None]],
        strict: bool = False,
        ttl: timedelta = TTL,
        skew: timedelta = SKEW,
    ) -> None:
        self._open = storage
        self._location = location
        self._server = identity.server
        self._clock = clock
        self._lost = lost
        self._strict = strict
        self._interval = ttl.total_seconds() / BEATS
        self._leases = Leases(self._storage, identity, clock, ttl=ttl, skew=skew)
        self._tasks = asyncio.TaskGroup()
        self._loops: list[asyncio.Task[None]] = []
        self._is_known = asyncio.Event()  # how the first beat ended
        self._is_adopted = asyncio.Event()  # the heartbeat is ours
        self._is_off = False
        self._is_away = False
        self._is_replaced = False
        self._ours: set[SessionName] = set()  # last known to be this server's
        self._unproven: set[SessionName] = set()  # started while the storage was away
        self._promised: set[SessionName] = set()  # and to be taken over when it is back

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for loop in (self._beat_for_ever(), self._watch_the_deadline()):
            self._loops.append(self._tasks.create_task(loop))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for loop in self._loops:
            loop.cancel()
        await self._tasks.__aexit__(kind, error, traceback)
        if not self._is_replaced:
            with suppress(*AWAY):
                await self._leases.stop()

    # --- for sessions

    async def enter(self, session: SessionName, *, fresh: bool) -> None:
        """Returns when the session may be started; `fresh`: it has no credentials yet.

        Raises SessionLeased, StorageUnavailable.
        """
        await self._is_known.wait()
        if self._is_off:
            return
        if self._is_away and not self._strict:
            self._go_on_unproven(session)
            return
        take = self._leases.claim if fresh else self._leases.resume
        try:
            await self._ask(session, partial(take, session))
        except StorageUnavailable:
            if self._strict:
                raise
            self._go_on_unproven(session)
        else:
            if self._strict and self._leases.seconds_left <= 0:
                raise StorageUnavailable(storage_location=str(self._location))
            self._ours.add(session)

    def left(self, session: SessionName) -> None:
        """It does not run any more, and is not wanted to: other servers may take it."""
        self._unproven.discard(session)
        if session in self._leases.held:
            self._tasks.create_task(self._release(session))

    # --- for restores

    async def check(self, session: SessionName) -> None:
        """Raises SessionLeased if a claim would be refused now, StorageUnavailable."""
        await self._is_known.wait()
        if self._is_off or (self._is_away and self._may_go_on(session)):
            return
        try:
            await self._ask(session, partial(self._leases.check, session))
        except StorageUnavailable:
            if not self._may_go_on(session):
                raise

    @asynccontextmanager
    async def claiming(
        self, session: SessionName, *, take_over: bool = False
    ) -> AsyncIterator[None]:
        """The session's credentials may be put in place; if that fails its lease is as before.

        With `take_over` another server that is alive has to stop the session first. A storage that
        is away prevents nothing then, nor with a session that this server had; unless it is strict.

        Raises SessionLeased, StorageUnavailable.
        """
        await self._is_known.wait()
        if self._is_off:
            yield
            return
        take = partial(self._leases.claim, session, take_over=take_over)
        try:
            claim = await self._ask(session, take)
        except StorageUnavailable:
            if self._strict or not (take_over or self._may_go_on(session)):
                raise
            if take_over:
                self._promised.add(session)
            self._go_on_unproven(session)
            yield
            return
        self._ours.add(session)
        try:
            yield
        except BaseException:
            with suppress(*AWAY):
                await claim.undo()
            if session not in self._leases.held:
                self._ours.discard(session)
            raise

    # --- inside

    async def _storage(self) -> "Prompt":
        async with _limit():
            storage = await self._open()
        if not storage.properties.compare_and_swap:
            raise NotSupported(backend=storage.name)
        return Prompt(storage)

    async def _ask(self, session: SessionName, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            if self._is_replaced:
                raise SessionLeased(session=str(session), server=self._server)
            try:
                return await call()
            except IdentityBusy:
                self._is_adopted.clear()
                await self._is_adopted.wait()
            except IdentityTaken:
                self._is_replaced = True
            except AWAY as error:
                raise StorageUnavailable(storage_location=str(self._location)) from error

    def _may_go_on(self, session: SessionName) -> bool:
        """Without an answer of the storage."""
        return not self._strict and session in self._ours

    def _go_on_unproven(self, session: SessionName) -> None:
        logger.warning("lease.unproven", session=session.session_id)
        self._unproven.add(session)
        self._ours.add(session)

    async def _release(self, session: SessionName) -> None:
        with suppress(*AWAY):
            await self._leases.release(session)

    async def _beat_for_ever(self) -> None:
        while not self._is_replaced:
            await self._beat()
            self._is_known.set()
            if self._is_off:
                return
            in_doubt = self._is_away or not self._is_adopted.is_set()
            await self._clock.sleep(self._interval / BEATS if in_doubt else self._interval)
        self._is_known.set()
        self._is_adopted.set()  # nobody needs to wait any more

    async def _beat(self) -> None:
        was_away = self._is_away
        try:
            await self._leases.beat()
        except IdentityBusy:
            self._is_adopted.clear()
        except IdentityTaken:
            self._be_replaced()
        except NotSupported:
            self._is_off = True
            logger.warning("leases.not_supported", storage_location=str(self._location))
        except AWAY as error:
            self._is_away = True
            if not was_away:
                reason = type(error).__name__
                logger.warning("heartbeat.failed", reason=reason, strict=self._strict)
        else:
            self._is_away = False
            self._is_adopted.set()
            if was_away:
                logger.info("heartbeat.restored")
            self._prove()
        self._stop(self._leases.take_lost(), Loss.TAKEN)

    def _be_replaced(self) -> None:
        """Another process has this server's id: a copy of the data directory."""
        self._is_replaced, self._is_away = True, False
        logger.error("server.id_in_use_elsewhere", server=self._server)
        self._stop(self._leases.lose_all() | self._unproven, Loss.TAKEN)

    def _prove(self) -> None:
        unproven, self._unproven = self._unproven, set()
        for session in unproven:
            self._tasks.create_task(self._prove_one(session))

    async def _prove_one(self, session: SessionName) -> None:
        prove: Callable[[], Awaitable[object]] = partial(self._leases.resume, session)
        if session in self._promised:
            prove = partial(self._leases.claim, session, take_over=True)
        try:
            await self._ask(session, prove)
        except SessionLeased:
            await self._stop_one(session, Loss.TAKEN)
        except StorageUnavailable:
            self._unproven.add(session)
        else:
            self._promised.discard(session)

    async def _watch_the_deadline(self) -> None:
        """By the time that others may take over, a strict server has stopped."""
        while self._strict:
            left = self._leases.seconds_left
            if left <= 0:
                self._stop(self._leases.lose_all(), Loss.AWAY)
            await self._clock.sleep(left if left > 0 else self._interval / BEATS)

    def _stop(self, sessions: frozenset[SessionName], loss: Loss) -> None:
        for session in sessions:
            self._tasks.create_task(self._stop_one(session, loss))

    async def _stop_one(self, session: SessionName, loss: Loss) -> None:
        logger.warning("lease.lost", session=session.session_id, why=loss.name)
        if loss is Loss.TAKEN:
            self._ours.discard(session)
        try:
            await self._lost(session, loss)
        except DomainError:
            logger.exception("lease.not_stopped", session=session.session_id)
            return
        if loss is Loss.TAKEN:
            self._leases.stopped(session)
            if not self._is_replaced:
                await self._beat()  # lets the new owner begin


class Prompt:
    """A storage whose answers are not waited for very long."""

    def __init__(self, storage: AsyncStorage) -> None:
        self._storage = storage

    async def stat(self, key: str) -> ObjectInfo:
        """As in the contract."""
        async with _limit(key):
            return await self._storage.stat(key)

    async def get(self, key: str) -> bytes:
        """As in the contract."""
        async with _limit(key):
            return await self._storage.get(key)

    async def delete(self, key: str) -> None:
        """As in the contract."""
        async with _limit(key):
            await self._storage.delete(key)

    async def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """As in the contract."""
        async with _limit(key):
            return await self._storage.cas(key, data, expected=expected)


@asynccontextmanager
async def _limit(key: str = "") -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError as error:
        raise BackendTimeout(backend="leases", key=key) from error
