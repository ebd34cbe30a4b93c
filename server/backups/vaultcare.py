"""What is done to backups in storage: let go, brought back, pinned, looked after, checked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from server.core.clock import Clock
from server.core.errors import (
    BackupCorrupt,
    BackupKeyMissing,
    BackupNotFound,
    StorageMisconfigured,
    StorageUnavailable,
    VaultBusy,
)
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault.checking import OnChecked, check
from server.vault.findings import VaultCheck
from server.vault.history import Mark, MarkKind, add_mark, read_marks, read_standing
from server.vault.inventory import names_in_trash, sessions
from server.vault.model import Backup
from server.vault.replicating import NotAMirror, Replicated, replicate
from server.vault.repository import ObjectMissing, Repository
from server.vault.rounds import Round, Rules, run_round
from server.vault.storage import storage_errors
from server.vault.trash import read_in_trash
from server.vault.trashing import bring_back, throw_away
from server.vault.turns import PATIENCE, Turn, Turns, TurnTaken

from .catalog import Catalog
from .heads import Heads
from .locations import Locations
from .scratch import Scratch
from .showing import shown, shown_unreadable

Step = Callable[[Repository, Turn], Awaitable[Backup]]


@dataclass(slots=True)
class VaultCare:
    """Works on the locations one by one. `owner` is this data directory, as `datadir.place`.

    Every method raises StorageUnavailable, StorageMisconfigured, KeyUnavailable, VaultCorrupt, and
    VaultBusy while another server moves or deletes backups in the same place.
    """

    catalog: Catalog
    locations: Locations
    scratch: Scratch
    heads: Heads
    clock: Clock
    owner: str
    patience: timedelta = PATIENCE
    taking: dict[StorageLocationName, Turns] = field(default_factory=dict, init=False)

    async def throw_away(self, name: BackupName, reason: str, keep: timedelta) -> Backup:
        """Moves a backup to trash, in every location that has it.

        Raises BackupNotFound; BackupCorrupt: storage does not keep what it is given.
        """

        async def step(repository: Repository, turn: Turn) -> Backup:
            await throw_away(repository, turn, name, reason, keep)
            return await _trashed(repository, name)

        return await self._everywhere(name, step)

    async def bring_back(self, name: BackupName) -> Backup:
        """Moves a backup out of trash, in every location that has it.

        Raises BackupNotFound, BackupCorrupt, BackupKeyMissing.
        """

        async def step(repository: Repository, turn: Turn) -> Backup:
            await bring_back(repository, turn, name)
            return shown(await read_standing(repository, name), repository.location)

        return await self._everywhere(name, step)

    async def trashed(
        self, session: SessionName | None, after: BackupName | None, limit: int
    ) -> list[Backup]:
        """Up to `limit` backups in trash that are older than `after`, newest first."""
        found: dict[BackupName, Repository] = {}
        live: set[BackupName] = set()
        for location in self.locations.list():
            repository = await self.catalog.repository(location.name)
            live.update(await repository.names(session))
            for name in await names_in_trash(repository, session):
                found.setdefault(name, repository)
        names = [name for name in found if name not in live and _is_older(name, after)]
        names.sort(key=age, reverse=True)
        shown_by_name: list[Backup] = []
        for name in names[:limit]:
            with suppress(BackupNotFound):  # brought back or purged meanwhile
                shown_by_name.append(await _trashed(found[name], name))
        return shown_by_name

    async def pin(self, name: BackupName, *, pinned: bool) -> Backup:
        """Keeps a backup from being let go by retention, or not any more.

        Raises BackupNotFound, BackupCorrupt, BackupKeyMissing.
        """
        kind = MarkKind.PINNED if pinned else MarkKind.UNPINNED

        async def step(repository: Repository, _turn: Turn) -> Backup:
            standing = await read_standing(repository, name)
            if standing.is_pinned != pinned:
                mark = Mark(kind=kind, time=self.clock.now())
                await add_mark(repository, name.session, name.backup_id, mark)
                standing = await read_standing(repository, name)
            return shown(standing, repository.location)

        return await self._everywhere(name, step)

    async def run_round(
        self,
        location: StorageLocationName,
        session: SessionName,
        rules: Rules,
        *,
        dry_run: bool = False,
    ) -> Round:
        """Retention, purge and collection of one session; see `rounds`.

        Raises QuotaExceeded, BackupCorrupt: storage does not keep what it is given.
        """
        repository = await self.catalog.repository(location)
        async with self._turn(repository) as turn:
            return await run_round(repository, turn, session, rules, dry_run=dry_run)

    async def sessions(self, location: StorageLocationName) -> list[SessionName]:
        """All that have something in a location."""
        return await sessions(await self.catalog.repository(location))

    async def check(
        self, location: StorageLocationName, on_checked: OnChecked, *, read_data: bool
    ) -> VaultCheck:
        """Looks at every object in a location; see `checking`."""
        repository = await self.catalog.repository(location)
        heads = await self.heads.of(repository)
        turns = self._turns(repository)
        with self.scratch.folder() as folder:
            try:
                return await check(
                    repository, turns, folder, heads, on_checked, read_data=read_data
                )
            except TurnTaken as error:
                raise VaultBusy(storage_location=str(location)) from error

    async def replicate(
        self,
        source: StorageLocationName,
        target: StorageLocationName,
        session: SessionName,
        *,
        leading: bool,
        thorough: bool,
    ) -> Replicated:
        """Copies what a location lacks of a session; see `replicating`.

        Raises QuotaExceeded; StorageMisconfigured: the two locations hold different vaults.
        """
        ours = await self.catalog.repository(source)
        theirs = await self.catalog.repository(target)
        try:
            async with self._turn(theirs) as turn:
                return await replicate(
                    ours, theirs, session, turn, leading=leading, thorough=thorough
                )
        except NotAMirror as error:
            raise StorageMisconfigured(storage_location=str(target)) from error

    async def saw(self, location: StorageLocationName, name: BackupName) -> None:
        """Remembers that a backup is there, so that it is missed when it is not."""
        await self.heads.record(await self.catalog.repository(location), name)

    async def _everywhere(self, name: BackupName, step: Step) -> Backup:
        found: Backup | None = None
        for location in self.locations.list():
            try:
                repository = await self.catalog.repository(location.name)
                async with self._turn(repository) as turn:
                    done = await step(repository, turn)
            except BackupNotFound:
                continue
            except StorageUnavailable:
                if location.primary:
                    raise
                continue  # a mirror learns of it when it is back
            found = found or done
        if found is None:
            raise BackupNotFound(name=str(name))
        return found

    def _turns(self, repository: Repository) -> Turns:
        """The one object in this process that takes turns at a storage."""
        known = self.taking.get(repository.location)
        if known is None or known.storage is not repository.storage:
            known = Turns(repository.storage, self.clock, self.owner)
            self.taking[repository.location] = known
        return known

    @asynccontextmanager
    async def _turn(self, repository: Repository) -> AsyncIterator[Turn]:
        try:
            with storage_errors(repository.location):
                async with self._turns(repository).take(self.patience) as turn:
                    yield turn
        except TurnTaken as error:
            raise VaultBusy(storage_location=str(repository.location)) from error


def age(name: BackupName) -> tuple[str, SessionName]:
    """Backup ids grow with time."""
    return name.backup_id, name.session


def _is_older(name: BackupName, than: BackupName | None) -> bool:
    return than is None or age(name) < age(than)


async def _trashed(repository: Repository, name: BackupName) -> Backup:
    marks = await read_marks(repository, name.session)
    try:
        found = await read_in_trash(repository, name, marks)
    except ObjectMissing as error:  # brought back by somebody else
        raise BackupNotFound(name=str(name)) from error
    except (BackupCorrupt, BackupKeyMissing) as error:
        return shown_unreadable(name, repository.location, repository.clock.now(), error)
    return replace(
        shown(found.standing, repository.location),
        delete_time=found.trash_time,
        purge_time=found.purge_time,
    )
