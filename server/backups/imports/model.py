"""What an import takes and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from server.backups.model import RestoreMode
from server.core.names import SessionName
from server.engine.base import Account
from server.vault.model import Backup


class CredentialsFormat(StrEnum):
    """Which program wrote the files, and how."""

    BAILEYS_MULTI_FILE = "baileys_multi_file"
    BAILEYS_SINGLE_FILE = "baileys_single_file"
    WHATSMEOW_SQLITE = "whatsmeow_sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsFile:
    """One file as it was copied. Its name may have folders in front, which do not matter."""

    name: str
    data: bytes = field(repr=False)
    modify_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """Everything that says what to import and into which session.

    Without `format` it is found out from the files. `source_stopped` is the caller's word that
    the program which used the files had ended before they were copied and will not run again.
    `device` picks one device of a database that holds several, by JID. The names and labels are
    for a session that has to be made.
    """

    target: SessionName
    files: Sequence[CredentialsFile]
    format: CredentialsFormat | None = None
    mode: RestoreMode = RestoreMode.AUTO
    source_stopped: bool = False
    device: str = ""
    force: bool = False
    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    proxy_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A store made of other credentials. `mode` is never AUTO.

    `counts` says how many records of each kind are in it, `dropped` how many of each could not be
    taken over: to those chats the session starts anew.
    """

    account: Account
    format: CredentialsFormat
    mode: RestoreMode
    reasons: tuple[str, ...]
    counts: Mapping[str, int]
    dropped: Mapping[str, int]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be taken over, in English."""
        return tuple(f"{number} {kind}" for kind, number in sorted(self.dropped.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did. `trash` is a path below the data directory; empty: nothing was there.

    `backup` is None if the copy right afterwards failed; the session is imported all the same.
    """

    session: SessionName
    converted: Converted
    backup: Backup | None
    trash: str
