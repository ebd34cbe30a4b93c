"""A session's files: where they are, and the few ways in which they move."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from server.core.clock import Clock
from server.core.names import SessionName

from .trash import DELETED, STORE, Trash, fsync_folder

T = TypeVar("T")
LEFTOVER = "unused"


class SessionFiles:
    """`sessions/<id>/<store epoch>/store.db`, `sessions/<id>/spool` and `trash/`.

    The moves run in a thread of their own, one at a time; each is durable when it returns.
    """

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._sessions = data_dir / "sessions"
        self._trash = Trash(data_dir / "trash")
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "session-files")

    def close(self) -> None:
        """Lets the thread end after what it is doing."""
        self._thread.shutdown(wait=False)

    def store(self, name: SessionName, epoch: int) -> Path:
        """The credential store of an epoch."""
        return self._epoch(name, epoch) / STORE

    def spool(self, name: SessionName) -> Path:
        """The folder of the events that are not in the log yet."""
        return self._folder(name) / "spool"

    async def discard_epoch(self, name: SessionName, epoch: int, reason: str) -> str:
        """Moves an epoch's folder to trash; where to, below the data directory. None: empty."""
        return await self._run(lambda: self._discard(name, epoch, reason))

    async def discard_others(self, name: SessionName, keep: int) -> None:
        """Moves the epochs to trash that a server which was killed left behind."""

        def discard() -> None:
            for epoch in self._epochs(name):
                if epoch != keep:
                    self._discard(name, epoch, LEFTOVER)

        await self._run(discard)

    async def discard_session(self, name: SessionName) -> None:
        """Moves everything of a session to trash, if there is anything."""

        def discard() -> None:
            folder = self._folder(name)
            if folder.exists():
                now = self._clock.now()
                self._trash.put(folder, session_id=name.session_id, reason=DELETED, now=now)

        await self._run(discard)

    async def bring_back_session(self, name: SessionName) -> bool:
        """Undoes `discard_session`; False if there is nothing of it in trash."""

        def bring_back() -> bool:
            return self._trash.take_session(self._folder(name), session_id=name.session_id)

        return await self._run(bring_back)

    async def bring_back_epoch(self, name: SessionName, trash: str, epoch: int) -> None:
        """Undoes `discard_epoch`, as a new epoch; `trash` is what that has answered."""

        def bring_back() -> None:
            _make_private(self._folder(name))
            self._trash.take_folder(self._sessions.parent / trash, self._epoch(name, epoch))

        await self._run(bring_back)

    async def install(self, name: SessionName, epoch: int, source: Path) -> None:
        """Moves the single file `source` in as the store of a new epoch."""
        await self._run(lambda: self._install(name, epoch, source))

    async def next_epoch(self, name: SessionName, last: int) -> int:
        """An epoch that was never used, also not by a server that died before recording it."""
        return await self._run(lambda: max([last, *self._epochs(name)]) + 1)

    async def has_store(self, name: SessionName, epoch: int) -> bool:
        """Whether an epoch has a store file."""
        return await self._run(self.store(name, epoch).exists)

    def _folder(self, name: SessionName) -> Path:
        return self._sessions / name.session_id

    def _epoch(self, name: SessionName, epoch: int) -> Path:
        return self._folder(name) / str(epoch)

    def _epochs(self, name: SessionName) -> list[int]:
        with contextlib.suppress(FileNotFoundError):
            names = [entry.name for entry in self._folder(name).iterdir() if entry.is_dir()]
            return sorted(int(one) for one in names if one.isdecimal())
        return []

    def _discard(self, name: SessionName, epoch: int, reason: str) -> str:
        folder = self._epoch(name, epoch)
        if not folder.exists():
            return ""
        now = self._clock.now()
        kept = self._trash.put(folder, session_id=name.session_id, reason=reason, now=now)
        return str(kept.relative_to(self._sessions.parent))

    def _install(self, name: SessionName, epoch: int, source: Path) -> None:
        folder = self._epoch(name, epoch)
        _make_private(self._folder(name))
        folder.mkdir(mode=0o700)
        target = folder / STORE
        shutil.move(source, target)
        target.chmod(0o600)
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fsync_folder(folder)
        fsync_folder(folder.parent)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
