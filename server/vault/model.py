"""What a backup is, whatever stores it; `roost.v1.Backup` explains each value."""

from enum import StrEnum


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
