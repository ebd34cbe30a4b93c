"""Resource names, parsed once at the edge (AIP-122)."""

import re
from dataclasses import dataclass
from typing import Self

from .errors import FieldInvalid

SESSION_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
PLAIN_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
TRASH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,159}")


def _segment(value: str, pattern: re.Pattern[str], field: str) -> str:
    if not pattern.fullmatch(value):
        raise FieldInvalid(field=field, problem=f"an id must match {pattern.pattern}")
    return value


def _segments(text: str, collections: tuple[str, ...], field: str) -> list[str]:
    parts = text.split("/")
    if len(parts) != 2 * len(collections) or tuple(parts[::2]) != collections:
        wanted = "/".join(f"{collection}/{{id}}" for collection in collections)
        raise FieldInvalid(field=field, problem=f"must have the form {wanted}")
    return parts[1::2]


@dataclass(frozen=True, slots=True, order=True)
class SessionName:
    """`sessions/{session_id}`."""

    session_id: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Parses `text`; raises FieldInvalid naming the request's `field`."""
        (session_id,) = _segments(text, ("sessions",), field)
        return cls(_segment(session_id, SESSION_ID, field))

    @classmethod
    def from_id(cls, session_id: str, field: str = "session_id") -> Self:
        """Checks a bare session id; raises FieldInvalid."""
        return cls(_segment(session_id, SESSION_ID, field))

    def __str__(self) -> str:
        return f"sessions/{self.session_id}"


@dataclass(frozen=True, slots=True, order=True)
class BackupName:
    """`sessions/{session_id}/backups/{backup_id}`."""

    session: SessionName
    backup_id: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Parses `text`; raises FieldInvalid naming the request's `field`."""
        session_id, backup_id = _segments(text, ("sessions", "backups"), field)
        return cls(
            SessionName(_segment(session_id, SESSION_ID, field)),
            _segment(backup_id, PLAIN_ID, field),
        )

    def __str__(self) -> str:
        return f"{self.session}/backups/{self.backup_id}"


@dataclass(frozen=True, slots=True, order=True)
class OperationName:
    """`operations/{operation_id}`."""

    operation_id: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Parses `text`; raises FieldInvalid naming the request's `field`."""
        (operation_id,) = _segments(text, ("operations",), field)
        return cls(_segment(operation_id, PLAIN_ID, field))

    def __str__(self) -> str:
        return f"operations/{self.operation_id}"


@dataclass(frozen=True, slots=True, order=True)
class StorageLocationName:
    """`storageLocations/{storage_location_id}`."""

    location_id: str

    @classmethod
    def parse(cls, text: str, field: str = "storage_location") -> Self:
        """Parses `text`; raises FieldInvalid naming the request's `field`."""
        (location_id,) = _segments(text, ("storageLocations",), field)
        return cls(_segment(location_id, PLAIN_ID, field))

    def __str__(self) -> str:
        return f"storageLocations/{self.location_id}"


@dataclass(frozen=True, slots=True, order=True)
class TrashItemName:
    """`trash/{item_id}`; also its path below the data directory."""

    item_id: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Parses `text`; raises FieldInvalid naming the request's `field`."""
        (item_id,) = _segments(text, ("trash",), field)
        return cls(_segment(item_id, TRASH_ID, field))

    def __str__(self) -> str:
        return f"trash/{self.item_id}"
