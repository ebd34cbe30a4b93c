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

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldViolation:
    """One bad field: a request field path and what is wrong with it, in English."""

    field: str
    problem: str


@dataclass(kw_only=True, eq=False)
class DomainError(Exception):
    """An outcome that the caller must know by its reason."""

    reason: ClassVar[str]

    @property
    def message(self) -> str:
        """For developers, in English: the class's own first sentence unless it says more."""
        return (type(self).__doc__ or "").split("\n", 1)[0]

    def metadata(self) -> dict[str, str]:
        """ErrorInfo metadata: lowerCamelCase keys, no secrets."""
        return {}

    def __str__(self) -> str:
        return self.message


@dataclass(kw_only=True, eq=False)
class FieldInvalid(DomainError):
    """The request has an invalid field."""

    reason: ClassVar[str] = "FIELD_INVALID"
    field: str
    problem: str
    more: tuple[FieldViolation, ...] = ()

    @property
    def message(self) -> str:
        """Names the field and the problem."""
        return f"{self.field}: {self.problem}"

    @property
    def violations(self) -> tuple[FieldViolation, ...]:
        """All violations, the first included."""
        return (FieldViolation(field=self.field, problem=self.problem), *self.more)


@dataclass(kw_only=True, eq=False)
class RequestIdReused(DomainError):
    """The request_id was used before with another request."""

    reason: ClassVar[str] = "REQUEST_ID_REUSED"
    request_id: str

    def metadata(self) -> dict[str, str]:
        """Says which id."""
        return {"requestId": self.request_id}


@dataclass(kw_only=True, eq=False)
class PageTokenMismatch(DomainError):
    """The page token belongs to a query with other filters."""

    reason: ClassVar[str] = "PAGE_TOKEN_MISMATCH"


@dataclass(kw_only=True, eq=False)
class NotFound(DomainError):
    """There is no such resource."""

    name: str

    @property
    def message(self) -> str:
        """Names the resource."""
        return f"{self.name} does not exist."

    def metadata(self) -> dict[str, str]:
        """Names the resource."""
        return {"name": self.name}


class SessionNotFound(NotFound):
    """There is no such session."""

    reason: ClassVar[str] = "SESSION_NOT_FOUND"


class BackupNotFound(NotFound):
    """There is no such backup."""

    reason: ClassVar[str] = "BACKUP_NOT_FOUND"


class OperationNotFound(NotFound):
    """There is no such operation."""

    reason: ClassVar[str] = "OPERATION_NOT_FOUND"


class StorageLocationNotFound(NotFound):
    """There is no such storage location."""

    reason: ClassVar[str] = "STORAGE_LOCATION_NOT_FOUND"


class TrashItemNotFound(NotFound):
    """There is no such item in trash."""

    reason: ClassVar[str] = "TRASH_ITEM_NOT_FOUND"


@dataclass(kw_only=True, eq=False)
class SessionError(DomainError):
    """An error about one session."""

    session: str

    def metadata(self) -> dict[str, str]:
        """Names the session."""
        return {"session": self.session}


class RecipientNotFound(SessionError):
    """The recipient has no WhatsApp account, or is a group that the session's account is not in."""

    reason: ClassVar[str] = "RECIPIENT_NOT_FOUND"


class SessionExists(SessionError):
    """A session with this id exists."""

    reason: ClassVar[str] = "SESSION_EXISTS"


class Precondition(SessionError):
    """The session is not in a condition for this call."""


@dataclass(kw_only=True, eq=False)
class SessionWrongState(Precondition):
    """The session's state does not allow this call."""

    reason: ClassVar[str] = "SESSION_WRONG_STATE"
    state: str
    allowed_states: tuple[str, ...]

    @property
    def message(self) -> str:
        """Names the state and the allowed ones."""
        return f"{self.session} is {self.state}; allowed: {', '.join(self.allowed_states)}."

    def metadata(self) -> dict[str, str]:
        """Adds the state and the allowed ones, comma separated."""
        return {
            "session": self.session,
            "state": self.state,
            "allowedStates": ",".join(self.allowed_states),
        }


class SessionNotPaired(Precondition):
    """The session has no credentials: pair it, or restore a backup."""

    reason: ClassVar[str] = "SESSION_NOT_PAIRED"


class SessionAlreadyPaired(Precondition):
    """The session is paired; unlink it before pairing again."""

    reason: ClassVar[str] = "SESSION_ALREADY_PAIRED"


class CredentialsExist(Precondition):
    """The session has credentials; set force to move them to trash."""

    reason: ClassVar[str] = "CREDENTIALS_EXIST"


@dataclass(kw_only=True, eq=False)
class SessionLeased(Precondition):
    """Another server runs the session; stop it there, or set take_over."""

    reason: ClassVar[str] = "SESSION_LEASED"
    server: str = ""

    def metadata(self) -> dict[str, str]:
        """Adds the other server's id; empty if it is not known."""
        return {"session": self.session, "server": self.server}


class StoreLost(Precondition):
    """The session's credential store is missing or no database; restore a backup."""

    reason: ClassVar[str] = "STORE_LOST"


class PairingExpired(Precondition):
    """Nobody scanned the QR code or typed the pairing code in time."""

    reason: ClassVar[str] = "PAIRING_EXPIRED"


class PairingRejected(Precondition):
    """The phone or WhatsApp refused the pairing."""

    reason: ClassVar[str] = "PAIRING_REJECTED"


class ClientOutdated(Precondition):
    """WhatsApp refuses this engine version; upgrade the server."""

    reason: ClassVar[str] = "CLIENT_OUTDATED"


@dataclass(kw_only=True, eq=False)
class BackupError(DomainError):
    """An error about one backup."""

    backup: str

    def metadata(self) -> dict[str, str]:
        """Names the backup."""
        return {"backup": self.backup}


@dataclass(kw_only=True, eq=False)
class ExactRestoreUnsafe(BackupError):
    """An exact restore cannot be proven safe; use REKEY or AUTO."""

    reason: ClassVar[str] = "EXACT_RESTORE_UNSAFE"
    why: str

    @property
    def message(self) -> str:
        """Says why."""
        return f"An exact restore cannot be proven safe: {self.why}. Use REKEY or AUTO."


@dataclass(kw_only=True, eq=False)
class BackupNotRestorable(BackupError):
    """The backup is not complete and verified."""

    reason: ClassVar[str] = "BACKUP_NOT_RESTORABLE"
    state: str

    def metadata(self) -> dict[str, str]:
        """Adds the state."""
        return {"backup": self.backup, "state": self.state}


@dataclass(kw_only=True, eq=False)
class BackupRevoked(BackupError):
    """The device was logged out after the backup; set force to try it all the same."""

    reason: ClassVar[str] = "BACKUP_REVOKED"
    why: str

    @property
    def message(self) -> str:
        """Says how."""
        return (
            f"The device was logged out after this backup ({self.why}): WhatsApp will probably "
            "refuse it. Set force to try it all the same."
        )

    def metadata(self) -> dict[str, str]:
        """Adds why."""
        return {"backup": self.backup, "why": self.why}


@dataclass(kw_only=True, eq=False)
class BackupTooNew(BackupError):
    """A newer engine wrote the backup; upgrade the server."""

    reason: ClassVar[str] = "BACKUP_TOO_NEW"
    schema_version: str

    def metadata(self) -> dict[str, str]:
        """Adds the schema of its store."""
        return {"backup": self.backup, "schemaVersion": self.schema_version}


@dataclass(kw_only=True, eq=False)
class RestoreRolledBack(BackupError):
    """The restored session did not connect; everything is as it was before."""

    reason: ClassVar[str] = "RESTORE_ROLLED_BACK"
    session: str
    condition: str

    @property
    def message(self) -> str:
        """Says what the session showed."""
        return (
            f"{self.session} did not connect with the restored credentials ({self.condition}); "
            "everything is as it was before."
        )

    def metadata(self) -> dict[str, str]:
        """Adds the session and the reason of its condition."""
        return {"backup": self.backup, "session": self.session, "condition": self.condition}


class BackupKeyMissing(BackupError):
    """The backup was sealed with a key that this server does not have."""

    reason: ClassVar[str] = "BACKUP_KEY_MISSING"


@dataclass(kw_only=True, eq=False)
class BackupCorrupt(BackupError):
    """The stored backup is damaged; use another one."""

    reason: ClassVar[str] = "BACKUP_CORRUPT"
    problem: str
    object: str = ""  # the name of the damaged object in storage
    newest_good: str = ""  # the backup to use instead

    @property
    def message(self) -> str:
        """Names the damage."""
        where = f" ({self.object})" if self.object else ""
        use = self.newest_good or "another backup"
        return f"{self.backup} is damaged: {self.problem}{where}. Use {use}."

    def metadata(self) -> dict[str, str]:
        """The damaged object, and the backup to use instead."""
        more = {"object": self.object, "newestGood": self.newest_good}
        return super().metadata() | {key: value for key, value in more.items() if value}


@dataclass(kw_only=True, eq=False)
class VaultCorrupt(DomainError):
    """The repository in a storage location is damaged as a whole."""

    reason: ClassVar[str] = "VAULT_CORRUPT"
    storage_location: str
    problem: str

    @property
    def message(self) -> str:
        """Names the damage."""
        return f"The vault in {self.storage_location} is damaged: {self.problem}."

    def metadata(self) -> dict[str, str]:
        """Where."""
        return {"storageLocation": self.storage_location}


@dataclass(kw_only=True, eq=False)
class TrashItemKept(DomainError):
    """The item may not be purged yet."""

    reason: ClassVar[str] = "TRASH_ITEM_KEPT"
    name: str
    why: str
    purge_time: datetime | None = None  # None: no time will do

    @property
    def message(self) -> str:
        """Says why."""
        return f"{self.name} is kept: {self.why}."

    def metadata(self) -> dict[str, str]:
        """Names the item, and from when on it may be purged."""
        when = {"purgeTime": self.purge_time.isoformat()} if self.purge_time else {}
        return {"name": self.name} | when


@dataclass(kw_only=True, eq=False)
class TrashItemUnusable(DomainError):
    """There is nothing in the item that a session could use."""

    reason: ClassVar[str] = "TRASH_ITEM_UNUSABLE"
    name: str
    problem: str

    @property
    def message(self) -> str:
        """Says why."""
        return f"{self.name} cannot be brought back: {self.problem}."

    def metadata(self) -> dict[str, str]:
        """Names the item."""
        return {"name": self.name}


class PassphraseWrong(DomainError):
    """The exported file does not open with this passphrase."""

    reason: ClassVar[str] = "PASSPHRASE_WRONG"


@dataclass(kw_only=True, eq=False)
class ExportCorrupt(DomainError):
    """The exported file is damaged."""

    reason: ClassVar[str] = "EXPORT_CORRUPT"
    problem: str

    @property
    def message(self) -> str:
        """Names the damage."""
        return f"The exported file is damaged: {self.problem}."

    def metadata(self) -> dict[str, str]:
        """Names the damage."""
        return {"problem": self.problem}


@dataclass(kw_only=True, eq=False)
class CredentialsInvalid(DomainError):
    """The files to import are no usable credentials."""

    reason: ClassVar[str] = "CREDENTIALS_INVALID"
    problem: str  # never repeats what is in the file
    file: str = ""

    @property
    def message(self) -> str:
        """Names the file and the problem."""
        where = f"{self.file}: " if self.file else ""
        return f"The files are no usable credentials: {where}{self.problem}."

    def metadata(self) -> dict[str, str]:
        """Names the file and the problem."""
        where = {"file": self.file} if self.file else {}
        return {"problem": self.problem} | where


@dataclass(kw_only=True, eq=False)
class ExactImportUnsafe(DomainError):
    """The files cannot be taken over exactly; use REKEY or AUTO."""

    reason: ClassVar[str] = "EXACT_IMPORT_UNSAFE"
    why: str

    @property
    def message(self) -> str:
        """Says why."""
        return f"The files cannot be taken over exactly: {self.why}. Use REKEY or AUTO."


class EtagMismatch(SessionError):
    """The session changed since it was read."""

    reason: ClassVar[str] = "ETAG_MISMATCH"


@dataclass(kw_only=True, eq=False)
class OperationInProgress(SessionError):
    """Another operation works on this session."""

    reason: ClassVar[str] = "OPERATION_IN_PROGRESS"
    operation: str

    def metadata(self) -> dict[str, str]:
        """Adds the running operation's name."""
        return {"session": self.session, "operation": self.operation}


@dataclass(kw_only=True, eq=False)
class OperationEnded(DomainError):
    """An operation did not run to its end."""

    operation: str

    def metadata(self) -> dict[str, str]:
        """Names the operation."""
        return {"operation": self.operation}


class OperationCancelled(OperationEnded):
    """The operation was cancelled."""

    reason: ClassVar[str] = "OPERATION_CANCELLED"


class OperationInterrupted(OperationEnded):
    """The server ended while the operation ran; start it again."""

    reason: ClassVar[str] = "OPERATION_INTERRUPTED"


@dataclass(kw_only=True, eq=False)
class CursorExpired(DomainError):
    """The cursor is older than the log; start over from a snapshot."""

    reason: ClassVar[str] = "CURSOR_EXPIRED"
    oldest_cursor: str

    def metadata(self) -> dict[str, str]:
        """Gives the oldest cursor that still works."""
        return {"oldestCursor": self.oldest_cursor}


@dataclass(kw_only=True, eq=False)
class SubscriberTooSlow(DomainError):
    """The subscriber reads too slowly; resume from lastCursor."""

    reason: ClassVar[str] = "SUBSCRIBER_TOO_SLOW"
    last_cursor: str

    def metadata(self) -> dict[str, str]:
        """Gives the cursor to resume from."""
        return {"lastCursor": self.last_cursor}


@dataclass(kw_only=True, eq=False)
class QuotaExceeded(DomainError):
    """A configured limit is reached."""

    reason: ClassVar[str] = "QUOTA_EXCEEDED"
    limit: str

    def metadata(self) -> dict[str, str]:
        """Names the limit."""
        return {"limit": self.limit}


@dataclass(kw_only=True, eq=False)
class Unavailable(DomainError):
    """Try again later."""

    retry_delay: timedelta = timedelta(seconds=2)


@dataclass(kw_only=True, eq=False)
class EngineUnavailable(Unavailable):
    """The session's engine is not connected or did not answer."""

    reason: ClassVar[str] = "ENGINE_UNAVAILABLE"
    session: str

    def metadata(self) -> dict[str, str]:
        """Names the session."""
        return {"session": self.session}


@dataclass(kw_only=True, eq=False)
class SendTimedOut(Unavailable):
    """No acknowledgement in time; the message may have been sent."""

    reason: ClassVar[str] = "SEND_TIMED_OUT"
    session: str
    message_id: str

    def metadata(self) -> dict[str, str]:
        """Names the session and the message."""
        return {"session": self.session, "messageId": self.message_id}


@dataclass(kw_only=True, eq=False)
class StorageUnavailable(Unavailable):
    """The storage location did not answer."""

    reason: ClassVar[str] = "STORAGE_UNAVAILABLE"
    storage_location: str

    def metadata(self) -> dict[str, str]:
        """Names the location."""
        return {"storageLocation": self.storage_location}


class KeyUnavailable(Unavailable):
    """A master key of the backups that is kept elsewhere did not answer."""

    reason: ClassVar[str] = "KEY_UNAVAILABLE"


@dataclass(kw_only=True, eq=False)
class VaultBusy(Unavailable):
    """Another server is moving or deleting backups in the storage location."""

    reason: ClassVar[str] = "VAULT_BUSY"
    storage_location: str

    def metadata(self) -> dict[str, str]:
        """Names the location."""
        return {"storageLocation": self.storage_location}


class ServerDraining(Unavailable):
    """The server is shutting down."""

    reason: ClassVar[str] = "SERVER_DRAINING"


@dataclass(kw_only=True, eq=False)
class StorageMisconfigured(DomainError):
    """The storage location refuses access or is misconfigured."""

    reason: ClassVar[str] = "STORAGE_MISCONFIGURED"
    storage_location: str

    def metadata(self) -> dict[str, str]:
        """Names the location."""
        return {"storageLocation": self.storage_location}


class TokenInvalid(DomainError):
    """The call carries no valid API key."""

    reason: ClassVar[str] = "TOKEN_INVALID"
