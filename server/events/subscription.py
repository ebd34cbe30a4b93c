"""What a subscriber asks for, and what it gets."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from server.core.names import SessionName
from server.sessions.model import Session

from .stored import EventKind, StoredEvent

DEFAULT_HEARTBEAT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class FromSnapshot:
    """The present sessions first, then events after that moment."""


@dataclass(frozen=True, slots=True)
class FromNow:
    """Events from now on."""


@dataclass(frozen=True, slots=True)
class AfterCursor:
    """Events strictly after a cursor."""

    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """No sessions: all; no kinds: all but ENGINE. `heartbeat` is the longest silence."""

    start: FromSnapshot | FromNow | AfterCursor
    sessions: frozenset[SessionName] = frozenset()
    kinds: frozenset[EventKind] = frozenset()
    heartbeat: timedelta = DEFAULT_HEARTBEAT


class BookmarkReason(StrEnum):
    """Why a bookmark was sent; `roost.v1` explains each."""

    SNAPSHOT_COMPLETE = "snapshot_complete"
    IDLE = "idle"
    CLOSING = "closing"


# Each with the cursor after it: who has handled the item saves that and can resume from it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One session of the snapshot. Resuming from its cursor starts the snapshot over."""

    session: Session
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """One or more events in order."""

    events: tuple[StoredEvent, ...]
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """No event, but everything that matches up to the cursor has been sent."""

    reason: BookmarkReason
    cursor: str


Item = Snapshot | Events | Bookmark
