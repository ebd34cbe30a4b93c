"""What a Baileys store holds, by kind and id, whether it came in one file or many."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from server.core.errors import CredentialsInvalid

CREDS = "creds.json"
LEGACY = frozenset({"clientID", "encKey", "macKey", "WASecretBundle", "WABrowserId"})


class Kind(StrEnum):
    """The kinds of records, by the name that Baileys files them under."""

    APP_STATE_KEY = "app-state-sync-key"
    APP_STATE_VERSION = "app-state-sync-version"
    DEVICE_LIST = "device-list"
    IDENTITY = "identity-key"
    LID = "lid-mapping"
    PREKEY = "pre-key"
    SENDER_KEY = "sender-key"
    SENDER_KEY_MEMORY = "sender-key-memory"
    SESSION = "session"
    TCTOKEN = "tctoken"


TABLES = {
    Kind.APP_STATE_KEY: "app_state_sync_keys",
    Kind.APP_STATE_VERSION: "app_state_version",
    Kind.IDENTITY: "identity_keys",
    Kind.LID: "lid_map",
    Kind.PREKEY: "pre_keys",
    Kind.SENDER_KEY: "sender_keys",
    Kind.SESSION: "sessions",
    Kind.TCTOKEN: "privacy_tokens",
}
"""What the engine calls them, and what they are counted as."""
IGNORED = frozenset({Kind.DEVICE_LIST, Kind.SENDER_KEY_MEMORY})
"""The engine asks for these anew."""
RATCHETS = frozenset({Kind.SESSION, Kind.SENDER_KEY})
_LONGEST_FIRST = sorted(Kind, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Record:
    """One value as it was read."""

    value: object = field(repr=False)
    modify_time: datetime | None = None


@dataclass(slots=True)
class Records:
    """Everything that was found. `damage` says in English what speaks for a copy of live files."""

    creds: Mapping[str, object] = field(repr=False)
    creds_time: datetime | None = None
    newest: datetime | None = None
    by_kind: dict[Kind, dict[str, Record]] = field(default_factory=dict, repr=False)
    damage: list[str] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def of(self, kind: Kind) -> dict[str, Record]:
        """All records of a kind, by id."""
        return self.by_kind.get(kind, {})

    def add(self, kind: Kind, record_id: str, record: Record) -> None:
        """Puts a record in its place."""
        if record.value is not None and kind not in IGNORED:
            self.by_kind.setdefault(kind, {})[record_id] = record

    @property
    def ratchets_time(self) -> datetime | None:
        """When a ratchet was last written."""
        times = [
            record.modify_time
            for kind in RATCHETS
            for record in self.of(kind).values()
            if record.modify_time is not None
        ]
        return max(times, default=None)


def split_name(name: str) -> tuple[Kind, str] | None:
    """Kind and id of what Baileys keeps under a name; None: it is none of its."""
    for kind in _LONGEST_FIRST:
        if name.startswith(f"{kind}-"):
            return kind, name.removeprefix(f"{kind}-")
    return None


def check_creds(value: object, file: str) -> Mapping[str, object]:
    """What must be in credentials of a paired device; raises CredentialsInvalid."""
    if isinstance(value, Mapping) and value.keys() & LEGACY:
        problem = "it is of WhatsApp Web before linked devices, which no longer exists; pair anew"
        raise CredentialsInvalid(problem=problem, file=file)
    if not isinstance(value, Mapping) or "signedIdentityKey" not in value:
        raise CredentialsInvalid(problem="it holds no Baileys credentials", file=file)
    return value
