"""Backups out of the vault and into it: as one portable file, sealed with a passphrase."""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from server.core.clock import Clock
from server.core.errors import BackupNotRestorable, ExportCorrupt
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault.history import Standing, stand
from server.vault.manifest import Manifest
from server.vault.masterkeys.passphrase import Cost
from server.vault.model import Backup, BackupKind, BackupState
from server.vault.pages import ImageInvalid
from server.vault.portable import Importer, Portable, export
from server.vault.reading import read_image
from server.vault.repository import Repository
from server.vault.storing import store_image
from server.vault.workers import Workers

from .catalog import Catalog
from .making import LEVEL, find_parent
from .scratch import Scratch
from .showing import shown
from .turns import Turns
from .verify import Findings, drill

logger = structlog.get_logger(__name__)

GOOD = frozenset({BackupState.ACTIVE, BackupState.REVOKED})


@dataclass(frozen=True, slots=True)
class Export:
    """What is being exported, and the file piece by piece."""

    backup: Backup
    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Porter:
    """Exports and imports. `cost` is what one guess of a passphrase costs."""

    catalog: Catalog
    workers: Workers
    scratch: Scratch
    clock: Clock
    slots: asyncio.Semaphore
    turns: Turns
    cost: Cost = field(default_factory=Cost)

    @asynccontextmanager
    async def exporting(self, name: BackupName, passphrase: str) -> AsyncIterator[Export]:
        """The file of a backup, which is read and checked as a whole before the first piece.

        Raises BackupNotFound, BackupNotRestorable when it is suspect, BackupKeyMissing,
        BackupCorrupt, StorageUnavailable.
        """
        repository, standing = await self.catalog.find(name)
        if standing.state not in GOOD:
            raise BackupNotRestorable(backup=str(name), state=standing.state.value)
        with self.scratch.folder() as folder:
            image = folder / "image.db"
            async with self.slots:
                await read_image(repository, standing.manifest, image)
            what = _described(standing)
            pieces = export(image, what, passphrase, self.cost)
            yield Export(shown(standing, repository.location), self._each(pieces))
            logger.info("backup.exported", backup=str(name))

    async def _each(self, pieces: Generator[bytes]) -> AsyncIterator[bytes]:
        try:
            while piece := await self.workers.run(next, pieces, b""):
                yield piece
        finally:
            pieces.close()

    async def import_file(
        self,
        session: SessionName,
        location: StorageLocationName,
        passphrase: str,
        pieces: AsyncIterator[bytes],
    ) -> Backup:
        """Makes a backup of an exported file; no session is touched, nor need there be one.

        Raises PassphraseWrong, ExportCorrupt, StorageUnavailable, StorageMisconfigured,
        QuotaExceeded.
        """
        repository = await self.catalog.repository(location)
        with self.scratch.folder() as folder:
            image = folder / "image.db"
            what = await self._receive(image, passphrase, pieces)
            async with self.turns.of(session), self.slots:
                findings = await self.workers.run(drill, image)
                _check_device(findings, what)
                name = await self.catalog.new_name(session, location)
                backup = await self._store(repository, name, image, what, findings)
        logger.info("backup.imported", backup=str(name), storage_location=str(location))
        return backup

    async def _receive(
        self, image: Path, passphrase: str, pieces: AsyncIterator[bytes]
    ) -> Portable:
        importer = Importer(image, passphrase)
        try:
            async for piece in pieces:
                await self.workers.run(importer.feed, piece)
            return await self.workers.run(importer.finish)
        finally:
            importer.close()

    async def _store(
        self,
        repository: Repository,
        name: BackupName,
        image: Path,
        what: Portable,
        findings: Findings,
    ) -> Backup:
        device = findings.device
        assert device is not None
        parent, chain = await find_parent(repository, name)
        try:
            layout = await store_image(repository, name, image, parent, lambda _done: None)
        except ImageInvalid as error:
            raise ExportCorrupt(problem="the image in it is no database") from error
        manifest = Manifest(
            name=name,
            kind=BackupKind.IMPORT,
            create_time=what.create_time,
            session_create_time=what.create_time,
            connect_epoch=0,
            is_clean=False,  # nobody knows what has connected since: always fresh ratchets
            display_name=what.display_name,
            labels=what.labels,
            proxy_url=what.proxy_url,
            engine_version=what.engine_version,
            seq=chain.seq + 1 if chain else 1,
            parent=chain,
            layout=layout,
            state=BackupState.ACTIVE,
            verify_time=self.clock.now(),
            verify_level=LEVEL,
            device_fingerprint=device.fingerprint,
            jid_sha256=device.jid_sha256,
            schema_version=findings.schema_version,
            counts=findings.counts,
        )
        sha256 = await repository.commit(manifest)
        return shown(stand(manifest, sha256, (), ()), repository.location)


def _described(standing: Standing) -> Portable:
    manifest = standing.manifest
    return Portable(
        backup=manifest.name,
        kind=manifest.kind,
        create_time=manifest.create_time,
        display_name=manifest.display_name,
        labels=dict(manifest.labels),
        proxy_url=manifest.proxy_url,
        engine_version=manifest.engine_version,
        device_fingerprint=manifest.device_fingerprint,
        image_bytes=manifest.layout.image_bytes,
        image_sha256=manifest.layout.image_sha256,
    )


def _check_device(findings: Findings, what: Portable) -> None:
    """Raises ExportCorrupt unless the image holds the device that the file says."""
    if findings.problems or findings.device is None:
        raise ExportCorrupt(problem="; ".join(findings.problems))
    if findings.device.fingerprint != what.device_fingerprint:
        raise ExportCorrupt(problem="it holds another device")
