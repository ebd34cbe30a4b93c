"""What backups, restores and operations are; `roost.v1` explains each field."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from server.core.names import BackupName, SessionName, StorageLocationName, TrashItemName
from server.vault.model import Backup


class RestoreMode(StrEnum):
    """How a restore treats the ratchets in the copy."""

    AUTO = "auto"
    EXACT = "exact"
    REKEY = "rekey"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What a restore will do, or did. `mode` is never AUTO."""

    backup: BackupName
    target: SessionName
    mode: RestoreMode
    reasons: tuple[str, ...]
    losses: tuple[str, ...]
    replaces_credentials: bool
    age: timedelta
    start: bool = False  # the session is started afterwards
    revoked: str = ""  # how the device was logged out after the copy was taken


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """What a restore did. `trash` is a path below the data directory; empty: nothing was there."""

    plan: RestorePlan
    trash: str
    started: bool = False  # and connected


class Outcome(StrEnum):
    """What became of one session in a recovery; `roost.v1.RecoverResult` explains each."""

    PLANNED = "planned"
    RESTORED = "restored"
    STARTED = "started"
    PRESENT = "present"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredSession:
    """One session of a recovery. `reason` is that of a domain error; empty: nothing was wrong."""

    session: SessionName
    outcome: Outcome
    plan: RestorePlan | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverResult:
    """What taking over a storage location did, or would do. All of its sessions, by name."""

    storage_location: StorageLocationName
    dry_run: bool
    sessions: tuple[RecoveredSession, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyStep:
    """One level of a check; passed if there is no problem."""

    level: int
    problem: str
    elapsed: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """What checking a backup found; the last step may be the one that failed."""

    backup: Backup
    steps: tuple[VerifyStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLocation:
    """A configured place for backups."""

    name: StorageLocationName
    scheme: str
    primary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashRestoreResult:
    """What bringing something back from the local trash did.

    `is_exact`: everything is as it was, without fresh ratchets. `trash` says where the store went
    that was there, a path below the data directory; empty: none was.
    """

    item: TrashItemName
    session: SessionName
    is_exact: bool
    trash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """What was done to keys, over all storage locations."""

    rotated: int = 0
    """Sessions that got a new data key."""
    wraps_added: int = 0
    wraps_present: int = 0
    wraps_repaired: int = 0
    wraps_delayed: int = 0
    """Still missing, because a master key is away."""
    wraps_removed: int = 0
    unreadable: tuple[str, ...] = ()
    """Terms that no configured master key opens, as `{session_id}/{term}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionItem:
    """What retention does with one backup, and why."""

    backup: BackupName
    keep: bool
    reasons: tuple[str, ...]
    create_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionResult:
    """What a round of housekeeping did, or would do, in one storage location.

    `items`: the backups of one session newest first, one session after the other.
    """

    storage_location: StorageLocationName
    items: tuple[RetentionItem, ...]
    trashed: int
    purged: int
    collected_objects: int
    collected_bytes: int
    notes: tuple[str, ...] = ()
    """What was not done for safety's sake, in English."""
