"""What every error is, and those that belong to no resource of their own."""

from dataclasses import dataclass
from datetime import timedelta
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
