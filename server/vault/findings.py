"""What a check of a repository finds."""

from dataclasses import dataclass
from enum import StrEnum

from server.core.names import BackupName, SessionName, StorageLocationName


class ProblemKind(StrEnum):
    """What is wrong with an object."""

    MISSING = "missing"
    DAMAGED = "damaged"
    """Changed, cut, or moved here from another name: its seal does not open."""
    WRONG_SIZE = "wrong_size"
    REPLAYED = "replayed"
    """It was purged, or replaced by another one, and is back."""
    FOREIGN = "foreign"
    """Not an object of a repository."""
    KEY_UNKNOWN = "key_unknown"
    """No configured master key opens it."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with one object; `detail` is in English and tells no secret."""

    object: str
    kind: ProblemKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFindings:
    """What there is of one session."""

    session: SessionName
    backups: int
    trashed: int
    newest_good: BackupName | None
    """As far as this check has looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultCheck:
    """What a check found. Sound if there is no problem."""

    location: StorageLocationName
    read_data: bool
    problems: tuple[Problem, ...]
    objects: int
    bytes: int
    """Read, not only looked for."""
    sessions: tuple[SessionFindings, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest that this server knows a location to have had of a session."""

    repository_id: str
    backup_id: str
    sha256: str
    """Of the sealed manifest."""
    mark: str = ""
    """The newest mark's object."""
