"""All backups in all storage locations, read from storage: it is the only record of them."""

from datetime import datetime

from server.core.clock import Clock
from server.core.errors import BackupCorrupt, BackupKeyMissing, BackupNotFound, DomainError
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault.model import Backup, BackupKind, BackupState
from server.vault.workers import Workers

from .archive import Archive
from .keyring import Keyring
from .locations import Locations
from .manifest import FORMAT_VERSION, Manifest


class Catalog:
    """Finds backups by name, and lists them newest first."""

    def __init__(
        self, locations: Locations, keyring: Keyring, workers: Workers, clock: Clock
    ) -> None:
        self._locations = locations
        self._keyring = keyring
        self._workers = workers
        self._clock = clock

    async def archive(self, location: StorageLocationName) -> Archive:
        """The archive in a location; raises StorageLocationNotFound, StorageUnavailable."""
        storage = await self._locations.storage(location)
        return Archive(location, storage, self._keyring, self._workers, self._clock)

    async def find(self, name: BackupName) -> tuple[Archive, Manifest]:
        """A backup, in the first location that has it.

        Raises BackupNotFound, BackupKeyMissing, BackupCorrupt; StorageUnavailable if a location
        that might have it does not answer.
        """
        unanswered: DomainError | None = None
        for location in self._locations.list():
            try:
                archive = await self.archive(location.name)
                return archive, await archive.read_manifest(name)
            except BackupNotFound:
                continue
            except (BackupCorrupt, BackupKeyMissing):
                raise
            except DomainError as error:
                unanswered = unanswered or error
        if unanswered is not None:
            raise unanswered
        raise BackupNotFound(name=str(name))

    async def page(
        self, session: SessionName | None, after: BackupName | None, limit: int
    ) -> list[Backup]:
        """Up to `limit` backups older than `after`, newest first.

        A backup whose manifest cannot be read is shown as SUSPECT with the reason.
        """
        found: dict[BackupName, tuple[Archive, datetime]] = {}
        for location in self._locations.list():
            archive = await self.archive(location.name)
            for name, time in (await archive.names(session)).items():
                found.setdefault(name, (archive, time))
        names = sorted(found, key=_age, reverse=True)
        if after is not None:
            names = [name for name in names if _age(name) < _age(after)]
        return [await _describe(*found[name], name) for name in names[:limit]]

    async def newest_epoch(self, newer_than: BackupName) -> int | None:
        """The highest connect epoch in newer backups of the same session.

        0: there is none newer. None: one of them cannot be read.
        """
        highest = 0
        for location in self._locations.list():
            archive = await self.archive(location.name)
            for name in await archive.names(newer_than.session):
                if name.backup_id > newer_than.backup_id:
                    try:
                        manifest = await archive.read_manifest(name)
                    except (BackupCorrupt, BackupKeyMissing):
                        return None
                    highest = max(highest, manifest.connect_epoch)
        return highest


def _age(name: BackupName) -> tuple[str, SessionName]:
    """Backup ids grow with time."""
    return name.backup_id, name.session


async def _describe(archive: Archive, time: datetime, name: BackupName) -> Backup:
    try:
        return (await archive.read_manifest(name)).backup(archive.location)
    except (BackupCorrupt, BackupKeyMissing) as error:
        return Backup(
            name=name,
            state=BackupState.SUSPECT,
            state_reason=error.message,
            kind=BackupKind.HOT,
            storage_location=archive.location,
            size_bytes=0,
            logical_bytes=0,
            sha256="",
            format_version=FORMAT_VERSION,
            device_fingerprint="",
            connect_epoch=0,
            schema_version="",
            engine_version="",
            create_time=time,
        )
