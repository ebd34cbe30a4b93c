"""What is done for the sessions' credentials without being asked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import structlog

from server.core.clock import Clock
from server.core.errors import DomainError, StoreLost
from server.core.names import BackupName, SessionName
from server.sessions.model import Session
from server.vault.model import Backup, BackupKind, BackupState

from . import schedule, timing
from .model import VerifyResult
from .policies import Policies
from .schedule import Schedule
from .verifying import ENGINE

logger = structlog.get_logger(__name__)

DRILL_DELAY = 10.0  # seconds
LOOKED_AT = 5  # of the newest backups, for a good one


class Sessions(schedule.Sessions, Protocol):
    """What this needs of the sessions; `sessions.manager.SessionManager` is it."""

    async def tell_backup_failing(self, name: SessionName, reason: str) -> None:
        """Shows that no backup could be made for a while. Raises SessionNotFound."""
        ...


class Backups(Protocol):
    """What this needs of the backups; `service.BackupService` is it."""

    async def backup_now(self, session: SessionName, kind: BackupKind | None = None) -> Backup:
        """Makes a backup and waits for it; raises DomainError."""
        ...

    async def back_up_trash(self, session: Session, store: Path) -> Backup:
        """Makes a backup of a store in trash; raises StoreLost and other DomainErrors."""
        ...

    async def next_engine_drill(self) -> BackupName:
        """The next new backup that the engine should open."""
        ...

    async def verify_now(self, name: BackupName, level: int) -> VerifyResult:
        """Checks a backup and marks it; raises DomainError."""
        ...

    async def revoke(self, session: SessionName, fingerprint: str, reason: str) -> None:
        """Marks all present backups of a device as revoked; raises DomainError."""
        ...

    async def list(self, session: SessionName | None = None, *, limit: int = 50) -> list[Backup]:
        """The newest backups; raises DomainError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Credentials that WhatsApp does not accept any more, and where they are."""

    session: Session
    reason: str
    store: Path


class Custody:
    """Backs sessions up after changes, from time to time, and before and after what may harm them.

    `async with` while the sessions run.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        backups: Backups,
        policies: Policies,
        clock: Clock,
        uniform: Callable[[], float],
        data_dir: Path,
    ) -> None:
        self._sessions = sessions
        self._backups = backups
        self._clock = clock
        self._uniform = uniform
        self._data_dir = data_dir
        self._tasks = asyncio.TaskGroup()
        self._revocations: asyncio.Queue[Revocation] = asyncio.Queue()
        self._running: list[asyncio.Task[None]] = []
        self._is_finishing = False
        self._schedule = Schedule(
            sessions=sessions,
            backups=self,
            timing_of=lambda name: policies.of(name).timing,
            clock=clock,
            uniform=uniform,
        )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        await self._schedule.__aenter__()
        for name, work in (("revoke", self._revoke_forever()), ("drill", self._drill_forever())):
            self._running.append(self._tasks.create_task(work, name=f"backups/{name}"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        await self._schedule.__aexit__(kind, error, traceback)
        await self._tasks.__aexit__(kind, error, traceback)

    # --- what happens to sessions: see `sessions.hooks.Hooks`

    def stopped(self, name: SessionName) -> None:
        """Takes the copy from which a restore can go on exactly, as soon as possible."""
        self._schedule.stopped(name)

    async def before_delete(self, name: SessionName) -> None:
        """Returns when there is a copy of the last state."""
        await self._backups.backup_now(name, BackupKind.PRE_DELETE)

    def revoked(self, session: Session, reason: str, trash: str) -> None:
        """Copies the last state of revoked keys, then marks all copies of them."""
        store = self._data_dir / trash / "store.db"
        self._revocations.put_nowait(Revocation(session=session, reason=reason, store=store))

    async def finish(self, limit: timedelta) -> None:
        """Copies what has stopped, as far as `limit` allows, and nothing else from now on."""
        self._is_finishing = True
        until = self._clock.monotonic() + limit.total_seconds()
        await self._schedule.finish(limit)
        try:
            async with asyncio.timeout(max(until - self._clock.monotonic(), 0)):
                await self._revocations.join()
        except TimeoutError:
            logger.warning("backup.revocations_not_finished", left=self._revocations.qsize())

    # --- what the schedule asks for: see `schedule.Backups`

    async def back_up(self, name: SessionName) -> None:
        """Makes one backup."""
        await self._backups.backup_now(name)

    async def newest(self, name: SessionName) -> datetime | None:
        """When the newest good backup was taken."""
        for backup in await self._backups.list(name, limit=LOOKED_AT):
            if backup.state is BackupState.ACTIVE:
                return backup.create_time
        return None

    async def failing(self, name: SessionName, error: Exception) -> None:
        """Shows it in the session."""
        reason = error.reason if isinstance(error, DomainError) else "INTERNAL"
        await self._sessions.tell_backup_failing(name, reason)

    # --- the engine opens copies

    async def _drill_forever(self) -> None:
        """One at a time, and not in the busy moment right after a pairing."""
        while True:
            name = await self._backups.next_engine_drill()
            await self._clock.sleep(DRILL_DELAY)
            try:
                await self._backups.verify_now(name, ENGINE)
            except DomainError as error:
                logger.warning("backup.not_drilled", backup=str(name), reason=error.reason)
            except Exception:
                logger.exception("backup.not_drilled", backup=str(name))

    # --- revoked credentials

    async def _revoke_forever(self) -> None:
        while True:
            revocation = await self._revocations.get()
            try:
                await self._revoke(revocation)
            finally:
                self._revocations.task_done()

    async def _revoke(self, revocation: Revocation) -> None:
        """Tries until it is done or the server ends; trash has the keys in any case."""
        failures, name = 0, revocation.session.name
        while True:
            try:
                fingerprint = await self._copy(revocation)
                if fingerprint:
                    await self._backups.revoke(name, fingerprint, revocation.reason)
            except DomainError as error:
                reason = error.reason
                logger.warning("backup.revocation_failed", session=str(name), reason=reason)
            except Exception:
                logger.exception("backup.revocation_failed", session=str(name))
            else:
                return
            if self._is_finishing:
                return
            delay = min(timing.FIRST_RETRY * 2.0**failures, timing.LONGEST_RETRY)
            failures += 1
            await self._clock.sleep(delay)

    async def _copy(self, revocation: Revocation) -> str:
        """The device's fingerprint; empty: unknown."""
        try:
            backup = await self._backups.back_up_trash(revocation.session, revocation.store)
        except StoreLost:
            fingerprint = ""
        else:
            fingerprint = backup.device_fingerprint
        if not fingerprint:
            newest = await self._backups.list(revocation.session.name, limit=LOOKED_AT)
            fingerprint = next((each.device_fingerprint for each in newest), "")
        return fingerprint
