"""Errors about one session."""

from dataclasses import dataclass
from typing import ClassVar

from .base import DomainError


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
