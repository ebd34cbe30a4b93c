"""The names of a repository's objects; what is in each is in `docs/vault-format.md`."""

import re
from collections.abc import Callable
from typing import TypeVar

from server.core.errors import FieldInvalid
from server.core.names import PLAIN_ID, SESSION_ID, BackupName, SessionName

T = TypeVar("T")

CONFIG = "config"
KEYS = "keys"
PACKS = "packs"
SNAPSHOTS = "snapshots"
MARKS = "marks"
TRASH = "trash"
TOMBSTONES = "tombstones"
LEASES = "leases"
SERVERS = "servers"
TURN = "leases/_vault"  # no session can have this id
LINEAGE = "lineage-"
LINEAGE_DIGITS = 16
_ID = "[0-9a-z]{16}"
_SESSION = f"(?:{SESSION_ID.pattern})"
_KNOWN = re.compile(
    f"{CONFIG}|{KEYS}/{_SESSION}/{_ID}/[0-9a-f]{{16}}|{PACKS}/{_SESSION}/{_ID}"
    f"|({SNAPSHOTS}|{TRASH}|{TOMBSTONES})/{_SESSION}/{PLAIN_ID.pattern}"
    f"|{MARKS}/{_SESSION}/({PLAIN_ID.pattern})/{_ID}|{LEASES}/{_SESSION}|{TURN}|{SERVERS}/[^/]+"
)


def key(session: SessionName, term: str, master: str) -> str:
    """A session's data key of one term, wrapped for one master key."""
    return f"{KEYS}/{session.session_id}/{term}/{master}"


def pack(session: SessionName, pack_id: str) -> str:
    """Pages."""
    return f"{PACKS}/{session.session_id}/{pack_id}"


def snapshot(name: BackupName) -> str:
    """The manifest of a live backup."""
    return f"{SNAPSHOTS}/{name.session.session_id}/{name.backup_id}"


def trashed(name: BackupName) -> str:
    """The manifest of a backup in trash."""
    return f"{TRASH}/{name.session.session_id}/{name.backup_id}"


def tombstone(name: BackupName) -> str:
    """That a backup was purged, and was not lost."""
    return f"{TOMBSTONES}/{name.session.session_id}/{name.backup_id}"


def mark(session: SessionName, target: str, mark_id: str) -> str:
    """A fact about a backup (its id), or about a lineage (see `lineage`)."""
    return f"{MARKS}/{session.session_id}/{target}/{mark_id}"


def lineage(fingerprint: str) -> str:
    """What marks about all backups of one device are filed under."""
    return f"{LINEAGE}{fingerprint[:LINEAGE_DIGITS]}"


def folder(root: str, session: SessionName | None) -> str:
    """Where the objects of one kind are, of one session or of all."""
    return root if session is None else f"{root}/{session.session_id}"


def is_known(text: str) -> bool:
    """Whether something in a repository is called so."""
    return _KNOWN.fullmatch(text) is not None


def backup_of(text: str) -> BackupName | None:
    """The backup of a `snapshots`, `trash` or `tombstones` object; None for any other name."""
    parts = text.split("/")
    if len(parts) != 3 or parts[0] not in {SNAPSHOTS, TRASH, TOMBSTONES}:  # noqa: PLR2004
        return None
    return _parsed(BackupName.parse, f"sessions/{parts[1]}/backups/{parts[2]}")


def session_of(text: str) -> SessionName | None:
    """The session that an object belongs to; None for `config`, servers and foreign objects."""
    parts = text.split("/")
    if len(parts) < 2 or parts[0] not in {  # noqa: PLR2004
        KEYS,
        PACKS,
        SNAPSHOTS,
        MARKS,
        TRASH,
        TOMBSTONES,
        LEASES,
    }:
        return None
    return _parsed(SessionName.from_id, parts[1])


def _parsed(parse: Callable[[str], T], text: str) -> T | None:
    try:
        return parse(text)
    except FieldInvalid:
        return None
