"""Where a subscriber keeps its place, so that it goes on there after its own restart."""

import os
from pathlib import Path
from typing import Protocol


class CursorStore(Protocol):
    """Keeps one cursor. Blocking; called from a worker thread, one call at a time."""

    def load(self) -> str:
        """The last saved cursor; empty: none yet."""
        ...

    def save(self, cursor: str) -> None:
        """Replaces it, durably: everything up to `cursor` has been handled."""
        ...


class FileCursor:
    """A cursor in a file of its own; replaced atomically."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def load(self) -> str:
        """As `CursorStore.load`."""
        try:
            return self._path.read_text().strip()
        except FileNotFoundError:
            return ""

    def save(self, cursor: str) -> None:
        """As `CursorStore.save`."""
        scratch = self._path.with_name(f".{self._path.name}.new")
        with scratch.open("w") as file:
            file.write(f"{cursor}\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)
