"""Where stores go instead of being deleted: moved as they are, with the way back."""

import json
import os
from datetime import datetime
from pathlib import Path

from server.core.ids import random_id


class Trash:
    """The folder `trash/` of the data directory. Nothing here deletes."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._root = data_dir / "trash"

    def move(self, place: Path, *, session_id: str, reason: str, now: datetime) -> str:
        """Moves the folder `place` into a new trash folder; returns its path below the data dir.

        `reason` is lower-case words joined by `-`. The move is one rename on the same file system;
        TRASH.json beside it says what, why, when, and the command that brings it back. Blocks.
        """
        folder = self._root / f"{now:%Y%m%dT%H%M%SZ}-{session_id}-{reason}-{random_id(6)}"
        folder.mkdir(mode=0o700, parents=True)
        kept = folder / place.name
        origin = place.relative_to(self._data_dir)
        note = {
            "session": f"sessions/{session_id}",
            "reason": reason,
            "time": now.isoformat(),
            "origin": str(origin),
            "restore": f"stop the session, then: mv '{kept}' '{place}'",
        }
        (folder / "TRASH.json").write_text(json.dumps(note, indent=2) + "\n")
        place.rename(kept)
        for touched in (folder, place.parent):
            _sync(touched)
        return str(folder.relative_to(self._data_dir))


def _sync(folder: Path) -> None:
    """Makes the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
