"""Nothing is destroyed: what is not wanted any more is moved, with a note that says how to undo it.

Blocking. `files.SessionFiles` moves things here from its own thread; `Trash.purge` alone removes
anything, and only what somebody named (see `backups.trashing`).
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from server.core.names import TRASH_ID, TrashItemName

NOTE = "TRASH.json"
STORE = "store.db"
PURGING = ".purging-"  # what a purge that was cut off has left
DELETED = "deleted"  # the reason of a whole session's folder


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashNote:
    """What stands in TRASH.json."""

    reason: str
    time: datetime
    session: str
    restore: str  # the command that brings it back


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashItem:
    """A folder in trash. Without a readable note nobody knows what it is."""

    name: TrashItemName
    path: Path
    note: TrashNote | None
    size_bytes: int

    @property
    def is_session(self) -> bool:
        """All of a deleted session, not a store alone."""
        return self.note is not None and self.note.reason == DELETED

    def stores(self) -> list[Path]:
        """The stores in it, the newest epoch first. Blocks."""
        epochs = [folder for folder in self.path.iterdir() if folder.name.isdecimal()]
        epochs.sort(key=lambda folder: int(folder.name), reverse=True)
        return [store for folder in [self.path, *epochs] if (store := folder / STORE).exists()]


def fsync_folder(folder: Path) -> None:
    """Makes renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Trash:
    """The folder `trash` of the data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, source: Path, *, session_id: str, reason: str, now: datetime) -> Path:
        """Moves the folder `source` here. Its note says how to bring it back."""
        target = self._free_name(session_id, reason, now)
        restore = f"roost trash restore {target.name}"
        if reason == DELETED:
            restore = f"roost sessions undelete {session_id}"
        note = TrashNote(reason=reason, time=now, session=f"sessions/{session_id}", restore=restore)
        _write_note(source / NOTE, note)
        source.rename(target)
        fsync_folder(source.parent)
        fsync_folder(target.parent)
        return target

    def take_session(self, target: Path, *, session_id: str) -> bool:
        """Moves the folder of a deleted session back; False if there is none."""
        if target.exists():
            return False
        found = [
            folder
            for folder in self._folder.glob(f"*-{session_id}-{DELETED}*")
            if (note := read_note(folder)) is not None
            and note.session == f"sessions/{session_id}"
            and note.reason == DELETED
        ]
        if not found:
            return False
        newest = max(found, key=lambda folder: folder.name)
        self.take_folder(newest, target)
        return True

    def take_folder(self, source: Path, target: Path) -> None:
        """Moves the folder `source` of trash to `target`, which must not exist."""
        source.rename(target)
        (target / NOTE).unlink(missing_ok=True)
        fsync_folder(target.parent)
        fsync_folder(self._folder)

    def items(self) -> list[TrashItem]:
        """Everything in trash, the newest first."""
        if not self._folder.exists():
            return []
        names = [entry.name for entry in self._folder.iterdir() if TRASH_ID.fullmatch(entry.name)]
        found = [self.find(TrashItemName(name)) for name in sorted(names, reverse=True)]
        return [item for item in found if item is not None]

    def find(self, name: TrashItemName) -> TrashItem | None:
        """One item; None if there is none (any more)."""
        path = self._folder / name.item_id
        if not path.is_dir():
            return None
        return TrashItem(name=name, path=path, note=read_note(path), size_bytes=_size(path))

    def purge(self, item: TrashItem) -> None:
        """Removes an item for good, and what a purge that was cut off has left."""
        item.path.rename(self._folder / f"{PURGING}{item.name.item_id}")
        fsync_folder(self._folder)
        for folder in self._folder.glob(f"{PURGING}*"):
            _remove(folder)
        fsync_folder(self._folder)

    def _free_name(self, session_id: str, reason: str, now: datetime) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{session_id}-{reason}"
        target, number = self._folder / name, 1
        while target.exists():
            number += 1
            target = self._folder / f"{name}-{number}"
        return target


def _size(folder: Path) -> int:
    """In bytes. What is being copied from may gain and lose SQLite's side files meanwhile."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += (Path(parent) / name).lstat().st_size
    return size


def _write_note(path: Path, note: TrashNote) -> None:
    """Written before the move, so that the move is one step that leaves nothing half done."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(note), indent=2) + b"\n")
        file.flush()
        os.fsync(descriptor)


def read_note(folder: Path) -> TrashNote | None:
    """The note of a folder in trash; None without a readable one."""
    try:
        return msgspec.json.decode((folder / NOTE).read_bytes(), type=TrashNote)
    except (OSError, msgspec.DecodeError):
        return None


def _remove(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _remove(entry)
        else:
            entry.unlink()
    folder.rmdir()
