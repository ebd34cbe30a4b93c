"""Backups and restores of sessions' credentials, as the API offers them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from server.core.clock import Clock
from server.core.errors import (
    BackupNotFound,
    ServerDraining,
    SessionNotFound,
    SessionNotPaired,
    StorageUnavailable,
    StoreLost,
)
from server.core.ids import time_ordered_id
from server.core.names import BackupName, OperationName, SessionName, StorageLocationName
from server.sessions.model import Session
from server.vault.masterkeys.base import MasterKey
from server.vault.model import Backup, BackupKind, BackupState
from server.vault.stats import Stats, measure
from server.vault.workers import Workers

from .catalog import Catalog
from .following import Follower
from .keykeeping import KeyKeeper, MasterKeyInfo
from .locations import Locations
from .making import Maker, Source
from .model import (
    RecoverResult,
    RestoreMode,
    RestorePlan,
    RestoreResult,
    StorageLocation,
    VerifyResult,
)
from .operation import Operation
from .operations import Operations, Report
from .planning import refuse_without_force
from .porting import Export, Porter
from .ports import Fence, Sessions, Unfenced
from .recovering import Recoverer, Recovery
from .restoring import Restorer
from .scratch import Scratch
from .showing import shown
from .turns import Turns
from .verifying import Verifier

PAGE = 500
# Revoked: a verified copy of a device that WhatsApp has removed.
SAVED = frozenset({BackupState.ACTIVE, BackupState.REVOKED})
AT_ONCE = 2  # each holds an image and its sealed form in memory: about 2.5 times the store


class BackupService:
    """Makes, lists and restores backups. `async with` after the locations, before the sessions."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        operations: Operations,
        locations: Locations,
        masters: Sequence[MasterKey],
        clock: Clock,
        scratch: Scratch,
        engine_version: str,
        fence: Fence | None = None,
        engine_schema: Callable[[], int] = lambda: 0,
    ) -> None:
        self._sessions = sessions
        self._operations = operations
        self._locations = locations
        self._scratch = scratch
        self._workers = Workers()
        self._clock = clock
        self.on_made: Callable[[Backup], None] = lambda _: None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._turns = Turns()
        self.catalog = self._catalog = Catalog(locations, masters, self._workers, clock)
        places = [location.name for location in locations.list()]
        self.keys = KeyKeeper(places, self._catalog.repository, clock)
        self._engine_drills: asyncio.Queue[BackupName] = asyncio.Queue()
        self._verifier = Verifier(sessions, self._catalog, self._workers, scratch, clock)
        self._maker = Maker(
            sessions,
            self._catalog,
            self.keys,
            self._workers,
            scratch,
            clock,
            engine_version,
            self._engine_drills.put_nowait,
        )
        self._fence = fence or Unfenced()
        self._restorer = Restorer(
            sessions,
            self._catalog,
            self._workers,
            scratch,
            clock,
            self._save,
            engine_schema,
            self._fence,
        )
        self._follower = Follower(sessions)
        self._recoverer = Recoverer(
            sessions, self._catalog, self._restorer, self._follower, self._fence, self._turn
        )
        self._porter = Porter(
            self._catalog, self._workers, scratch, clock, self._slots, self._turns
        )

    async def __aenter__(self) -> Self:
        await self._workers.__aenter__()
        await self._workers.run(self._scratch.prepare)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._workers.__aexit__(kind, error, traceback)

    def locations(self) -> list[StorageLocation]:
        """The configured places, the primary first."""
        return self._locations.list()

    async def create(
        self,
        session: SessionName,
        location: StorageLocationName | None = None,
        kind: BackupKind | None = None,
    ) -> Operation:
        """Starts a backup; its result is the backup.

        Without `kind` it is QUIESCED when the copy is provably the session's last state, else HOT.

        Raises SessionNotFound, SessionNotPaired, StoreLost, StorageLocationNotFound,
        OperationInProgress.
        """
        await self._check_paired(session)
        place = location or self._locations.primary
        self._locations.check(place)
        name = await self._catalog.new_name(session, place)

        async def work(report: Report) -> Backup:
            async with self._turn(session):
                return self._tell(await self._maker.make(name, place, kind, report))

        return await self._operations.start(target=str(name), session=session, work=work)

    async def backup_now(self, session: SessionName, kind: BackupKind | None = None) -> Backup:
        """Makes a backup in the primary location, or a mirror while that is away; waits for it.

        Raises SessionNotFound, SessionNotPaired, StoreLost, StorageUnavailable,
        StorageMisconfigured, QuotaExceeded, BackupCorrupt.
        """
        await self._check_paired(session)
        async with self._turn(session):
            return self._tell(await self._make(session, kind))

    async def back_up_trash(self, session: Session, store: Path) -> Backup:
        """As `backup_now`, of a store in trash, for `session` as it was with it."""
        async with self._turn(session.name):
            return self._tell(await self._make(session.name, None, Source(session, store)))

    async def revoke(self, session: SessionName, fingerprint: str, reason: str) -> None:
        """Marks all present backups of a device as revoked: a restore then needs `force`.

        Raises StorageUnavailable, StorageMisconfigured, QuotaExceeded.
        """
        await self._catalog.revoke(session, fingerprint, reason)
        for backup in await self.list(session, limit=1):
            if backup.device_fingerprint == fingerprint:
                await self.announce(backup)

    async def get(self, name: BackupName) -> Backup:
        """A backup; raises BackupNotFound, BackupKeyMissing, BackupCorrupt."""
        repository, standing = await self._catalog.find(name)
        return shown(standing, repository.location)

    async def list(
        self, session: SessionName | None = None, after: BackupName | None = None, limit: int = 50
    ) -> list[Backup]:
        """Backups older than `after`, newest first; None: of all sessions in storage."""
        return await self._catalog.page(session, after, limit)

    async def newest_good(self, session: SessionName, before: datetime | None = None) -> BackupName:
        """The newest good backup of a session, taken before a time if one is given.

        Raises BackupNotFound, StorageUnavailable, StorageMisconfigured.
        """
        after: BackupName | None = None
        while page := await self.list(session, after, PAGE):
            for backup in page:
                is_early = before is None or backup.create_time < before
                if backup.state is BackupState.ACTIVE and is_early:
                    return backup.name
            after = page[-1].name
        raise BackupNotFound(name=f"{session}/backups/-")

    async def saved_devices(self) -> frozenset[str]:
        """Fingerprints of the devices of which there is a copy that was verified.

        Raises StorageUnavailable, StorageMisconfigured.
        """
        found: set[str] = set()
        after: BackupName | None = None
        while page := await self.list(None, after, PAGE):
            verified = (each for each in page if each.state in SAVED)
            found.update(each.device_fingerprint for each in verified)
            after = page[-1].name
        return frozenset(found) - {""}

    async def verify(self, name: BackupName, level: int) -> Operation:
        """Starts a check up to a level; its result is what was found.

        Raises BackupNotFound, BackupKeyMissing, BackupCorrupt, OperationInProgress.
        """
        await self._catalog.find(name)

        async def work(report: Report) -> VerifyResult:
            async with self._turn(name.session):
                return await self._verifier.verify(name, level, report)

        return await self._operations.start(target=str(name), session=name.session, work=work)

    async def verify_now(self, name: BackupName, level: int) -> VerifyResult:
        """As `verify`, and waits for it."""
        async with self._turn(name.session):
            return await self._verifier.verify(name, level, Silent())

    async def next_engine_drill(self) -> BackupName:
        """The next new backup that the engine should open: the first of a device, and samples."""
        return await self._engine_drills.get()

    async def plan(
        self,
        name: BackupName,
        target: SessionName | None = None,
        mode: RestoreMode = RestoreMode.AUTO,
        *,
        start: bool = False,
    ) -> RestorePlan:
        """What `restore` would do now; changes nothing. Of running sessions it says to stop them.

        Raises BackupNotFound, BackupNotRestorable, ExactRestoreUnsafe, BackupKeyMissing,
        BackupCorrupt, BackupTooNew.
        """
        _, standing = await self._catalog.find(name)
        plan = await self._restorer.plan(standing, target or name.session, mode, dry_run=True)
        return replace(plan, start=start)

    async def restore(
        self,
        name: BackupName,
        target: SessionName | None = None,
        mode: RestoreMode = RestoreMode.AUTO,
        *,
        force: bool = False,
        take_over: bool = False,
        start: bool = False,
    ) -> tuple[Operation, RestorePlan]:
        """Starts a restore; the session must not be running, and is left stopped unless `start`.

        Raises as `plan`, and SessionWrongState, CredentialsExist, BackupRevoked (not with `force`),
        OperationInProgress, SessionLeased (not with `take_over`: another server has to stop the
        session first).
        """
        into = target or name.session
        repository, standing = await self._catalog.find(name)
        plan = await self._restorer.plan(standing, into, mode)
        refuse_without_force(plan, force=force)
        if not take_over:
            for each in dict.fromkeys((name.session, into)):
                await self._fence.check(each)

        async def work(report: Report) -> RestoreResult:
            claim = self._restorer.claiming(name, into, take_over=take_over)
            async with claim, self._turn(into):
                before = self._find(into)
                result = await self._restorer.restore(
                    repository, standing, into, mode, report, force=force
                )
            if not start:
                return result
            result = replace(result, plan=replace(result.plan, start=True))
            return await self._follower.follow(result, before, report)

        operation = await self._operations.start(target=str(into), session=into, work=work)
        return operation, replace(plan, start=start)

    def _find(self, name: SessionName) -> Session | None:
        try:
            return self._sessions.get(name)
        except SessionNotFound:
            return None

    async def _save(self, session: SessionName) -> Backup:
        """A copy of what a restore replaces, in the turn of that restore."""
        return await self._make(session, BackupKind.PRE_RESTORE)

    async def _make(
        self, session: SessionName, kind: BackupKind | None, source: Source | None = None
    ) -> Backup:
        """A backup in the first location that answers; mirrors are brought up to date later."""
        away: StorageUnavailable | None = None
        for place in self._locations.list():
            try:
                name = await self._catalog.new_name(session, place.name)
                return await self._maker.make(name, place.name, kind, Silent(), source)
            except StorageUnavailable as error:
                away = away or error
        assert away is not None  # there is at least one location
        raise away

    async def recover(
        self,
        location: StorageLocationName | None = None,
        *,
        dry_run: bool = False,
        start: bool = False,
        take_over: bool = False,
    ) -> Operation:
        """Starts to restore every session of a location that is not here; None: the primary one.

        The operation's result is a RecoverResult, which tells of each session what became of it;
        with `dry_run` what would. Raises StorageLocationNotFound, ServerDraining.
        """
        place = location or self._locations.primary
        self._locations.check(place)
        wanted = Recovery(location=place, dry_run=dry_run, start=start, take_over=take_over)

        async def work(report: Report) -> RecoverResult:
            return await self._recoverer.run(wanted, report)

        return await self._operations.start(target=str(place), session=None, work=work)

    def exporting(self, name: BackupName, passphrase: str) -> AbstractAsyncContextManager[Export]:
        """A backup as one portable file; see `Porter.exporting`."""
        return self._porter.exporting(name, passphrase)

    async def import_file(
        self,
        session: SessionName,
        location: StorageLocationName | None,
        passphrase: str,
        pieces: AsyncIterator[bytes],
    ) -> Backup:
        """Makes a backup of such a file; see `Porter.import_file`.

        Raises as that, and StorageLocationNotFound.
        """
        place = location or self._locations.primary
        self._locations.check(place)
        backup = self._tell(await self._porter.import_file(session, place, passphrase, pieces))
        await self.announce(backup)
        return backup

    async def announce(self, backup: Backup) -> None:
        """Lets subscribers know how a backup stands now, if this server knows its session."""
        with contextlib.suppress(SessionNotFound, ServerDraining):
            await self._sessions.tell_backup(backup.name.session, backup)

    async def stats(
        self, location: StorageLocationName | None = None
    ) -> tuple[Stats, Sequence[MasterKeyInfo]]:
        """A location in figures, and who can open it.

        Raises StorageLocationNotFound, StorageUnavailable, StorageMisconfigured, KeyUnavailable,
        VaultCorrupt.
        """
        place = location or self._locations.primary
        self._locations.check(place)
        repository = await self._catalog.repository(place)
        return await measure(repository), (await self.keys.masters(place)).masters

    def _tell(self, backup: Backup) -> Backup:
        self.on_made(backup)
        return backup

    @contextlib.asynccontextmanager
    async def _turn(self, session: SessionName) -> AsyncIterator[None]:
        async with self._turns.of(session), self._slots:
            yield

    async def _check_paired(self, name: SessionName) -> None:
        self._sessions.get(name, show_deleted=False)
        store = self._sessions.store_path(name)
        if store is None:
            raise SessionNotPaired(session=str(name))
        if not await self._workers.run(store.exists):
            raise StoreLost(session=str(name))


class Silent:
    """The report of a backup that nobody follows."""

    def __init__(self) -> None:
        self.operation = OperationName(time_ordered_id())

    def __call__(self, phase: str, bytes_done: int = 0, bytes_total: int = 0) -> None:
        """Tells nobody."""
