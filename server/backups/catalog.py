"""All backups in all storage locations, read from storage: it is the only record of them."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import structlog

from server.core.clock import Clock
from server.core.errors import (
    BackupCorrupt,
    BackupKeyMissing,
    BackupNotFound,
    DomainError,
    StorageUnavailable,
)
from server.core.ids import time_ordered_id
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault import objects
from server.vault.config import Config
from server.vault.history import (
    Mark,
    MarkKind,
    Standing,
    add_mark,
    read_history,
    read_standing,
)
from server.vault.manifest import Manifest
from server.vault.masterkeys.base import MasterKey
from server.vault.model import Backup
from server.vault.reading import prove, read_image
from server.vault.repository import Repository
from server.vault.workers import Workers

from .locations import Locations
from .showing import shown, shown_unreadable

logger = structlog.get_logger(__name__)


class Catalog:
    """Finds backups by name, and lists them newest first."""

    def __init__(
        self, locations: Locations, masters: Sequence[MasterKey], workers: Workers, clock: Clock
    ) -> None:
        self._locations = locations
        self._masters = masters
        self._workers = workers
        self._clock = clock
        self._repositories: dict[StorageLocationName, Repository] = {}
        self._opening = asyncio.Lock()

    async def repository(self, location: StorageLocationName) -> Repository:
        """The repository in a location.

        Raises StorageLocationNotFound, StorageUnavailable, StorageMisconfigured, VaultCorrupt.
        """
        make: Config | DomainError | None = None
        if location != self._locations.primary:
            make = await self._primary_config()
        storage = await self._locations.storage(location)
        async with self._opening:
            known = self._repositories.get(location)
            if known is None or known.storage is not storage:
                known = await Repository.open(
                    location, storage, self._masters, self._workers, self._clock, make=make
                )
                self._repositories[location] = known
            return known

    async def _primary_config(self) -> Config | DomainError:
        """What a mirror is made with, or why none can be made now; one that is there opens."""
        try:
            return (await self.repository(self._locations.primary)).config
        except DomainError as error:
            return error

    async def new_name(self, session: SessionName, location: StorageLocationName) -> BackupName:
        """A name that sorts behind all others of the session, whatever the clock does."""
        try:
            newest = await (await self.repository(location)).newest_name(session)
        except StorageUnavailable:  # the backup will say so
            newest = None
        return BackupName(session, time_ordered_id(newest.backup_id if newest else ""))

    async def find(self, name: BackupName) -> tuple[Repository, Standing]:
        """A backup, in the first location where its manifest is whole.

        Raises BackupNotFound, BackupKeyMissing, BackupCorrupt; StorageUnavailable if a location
        that might have it does not answer.
        """
        problem: DomainError | None = None
        for location in self._locations.list():
            try:
                repository = await self.repository(location.name)
                return repository, await read_standing(repository, name)
            except BackupNotFound:
                continue
            except DomainError as error:
                problem = problem or error
        if isinstance(problem, BackupCorrupt):
            problem.newest_good = str(await self.newest_good(name.session, but=name) or "")
        raise problem or BackupNotFound(name=str(name))

    async def page(
        self, session: SessionName | None, after: BackupName | None, limit: int
    ) -> list[Backup]:
        """Up to `limit` backups older than `after`, newest first.

        A backup whose manifest cannot be read is shown as SUSPECT with the reason. A location that
        does not answer is left out, if another one does.
        """
        found: dict[BackupName, tuple[Repository, datetime]] = {}
        away: list[DomainError] = []
        for location in self._locations.list():
            try:
                repository = await self.repository(location.name)
                names_there = await repository.names(session)
            except StorageUnavailable as error:
                away.append(error)
                continue
            for name, time in names_there.items():
                found.setdefault(name, (repository, time))
        if len(away) == len(self._locations.list()):
            raise away[0]
        names = sorted(found, key=_age, reverse=True)
        if after is not None:
            names = [name for name in names if _age(name) < _age(after)]
        shown_by_name = await _describe({name: found[name] for name in names[:limit]})
        return [shown_by_name[name] for name in names[:limit] if name in shown_by_name]

    async def revoke(self, session: SessionName, fingerprint: str, reason: str) -> None:
        """Marks all present backups of a device, in the primary location."""
        repository = await self.repository(self._locations.primary)
        mark = Mark(kind=MarkKind.REVOKED, time=self._clock.now(), reason=reason)
        await add_mark(repository, session, objects.lineage(fingerprint), mark)

    async def newest_good(self, session: SessionName, *, but: BackupName) -> BackupName | None:
        """The newest good backup of a session other than `but`, proved by reading it."""
        found: list[tuple[Manifest, Repository]] = []
        for location in self._locations.list():
            with suppress(DomainError):
                repository = await self.repository(location.name)
                history = await read_history(repository, session)
                good = [each.manifest for each in history.standings if each.is_good]
                found += [(manifest, repository) for manifest in good if manifest.name != but]
        for manifest, repository in sorted(
            found, key=lambda each: _age(each[0].name), reverse=True
        ):
            with suppress(DomainError):
                await prove(repository, manifest)
                return manifest.name
        return None

    async def newest_epoch(self, newer_than: BackupName) -> int | None:
        """The highest connect epoch in newer backups of the same session.

        0: there is none newer. None: one of them cannot be read, or a location does not answer.
        """
        highest = 0
        try:
            for location in self._locations.list():
                repository = await self.repository(location.name)
                for name in await repository.names(newer_than.session):
                    if name.backup_id > newer_than.backup_id:
                        manifest = await repository.read_manifest(name)
                        highest = max(highest, manifest.connect_epoch)
        except (BackupCorrupt, BackupKeyMissing, StorageUnavailable):
            return None
        return highest

    async def read_image(self, repository: Repository, manifest: Manifest, target: Path) -> None:
        """As `reading.read_image`, from another location that has the backup if one is damaged."""
        try:
            await read_image(repository, manifest, target)
        except (BackupCorrupt, StorageUnavailable) as damage:
            for location in self._locations.list():
                if location.name == repository.location:
                    continue
                with suppress(DomainError):
                    other = await self.repository(location.name)
                    if await other.read_manifest(manifest.name) == manifest:
                        await self._workers.run(target.unlink, missing_ok=True)
                        await read_image(other, manifest, target)
                        logger.warning(
                            "backup.read_elsewhere",
                            backup=str(manifest.name),
                            storage_location=str(location.name),
                            problem=damage.message,
                        )
                        return
            raise


def _age(name: BackupName) -> tuple[str, SessionName]:
    """Backup ids grow with time."""
    return name.backup_id, name.session


async def _describe(
    found: dict[BackupName, tuple[Repository, datetime]],
) -> dict[BackupName, Backup]:
    """Session by session, so that the marks of each are read once."""
    wanted: defaultdict[tuple[StorageLocationName, SessionName], list[BackupName]]
    wanted = defaultdict(list)
    for name, (repository, _) in found.items():
        wanted[repository.location, name.session].append(name)
    described: dict[BackupName, Backup] = {}
    for (location, session), names in wanted.items():
        history = await read_history(found[names[0]][0], session, names)
        described |= {each.manifest.name: shown(each, location) for each in history.standings}
        described |= {
            name: shown_unreadable(name, location, found[name][1], error)
            for name, error in history.unreadable.items()
        }
    return described
