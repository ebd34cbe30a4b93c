"""The data directory: private, used by one server at a time, and telling where that server is."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

UMASK = 0o077


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
