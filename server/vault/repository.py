"""One storage location as a repository of backups, format version 2.

What the objects are called is in `objects.py`, how they are sealed in `sealing.py`, what is in them
in `docs/vault-format.md`. Storage is not trusted with anything but keeping bytes: an object counts
only if its seal opens for its own name in this repository.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from server.core.clock import Clock
from server.core.errors import (
    BackupCorrupt,
    BackupKeyMissing,
    BackupNotFound,
    DomainError,
    VaultCorrupt,
)
from server.core.names import BackupName, SessionName, StorageLocationName
from storage_backends.errors import ObjectCorrupt, ObjectExists, ObjectNotFound
from storage_backends.threaded import AsyncStorage

from . import objects
from .config import Config, ConfigInvalid
from .datakeys import DataKeys, KeyCorrupt, KeyUnknown
from .indexes import Indexes
from .manifest import Manifest, ManifestInvalid
from .masterkeys.base import MasterKey
from .sealing import DataKey, SealBroken, context, seal, term_of, unseal
from .storage import storage_errors
from .workers import Workers


class ObjectMissing(Exception):
    """There is no object of this name."""


@dataclass(eq=False)  # not frozen: a context manager that it passes through sets its traceback
class ObjectDamaged(Exception):
    """An object is not what was stored under its name."""

    name: str
    problem: str

    def of(self, backup: BackupName) -> BackupCorrupt:
        """As an error of the backup that needs the object."""
        return BackupCorrupt(backup=str(backup), problem=self.problem, object=self.name)


@dataclass(frozen=True, slots=True)
class Repository:
    """An open repository."""

    location: StorageLocationName
    storage: AsyncStorage
    config: Config
    keys: DataKeys
    workers: Workers
    clock: Clock
    indexes: Indexes = field(default_factory=Indexes)

    @classmethod
    async def open(
        cls,
        location: StorageLocationName,
        storage: AsyncStorage,
        masters: Sequence[MasterKey],
        workers: Workers,
        clock: Clock,
        *,
        make: Config | DomainError | None = None,
    ) -> "Repository":
        """Opens the repository in a location, and makes it if nothing is there.

        One that is made is new; with `make` it is a mirror of that one, or that is raised.

        Raises:
            VaultCorrupt: its config is missing or damaged while other objects are there.
            StorageUnavailable, StorageMisconfigured.
        """
        with storage_errors(location):
            config = await _read_or_create(location, storage, clock, make)
        keys = DataKeys(storage, config.repository_id, masters, workers.run)
        return cls(location, storage, config, keys, workers, clock)

    # --- sealed objects

    async def put_sealed(self, session: SessionName, name: str, data: bytes) -> bytes:
        """Seals `data` for `name` and stores it; nothing is ever replaced. What was stored.

        Raises StorageUnavailable, StorageMisconfigured, QuotaExceeded, BackupKeyMissing.
        """
        with storage_errors(self.location):
            key = await self.keys.current(session.session_id)
        sealed = await self.workers.run(seal, key, data, self.context(name))
        await self.put(name, sealed)
        return sealed

    async def put(self, name: str, data: bytes) -> None:
        """Stores an immutable object that is not there yet."""
        sha256 = hashlib.sha256(data).hexdigest()
        with storage_errors(self.location):
            await self.storage.put(name, data, if_absent=True, sha256=sha256)

    async def get(self, name: str) -> bytes:
        """Reads an object. Raises ObjectMissing, ObjectDamaged, StorageUnavailable."""
        with storage_errors(self.location):
            try:
                return await self.storage.get(name)
            except ObjectNotFound as error:
                raise ObjectMissing from error
            except ObjectCorrupt as error:
                raise ObjectDamaged(name, "storage says that it is damaged") from error

    async def unseal(self, session: SessionName, name: str, sealed: bytes) -> bytes:
        """What is in a sealed object. Raises ObjectDamaged, KeyUnknown."""
        try:
            key = await self.data_key(session, term_of(sealed))
            return await self.workers.run(unseal, key, sealed, self.context(name))
        except SealBroken as error:
            raise ObjectDamaged(name, "its seal is broken") from error

    async def data_key(self, session: SessionName, term: str) -> DataKey:
        """The data key of a term. Raises KeyUnknown, ObjectDamaged."""
        with storage_errors(self.location):
            try:
                return await self.keys.get(session.session_id, term)
            except KeyCorrupt as error:
                raise ObjectDamaged(error.object, "the wrapped key is damaged") from error

    def context(self, name: str) -> bytes:
        """What the object `name` is sealed for."""
        return context(self.config.repository_id, name)

    # --- manifests

    async def read_manifest(self, name: BackupName) -> Manifest:
        """The manifest of a live backup.

        Raises:
            BackupNotFound: there is none.
            BackupKeyMissing: no key of this server opens it.
            BackupCorrupt: it was changed, cut, or belongs to another backup.
        """
        return (await self.read_manifest_and_hash(name))[0]

    async def read_manifest_and_hash(self, name: BackupName) -> tuple[Manifest, str]:
        """As `read_manifest`, with the SHA-256 (hex) of the stored object."""
        try:
            sealed = await self.get(objects.snapshot(name))
        except ObjectMissing as error:
            raise BackupNotFound(name=str(name)) from error
        except ObjectDamaged as error:
            raise error.of(name) from error
        return await self.open_manifest(name, sealed), hashlib.sha256(sealed).hexdigest()

    async def open_manifest(self, name: BackupName, sealed: bytes) -> Manifest:
        """The manifest in the bytes of a snapshot object. Raises as `read_manifest`."""
        where = objects.snapshot(name)
        try:
            manifest = Manifest.decode(await self.unseal(name.session, where, sealed))
        except KeyUnknown as error:
            raise BackupKeyMissing(backup=str(name)) from error
        except ObjectDamaged as error:
            raise error.of(name) from error
        except ManifestInvalid as error:
            raise ObjectDamaged(where, f"it is {error}").of(name) from error
        if manifest.name != name:
            raise ObjectDamaged(where, "it is the manifest of another backup").of(name)
        return manifest

    async def commit(self, manifest: Manifest) -> str:
        """Makes a backup of pages that are stored: from here on it exists.

        Returns the SHA-256 (hex) of what was stored.

        Raises:
            BackupCorrupt: storage gives back something else; the backup does not count.
            StorageUnavailable, StorageMisconfigured, QuotaExceeded: there may be no backup.
        """
        where = objects.snapshot(manifest.name)
        sealed = await self.put_sealed(manifest.name.session, where, manifest.encode())
        try:
            stored = await self.get(where)
        except ObjectMissing as error:
            raise ObjectDamaged(where, "storage has lost it").of(manifest.name) from error
        except ObjectDamaged as error:
            raise error.of(manifest.name) from error
        if stored != sealed:
            raise ObjectDamaged(where, "it is not what was stored").of(manifest.name)
        return hashlib.sha256(sealed).hexdigest()

    async def names(self, session: SessionName | None) -> dict[BackupName, datetime]:
        """All live backups of a session, or of all, with the time when each was written."""
        with storage_errors(self.location):
            found = await self.storage.list(objects.folder(objects.SNAPSHOTS, session))
        names = ((objects.backup_of(info.key), info.modify_time) for info in found)
        return {name: time for name, time in names if name is not None}

    async def newest_name(self, session: SessionName) -> BackupName | None:
        """The newest live backup of a session."""
        return max(await self.names(session), default=None, key=lambda name: name.backup_id)


async def _read_or_create(
    location: StorageLocationName,
    storage: AsyncStorage,
    clock: Clock,
    make: Config | DomainError | None,
) -> Config:
    try:
        return Config.decode(await storage.get(objects.CONFIG))
    except (ObjectNotFound, ConfigInvalid) as error:
        missing = isinstance(error, ObjectNotFound)
        if isinstance(make, DomainError):
            raise make from error
        if make is None and await storage.list(objects.KEYS):
            problem = "the config object is missing" if missing else str(error)
            raise VaultCorrupt(storage_location=str(location), problem=problem) from error
        config = make or Config.fresh(clock.now())
        with suppress(ObjectExists):  # another server was faster
            await storage.put(objects.CONFIG, config.encode(), if_absent=missing)
    try:
        return Config.decode(await storage.get(objects.CONFIG))
    except ConfigInvalid as error:
        raise VaultCorrupt(storage_location=str(location), problem=str(error)) from error
