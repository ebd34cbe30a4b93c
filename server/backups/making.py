"""Making one backup of one session."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from server.core.clock import Clock
from server.core.errors import (
    BackupCorrupt,
    BackupKeyMissing,
    ServerDraining,
    SessionNotFound,
    SessionNotPaired,
    StoreLost,
)
from server.core.names import BackupName, SessionName, StorageLocationName
from server.sessions.model import Session
from server.vault.history import stand
from server.vault.manifest import Layout, Manifest, Parent
from server.vault.model import Backup, BackupKind, BackupState
from server.vault.pages import ImageInvalid
from server.vault.repository import Repository
from server.vault.storing import OnStored, store_image
from server.vault.workers import Workers

from .catalog import Catalog
from .keykeeping import KeyKeeper
from .operations import Report
from .ports import Sessions
from .scratch import Scratch
from .showing import shown
from .snapshot import StoreUnreadable, take
from .verify import Findings, inspect, understand
from .verifying import wants_engine

logger = structlog.get_logger(__name__)

LEVEL = 4  # of the drill that every copy goes through; see verify


@dataclass(frozen=True, slots=True)
class Source:
    """A store that is not in use any more, and the session as it was with it."""

    session: Session
    store: Path


@dataclass(frozen=True, slots=True)
class Maker:
    """Copies a session's store, checks the copy, and stores what is new in it."""

    sessions: Sessions
    catalog: Catalog
    keys: KeyKeeper
    workers: Workers
    scratch: Scratch
    clock: Clock
    engine_version: str
    want_engine: Callable[[BackupName], None] = lambda _: None  # let the engine open this copy

    async def make(
        self,
        name: BackupName,
        location: StorageLocationName,
        kind: BackupKind | None,
        report: Report,
        source: Source | None = None,
    ) -> Backup:
        """Makes the backup `name` and returns it as stored; without `source` of the store in use.

        Raises SessionNotPaired, StoreLost, BackupCorrupt, KeyUnavailable, VaultCorrupt,
        QuotaExceeded, StorageUnavailable, StorageMisconfigured: then there is no backup.
        """
        repository = await self.catalog.repository(location)
        await self.keys.before_backup(name.session, location)
        with self.scratch.folder() as folder:
            image = folder / "image.db"
            report("COPYING")
            before, after, total = await self._copy(name.session, image, source)
            parent, chain = await find_parent(repository, name)
            report("WRITING", 0, total)

            def on_stored(done: int) -> None:
                report("WRITING", done, total)

            try:
                layout, findings = await self._store(repository, name, image, parent, on_stored)
            except ImageInvalid as error:
                raise StoreLost(session=str(name.session)) from error
        is_clean = _is_at_rest(before, after)
        device = findings.device
        manifest = Manifest(
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
            seq=chain.seq + 1 if chain else 1,
            parent=chain,
            layout=layout,
            state=BackupState.SUSPECT if findings.problems else BackupState.ACTIVE,
            state_reason="; ".join(findings.problems),
            verify_time=self.clock.now(),
            verify_level=0 if findings.problems else LEVEL,
            device_fingerprint=device.fingerprint if device and not findings.problems else "",
            jid_sha256=device.jid_sha256 if device else "",
            schema_version=findings.schema_version,
            counts=findings.counts,
        )
        report("VERIFYING", total, total)
        sha256 = await repository.commit(manifest)
        log = logger.info if manifest.state is BackupState.ACTIVE else logger.error
        log(
            "backup.written",
            backup=str(name),
            storage_location=str(location),
            kind=manifest.kind.value,
            state=manifest.state.value,
            state_reason=manifest.state_reason,
            size_bytes=layout.size_bytes,
            new_bytes=layout.new_bytes,
        )
        backup = shown(stand(manifest, sha256, (), ()), location)
        with contextlib.suppress(SessionNotFound, ServerDraining):
            await self.sessions.tell_backup(name.session, backup, is_newest=True)
        before_it = (parent.device_fingerprint, parent.engine_version) if parent else None
        if manifest.state is BackupState.ACTIVE and wants_engine(
            seq=manifest.seq,
            fingerprint=manifest.device_fingerprint,
            engine=manifest.engine_version,
            parent=before_it,
        ):
            self.want_engine(name)
        return backup

    async def _copy(
        self, session: SessionName, image: Path, source: Source | None
    ) -> tuple[Session, Session, int]:
        """The session as it was recorded before and after its store was copied; the size."""
        before = source.session if source else self.sessions.get(session)
        store = source.store if source else self.sessions.store_path(session)
        if store is None:
            raise SessionNotPaired(session=str(session))
        try:
            size = await self.workers.run(_take, store, image)
        except StoreUnreadable as error:
            raise StoreLost(session=str(session)) from error
        return before, source.session if source else self.sessions.get(session), size

    async def _store(
        self,
        repository: Repository,
        name: BackupName,
        image: Path,
        parent: Manifest | None,
        on_stored: OnStored,
    ) -> tuple[Layout, Findings]:
        """Stores and drills the image side by side: each keeps a processor busy."""
        try:
            async with asyncio.TaskGroup() as group:
                inspecting = group.create_task(self.workers.run(inspect, image))
                layout = await store_image(repository, name, image, parent, on_stored)
                findings = await self.workers.run(understand, image)
        except BaseExceptionGroup as errors:  # one of the two; the other was cancelled
            raise errors.exceptions[0] from None
        damage = inspecting.result()
        return layout, replace(findings, problems=(*damage, *findings.problems))


def _take(store: Path, image: Path) -> int:
    take(store, image)
    return image.stat().st_size


async def find_parent(
    repository: Repository, name: BackupName
) -> tuple[Manifest | None, Parent | None]:
    """The newest older backup of the session that can be read, and the link to it.

    One that cannot be read is passed over: its pages are stored again.
    """
    names = await repository.names(name.session)
    older_ids = [each for each in names if each.backup_id < name.backup_id]
    for older in sorted(older_ids, key=lambda each: each.backup_id, reverse=True):
        try:
            manifest, sha256 = await repository.read_manifest_and_hash(older)
        except (BackupCorrupt, BackupKeyMissing):
            continue
        return manifest, Parent(backup_id=older.backup_id, sha256=sha256, seq=manifest.seq)
    return None, None


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
