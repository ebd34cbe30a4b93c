"""Keeping the mirrors of the primary storage location up to date, in the background."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import structlog

from server.core.clock import Clock
from server.core.errors import DomainError
from server.core.names import SessionName, StorageLocationName
from server.vault.model import Backup
from server.vault.replicating import Replicated

logger = structlog.get_logger(__name__)

FIRST = timedelta(seconds=10)  # from the start to the first look at everything
EVERY = timedelta(hours=1)
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=5)


class Vaults(Protocol):
    """What this needs of the storage locations; `vaultcare.VaultCare` is it."""

    async def sessions(self, location: StorageLocationName) -> list[SessionName]:
        """All that have something in a location; raises DomainError."""
        ...

    async def replicate(
        self,
        source: StorageLocationName,
        target: StorageLocationName,
        session: SessionName,
        *,
        leading: bool,
        thorough: bool,
    ) -> Replicated:
        """Copies what `target` lacks of a session; raises DomainError."""
        ...


class Mirrors:
    """`async with` while the sessions run. Without mirrors it does nothing.

    After every backup its session is copied; from time to time everything is looked at, pages
    included. A location that is away is tried again, ever less often, until it is back.
    """

    def __init__(
        self, vaults: Vaults, locations: Sequence[StorageLocationName], clock: Clock
    ) -> None:
        self._vaults = vaults
        self._primary, *self._mirrors = locations
        self._clock = clock
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []
        self._changed: dict[StorageLocationName, asyncio.Queue[SessionName]] = {
            mirror: asyncio.Queue() for mirror in self._mirrors
        }
        self._working: dict[StorageLocationName, asyncio.Lock] = {
            mirror: asyncio.Lock() for mirror in self._mirrors
        }

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for mirror in self._mirrors:
            for name, work in (("follow", self._follow), ("round", self._go_round)):
                task = self._tasks.create_task(work(mirror), name=f"backups/mirror/{name}")
                self._running.append(task)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(kind, error, traceback)

    def made(self, backup: Backup) -> None:
        """Hears of every backup that was made; does not wait."""
        for changed in self._changed.values():
            changed.put_nowait(backup.name.session)

    async def _follow(self, mirror: StorageLocationName) -> None:
        while True:
            session = await self._changed[mirror].get()
            await self._until_done(mirror, partial(self._copy, mirror, session))

    async def _go_round(self, mirror: StorageLocationName) -> None:
        await self._clock.sleep(FIRST.total_seconds())
        while True:
            await self._until_done(mirror, partial(self._copy_all, mirror))
            await self._clock.sleep(EVERY.total_seconds())

    async def _copy_all(self, mirror: StorageLocationName) -> None:
        sessions = {
            *await self._vaults.sessions(self._primary),
            *await self._vaults.sessions(mirror),
        }
        for session in sorted(sessions):
            await self._copy(mirror, session, thorough=True)

    async def _copy(
        self, mirror: StorageLocationName, session: SessionName, *, thorough: bool = False
    ) -> None:
        """First back what the primary missed, then on what the mirror lacks."""
        async with self._working[mirror]:
            for source, target in ((mirror, self._primary), (self._primary, mirror)):
                done = await self._vaults.replicate(
                    source, target, session, leading=target == mirror, thorough=thorough
                )
                for problem in done.problems:
                    logger.error(
                        "mirror.not_copied",
                        session=str(session),
                        storage_location=str(source),
                        problem=problem,
                    )
                if done.objects:
                    logger.info(
                        "mirror.copied",
                        session=str(session),
                        storage_location=str(target),
                        objects=done.objects,
                        bytes=done.bytes,
                    )

    async def _until_done(
        self, mirror: StorageLocationName, work: Callable[[], Awaitable[None]]
    ) -> None:
        delay = FIRST_RETRY
        while True:
            try:
                await work()
            except DomainError as error:
                logger.warning("mirror.away", storage_location=str(mirror), reason=error.reason)
            except Exception:
                logger.exception("mirror.failed", storage_location=str(mirror))
            else:
                return
            await self._clock.sleep(delay.total_seconds())
            delay = min(delay * 2, LONGEST_RETRY)
