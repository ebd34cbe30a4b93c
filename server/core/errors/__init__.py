"""Every error that a caller of the API can meet.

The tree (reason in brackets; `rpc/errors.py` maps each class to a gRPC status)::

    DomainError
    ├── FieldInvalid [FIELD_INVALID]
    ├── RequestIdReused, PageTokenMismatch
    ├── NotFound
    │   └── SessionNotFound, BackupNotFound, OperationNotFound, StorageLocationNotFound,
    │       TrashItemNotFound
    ├── SessionError
    │   ├── SessionExists, RecipientNotFound, EtagMismatch, OperationInProgress
    │   └── Precondition
    │       ├── SessionWrongState, SessionNotPaired, SessionAlreadyPaired, CredentialsExist
    │       ├── SessionLeased, StoreLost
    │       └── PairingExpired, PairingRejected, ClientOutdated
    ├── BackupError
    │   ├── ExactRestoreUnsafe, BackupNotRestorable, BackupRevoked, BackupTooNew
    │   └── BackupKeyMissing, BackupCorrupt, RestoreRolledBack
    ├── OperationEnded
    │   └── OperationCancelled, OperationInterrupted
    ├── TrashItemKept, TrashItemUnusable, PassphraseWrong, ExportCorrupt, CredentialsInvalid,
    │   ExactImportUnsafe
    ├── CursorExpired, SubscriberTooSlow, QuotaExceeded
    ├── Unavailable
    │   └── EngineUnavailable, StorageUnavailable, VaultBusy, KeyUnavailable, ServerDraining,
    │       SendTimedOut
    ├── StorageMisconfigured, VaultCorrupt
    └── TokenInvalid

Message texts live here, never at the raise site. Fields are keyword-only and never hold secrets.
"""

from .backups import (
    BackupCorrupt,
    BackupError,
    BackupKeyMissing,
    BackupNotRestorable,
    BackupRevoked,
    BackupTooNew,
    CredentialsInvalid,
    ExactImportUnsafe,
    ExactRestoreUnsafe,
    ExportCorrupt,
    PassphraseWrong,
    RestoreRolledBack,
    TrashItemKept,
    TrashItemUnusable,
    VaultCorrupt,
)
from .base import (
    BackupNotFound,
    CursorExpired,
    DomainError,
    EngineUnavailable,
    FieldInvalid,
    FieldViolation,
    KeyUnavailable,
    NotFound,
    OperationCancelled,
    OperationEnded,
    OperationInterrupted,
    OperationNotFound,
    PageTokenMismatch,
    QuotaExceeded,
    RequestIdReused,
    SendTimedOut,
    ServerDraining,
    SessionNotFound,
    StorageLocationNotFound,
    StorageMisconfigured,
    StorageUnavailable,
    SubscriberTooSlow,
    TokenInvalid,
    TrashItemNotFound,
    Unavailable,
    VaultBusy,
)
from .sessions import (
    ClientOutdated,
    CredentialsExist,
    EtagMismatch,
    OperationInProgress,
    PairingExpired,
    PairingRejected,
    Precondition,
    RecipientNotFound,
    SessionAlreadyPaired,
    SessionError,
    SessionExists,
    SessionLeased,
    SessionNotPaired,
    SessionWrongState,
    StoreLost,
)

__all__ = [
    "BackupCorrupt",
    "BackupError",
    "BackupKeyMissing",
    "BackupNotFound",
    "BackupNotRestorable",
    "BackupRevoked",
    "BackupTooNew",
    "ClientOutdated",
    "CredentialsExist",
    "CredentialsInvalid",
    "CursorExpired",
    "DomainError",
    "EngineUnavailable",
    "EtagMismatch",
    "ExactImportUnsafe",
    "ExactRestoreUnsafe",
    "ExportCorrupt",
    "FieldInvalid",
    "FieldViolation",
    "KeyUnavailable",
    "NotFound",
    "OperationCancelled",
    "OperationEnded",
    "OperationInProgress",
    "OperationInterrupted",
    "OperationNotFound",
    "PageTokenMismatch",
    "PairingExpired",
    "PairingRejected",
    "PassphraseWrong",
    "Precondition",
    "QuotaExceeded",
    "RecipientNotFound",
    "RequestIdReused",
    "RestoreRolledBack",
    "SendTimedOut",
    "ServerDraining",
    "SessionAlreadyPaired",
    "SessionError",
    "SessionExists",
    "SessionLeased",
    "SessionNotFound",
    "SessionNotPaired",
    "SessionWrongState",
    "StorageLocationNotFound",
    "StorageMisconfigured",
    "StorageUnavailable",
    "StoreLost",
    "SubscriberTooSlow",
    "TokenInvalid",
    "TrashItemKept",
    "TrashItemNotFound",
    "TrashItemUnusable",
    "Unavailable",
    "VaultBusy",
    "VaultCorrupt",
]
