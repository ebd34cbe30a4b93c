"""What a session is. Frozen: every change makes a new value, recorded before anybody sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from server.core.names import SessionName
from server.engine.base import Account
from server.vault.model import Backup


class State(StrEnum):
    """Observed state; `roost.v1.Session.State` explains each."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    PAIRING = "pairing"
    ACTIVE = "active"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    FAILED = "failed"
    UNLINKED = "unlinked"
    DELETED = "deleted"


# States that something is being done about; no server leaves a session in them.
TRANSIENT = frozenset(
    {State.CONNECTING, State.PAIRING, State.ACTIVE, State.BACKING_OFF, State.STOPPING}
)

# States in which nothing uses the credentials, so that others may replace them or connect.
IDLE = frozenset({State.STOPPED, State.FAILED, State.UNLINKED})


class DesiredState(StrEnum):
    """What the owner wants."""

    STOPPED = "stopped"
    RUNNING = "running"


class UserAction(StrEnum):
    """What a person can do; `roost.v1.Condition.UserAction` explains each."""

    NONE = "none"
    WAIT = "wait"
    PAIR_AGAIN = "pair_again"
    OPEN_PHONE = "open_phone"
    UPGRADE_SERVER = "upgrade_server"
    STOP_OTHER_CONNECTION = "stop_other_connection"
    RESTORE_BACKUP = "restore_backup"
    CONTACT_WHATSAPP = "contact_whatsapp"
    CHECK_NETWORK = "check_network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Why the state is what it is; `reason` is an ErrorReason name without its prefix."""

    reason: str
    message: str
    user_action: UserAction
    engine_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session as recorded. `etag` changes with every recorded change."""

    name: SessionName
    state: State
    desired: DesiredState
    etag: str
    create_time: datetime
    state_change_time: datetime
    condition: Condition | None = None
    account: Account | None = None
    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    proxy_url: str = field(default="", repr=False)
    next_attempt_time: datetime | None = None
    delete_time: datetime | None = None
    purge_time: datetime | None = None
    store_epoch: int = 0  # the folder sessions/<id>/<store_epoch> holds the store; 0: no store
    last_store_epoch: int = 0  # the highest epoch ever given out; never used twice
    connect_epoch: int = 0  # how often an engine was started for this session
    clean_epoch: int = 0  # the connect_epoch whose engine was last seen to end cleanly

    @property
    def is_paired(self) -> bool:
        """Credentials exist locally and have not been revoked."""
        return self.store_epoch > 0 and self.account is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """The event that every recorded change of a session is."""

    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupChanged:
    """A backup of the session was made, or is not what it was; the whole of it."""

    backup: Backup


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanges:
    """What UpdateSession may change; None: leave it."""

    display_name: str | None = None
    labels: Mapping[str, str] | None = None
    proxy_url: str | None = None
