"""What backups, restores and operations are; `roost.v1` explains each field."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from server.core.names import BackupName, OperationName, SessionName, StorageLocationName
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """What a restore did. `trash` is a path below the data directory; empty: nothing was there."""

    plan: RestorePlan
    trash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLocation:
    """A configured place for backups."""

    name: StorageLocationName
    scheme: str
    primary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an operation is; `bytes_total` is 0 when unknown."""

    phase: str = ""
    bytes_done: int = 0
    bytes_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFailure:
    """How an operation failed: a domain error's reason, message and metadata."""

    reason: str
    message: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Long-running work. Done exactly when one of `failure`, `backup`, `restore` is set."""

    name: OperationName
    target: str
    create_time: datetime
    progress: Progress = Progress()
    failure: OperationFailure | None = None
    backup: Backup | None = None
    restore: RestoreResult | None = None
    end_time: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.end_time is not None
