"""What an operation is, with everything that it can result in."""

from dataclasses import dataclass, field
from datetime import datetime

from server.core.names import OperationName
from server.vault.findings import VaultCheck
from server.vault.model import Backup

from .imports.model import ImportResult
from .model import (
    KeyRotation,
    RecoverResult,
    RestoreResult,
    RetentionResult,
    TrashRestoreResult,
    VerifyResult,
)

Result = (
    Backup
    | RestoreResult
    | ImportResult
    | TrashRestoreResult
    | KeyRotation
    | RetentionResult
    | VaultCheck
    | RecoverResult
    | VerifyResult
)
FIELDS: dict[type[Result], str] = {
    Backup: "backup",
    RestoreResult: "restore",
    ImportResult: "imported",
    TrashRestoreResult: "untrashed",
    KeyRotation: "rotation",
    RetentionResult: "retention",
    VaultCheck: "check",
    RecoverResult: "recover",
    VerifyResult: "verified",
}
"""Which field of an operation holds a result of a type."""


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
    """Long-running work. Done exactly when `failure` or one of the results is set."""

    name: OperationName
    target: str
    create_time: datetime
    progress: Progress = Progress()
    failure: OperationFailure | None = None
    backup: Backup | None = None
    restore: RestoreResult | None = None
    imported: ImportResult | None = None
    untrashed: TrashRestoreResult | None = None
    rotation: KeyRotation | None = None
    retention: RetentionResult | None = None
    check: VaultCheck | None = None
    recover: RecoverResult | None = None
    verified: VerifyResult | None = None
    end_time: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.end_time is not None
