"""Errors about backups, imports, trash and the vault."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from .base import DomainError


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
