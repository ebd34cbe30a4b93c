"""Keeping storage in order without being asked: retention, purge, and collection."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

import structlog

from server.core.clock import Clock
from server.core.errors import DomainError
from server.core.names import BackupName, SessionName, StorageLocationName
from server.sessions.model import Session
from server.vault.model import Backup, BackupState
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Round, Rules

from .policies import Policies

LAST_NOTES = 5.0  # seconds, for noting the last backups at the end

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HousekeepingConfig:
    """How often."""

    trash_time: timedelta = timedelta(days=7)
    """How long backups stay in trash."""
    pause: timedelta = timedelta(hours=1)
    """Between two rounds of one session in one location, however many backups there are."""
    every: timedelta = timedelta(days=1)
    """Between two rounds of all sessions."""
    first: timedelta = timedelta(minutes=5)
    """After the start."""


class Sessions(Protocol):
    """What this needs of the sessions."""

    def list(self, *, show_deleted: bool = False) -> Sequence[Session]:
        """All of this server."""
        ...


class Vaults(Protocol):
    """What this needs of the storage locations; `vaultcare.VaultCare` is it."""

    async def run_round(
        self, location: StorageLocationName, session: SessionName, rules: Rules
    ) -> Round:
        """Raises DomainError."""
        ...

    async def saw(self, location: StorageLocationName, name: BackupName) -> None:
        """Remembers a backup that was made; raises DomainError."""
        ...


Due = tuple[StorageLocationName, SessionName]


class Housekeeper:
    """Does a round for a session after a good backup of it, and for all of them every day.

    `async with` while the sessions run. One round at a time: nothing waits for them.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        vaults: Vaults,
        locations: Iterable[StorageLocationName],
        policies: Policies,
        clock: Clock,
        config: HousekeepingConfig | None = None,
    ) -> None:
        self._sessions = sessions
        self._vaults = vaults
        self._locations = tuple(locations)
        self._policies = policies
        self._clock = clock
        self._config = config or HousekeepingConfig()
        self._tasks = asyncio.TaskGroup()
        self._made: asyncio.Queue[Backup] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._last: dict[Due, float] = {}
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._running = [
            self._tasks.create_task(self._follow_backups(), name="backups/housekeeping"),
            self._tasks.create_task(self._go_round(), name="backups/housekeeping/daily"),
        ]
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
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_NOTES):
                while not self._made.empty():
                    await self._note(self._made.get_nowait())

    def made(self, backup: Backup) -> None:
        """Hears of every backup that was made; does not wait."""
        self._made.put_nowait(backup)

    def rules(self, session: SessionName) -> Rules:
        """What is kept of a session, and how long."""
        policy: RetentionPolicy = self._policies.of(session).retention
        return Rules(policy=policy, trash=self._config.trash_time)

    async def _follow_backups(self) -> None:
        while True:
            backup = await self._made.get()
            await self._note(backup)
            location, session = backup.storage_location, backup.name.session
            last = self._last.get((location, session))
            pause = self._config.pause.total_seconds()
            is_due = last is None or self._clock.monotonic() - last >= pause
            if is_due and backup.state is BackupState.ACTIVE:
                await self._round(location, session)

    async def _note(self, backup: Backup) -> None:
        location, name = backup.storage_location, backup.name
        await self._try(location, name.session, lambda: self._vaults.saw(location, name))

    async def _go_round(self) -> None:
        await self._clock.sleep(self._config.first.total_seconds())
        while True:
            for session in self._sessions.list(show_deleted=True):
                for location in self._locations:
                    await self._round(location, session.name)
            await self._clock.sleep(self._config.every.total_seconds())

    async def _round(self, location: StorageLocationName, session: SessionName) -> None:
        async with self._turn:
            self._last[location, session] = self._clock.monotonic()
            await self._try(location, session, lambda: self._clean(location, session))

    async def _clean(self, location: StorageLocationName, session: SessionName) -> None:
        done = await self._vaults.run_round(location, session, self.rules(session))
        if done.retention.remove or done.purge.remove or done.collected.packs:
            logger.info(
                "vault.cleaned",
                session=str(session),
                storage_location=str(location),
                trashed=len(done.retention.remove),
                purged=len(done.purge.remove),
                collected=len(done.collected.packs),
                collected_bytes=done.collected.bytes,
            )
        for problem in done.collected.stopped.values():
            logger.warning(
                "vault.not_collected",
                session=str(session),
                storage_location=str(location),
                problem=problem,
            )

    async def _try(
        self,
        location: StorageLocationName,
        session: SessionName,
        work: Callable[[], Awaitable[None]],
    ) -> None:
        """What fails is tried again with the next round."""
        try:
            await work()
        except DomainError as error:
            logger.warning(
                "vault.not_cleaned",
                session=str(session),
                storage_location=str(location),
                reason=error.reason,
            )
        except Exception:
            logger.exception(
                "vault.not_cleaned", session=str(session), storage_location=str(location)
            )
