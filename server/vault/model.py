"""What a backup is, whatever stores it; `roost.v1.Backup` explains each value."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.core.names import BackupName, StorageLocationName


class BackupState(StrEnum):
    """Only ACTIVE (read back and verified) counts as good."""

    CREATING = "creating"
    ACTIVE = "active"
    SUSPECT = "suspect"
    REVOKED = "revoked"


class BackupKind(StrEnum):
    """When and how the copy was taken."""

    HOT = "hot"
    QUIESCED = "quiesced"
    PAIRED = "paired"
    PRE_RESTORE = "pre_restore"
    PRE_DELETE = "pre_delete"
    PRE_CLEANUP = "pre_cleanup"
    PRE_UPGRADE = "pre_upgrade"
    IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A sealed copy of one session's credentials in one storage location."""

    name: BackupName
    state: BackupState
    kind: BackupKind
    storage_location: StorageLocationName
    size_bytes: int
    logical_bytes: int
    sha256: str
    format_version: int
    device_fingerprint: str
    connect_epoch: int
    schema_version: str
    engine_version: str
    create_time: datetime
    state_reason: str = ""
    verify_time: datetime | None = None
    verify_level: int = 0
    seq: int = 0
    parent: str = ""
    new_bytes: int = 0
    pinned: bool = False
    delete_time: datetime | None = None
    purge_time: datetime | None = None
