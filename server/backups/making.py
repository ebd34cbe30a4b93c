"""Making one backup of one session."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from server.core.clock import Clock
from server.core.errors import SessionNotPaired
from server.core.names import BackupName, StorageLocationName
from server.sessions.model import Session
from server.vault.model import Backup, BackupKind, BackupState
from server.vault.workers import Workers

from .catalog import Catalog
from .manifest import Manifest
from .operations import Report
from .ports import Sessions
from .scratch import Scratch
from .snapshot import StoreUnreadable, take

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Maker:
    """Copies a session's store and hands the copy to an archive."""

    sessions: Sessions
    catalog: Catalog
    workers: Workers
    scratch: Scratch
    clock: Clock
    engine_version: str

    async def make(
        self,
        name: BackupName,
        location: StorageLocationName,
        kind: BackupKind | None,
        report: Report,
    ) -> Backup:
        """Makes the backup `name` and returns it as stored."""
        archive = await self.catalog.archive(location)
        with self.scratch.folder() as folder:
            image = folder / "image.db"
            report("COPYING")
            draft = await self._copy(name, kind, image)
            manifest = await archive.write(draft, image, folder, report)
        log = logger.info if manifest.state is BackupState.ACTIVE else logger.error
        log(
            "backup.written",
            backup=str(name),
            storage_location=str(location),
            kind=manifest.kind.value,
            state=manifest.state.value,
            state_reason=manifest.state_reason,
            size_bytes=manifest.size_bytes,
        )
        return manifest.backup(location)

    async def _copy(self, name: BackupName, kind: BackupKind | None, image: Path) -> Manifest:
        before = self.sessions.get(name.session)
        store = self.sessions.store_path(name.session)
        if store is None:
            raise SessionNotPaired(session=str(name.session))
        try:
            size, sha256 = await self.workers.run(_take, store, image)
        except StoreUnreadable as error:
            raise SessionNotPaired(session=str(name.session)) from error
        is_clean = _is_at_rest(before, self.sessions.get(name.session))
        return Manifest(
            name=name,
            kind=kind or (BackupKind.QUIESCED if is_clean else BackupKind.HOT),
            create_time=self.clock.now(),
            session_create_time=before.create_time,
            connect_epoch=before.connect_epoch,
            is_clean=is_clean,
            display_name=before.display_name,
            labels=dict(before.labels),
            proxy_url=before.proxy_url,
            engine_version=self.engine_version,
            logical_bytes=size,
            logical_sha256=sha256,
        )


def _take(store: Path, image: Path) -> tuple[int, str]:
    take(store, image)
    with image.open("rb") as file:
        return image.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _is_at_rest(before: Session, after: Session) -> bool:
    """Whether no engine can have run while the copy was made.

    The connect epoch is recorded before an engine starts, and the clean epoch follows it only once
    that engine was seen to end cleanly. So the two are equal before and after, and did not move,
    exactly if none ran in between.
    """
    epochs = {
        before.connect_epoch,
        before.clean_epoch,
        after.connect_epoch,
        after.clean_epoch,
    }
    return len(epochs) == 1 and before.store_epoch == after.store_epoch
