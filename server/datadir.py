"""The data directory: private, used by one server at a time, and telling where that server is."""

import fcntl
import hashlib
import json
import os
import platform
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .core.ids import random_id

UMASK = 0o077
SERVER_ID_LENGTH = 16
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class DataDirectoryUnusable(Exception):
    """The directory cannot be made or written; says why."""


class DataDirectoryBusy(Exception):
    """Another server uses this directory."""


class DataDirectory:
    """Holds `server.lock` for as long as it is entered.

    The lock is the kernel's (flock): it is gone when the process is, whatever ended it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.announcement = path / "server.json"
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Makes the directory and takes the lock.

        Raises:
            DataDirectoryUnusable: no permission, no space, not a directory.
            DataDirectoryBusy: another server holds the lock.
        """
        os.umask(UMASK)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryUnusable(f"{self.path}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise DataDirectoryBusy(f"{self.path}: another server uses it") from error
        self._lock = lock
        self.announcement.unlink(missing_ok=True)  # of a server that was killed
        return self

    def announce(self, facts: Mapping[str, Any]) -> None:
        """Writes `server.json` in one step; readers see nothing or all of it."""
        draft = self.announcement.with_suffix(".tmp")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**facts, "pid": os.getpid()}, file)
        draft.replace(self.announcement)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Takes the announcement back, then gives the lock up."""
        self.announcement.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def server_id(path: Path) -> str:
    """Which server this data directory is, to others that share its storage. Made once."""
    file = path / "server.id"
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        made, draft = random_id(SERVER_ID_LENGTH), file.with_suffix(".tmp")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as opened:
            opened.write(f"{made}\n")
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
        return made


def place(path: Path) -> str:
    """This very directory on this machine since it booted.

    Two processes with the same place cannot both hold the directory's lock; a copy of the
    directory, or of the whole machine, has another place.
    """
    try:
        machine = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        machine = f"{platform.node()}/{uuid.getnode()}"
    found = path.stat()
    text = f"{machine}/{found.st_dev}/{found.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:SERVER_ID_LENGTH]
