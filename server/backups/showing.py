"""Backups of a repository as the API shows them."""

from datetime import datetime

from server.core.errors import BackupCorrupt, BackupKeyMissing
from server.core.names import BackupName, StorageLocationName
from server.vault.history import Standing
from server.vault.manifest import FORMAT_VERSION
from server.vault.model import Backup, BackupKind, BackupState


def shown(standing: Standing, location: StorageLocationName) -> Backup:
    """A backup that can be read."""
    manifest, layout = standing.manifest, standing.manifest.layout
    parent = manifest.parent
    return Backup(
        name=manifest.name,
        state=standing.state,
        state_reason=standing.state_reason,
        kind=manifest.kind,
        storage_location=location,
        size_bytes=layout.size_bytes,
        logical_bytes=layout.image_bytes,
        new_bytes=layout.new_bytes,
        sha256=layout.image_sha256,
        format_version=manifest.format_version,
        device_fingerprint=manifest.device_fingerprint,
        connect_epoch=manifest.connect_epoch,
        schema_version=manifest.schema_version,
        engine_version=manifest.engine_version,
        create_time=manifest.create_time,
        verify_time=standing.verify_time,
        verify_level=standing.verify_level,
        seq=manifest.seq,
        parent=str(BackupName(manifest.name.session, parent.backup_id)) if parent else "",
        pinned=standing.is_pinned,
    )


def shown_unreadable(
    name: BackupName,
    location: StorageLocationName,
    written: datetime,
    error: BackupCorrupt | BackupKeyMissing,
) -> Backup:
    """A backup whose manifest cannot be read: SUSPECT, with the reason."""
    return Backup(
        name=name,
        state=BackupState.SUSPECT,
        state_reason=error.message,
        kind=BackupKind.HOT,
        storage_location=location,
        size_bytes=0,
        logical_bytes=0,
        sha256="",
        format_version=FORMAT_VERSION,
        device_fingerprint="",
        connect_epoch=0,
        schema_version="",
        engine_version="",
        create_time=written,
    )
