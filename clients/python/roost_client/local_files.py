"""Files on this machine that are sent, or written."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

CHUNK_BYTES = 1 << 20
COMPANIONS = ("-wal", "-shm")  # of an SQLite database that was not closed


class Sources:
    """Files to send, by the names that they are sent under. Raises FileNotFoundError."""

    def __init__(self, *paths: Path) -> None:
        self.paths = {path.name: path for path in paths}
        self.total_bytes = sum(path.stat().st_size for path in paths)

    @classmethod
    def of(cls, source: Path) -> Self:
        """The files of a folder, or a file with those that belong to it."""
        if source.is_dir():
            return cls(*(path for path in sorted(source.iterdir()) if path.is_file()))
        beside = (source.with_name(source.name + ending) for ending in COMPANIONS)
        return cls(source, *(path for path in beside if path.is_file()))

    def __iter__(self) -> Iterator[tuple[str, datetime, bytes]]:
        """Name, time and content of each file, in parts; an empty file is one empty part."""
        for name, path in self.paths.items():
            time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            with path.open("rb") as file:
                yield name, time, file.read(CHUNK_BYTES)
                while chunk := file.read(CHUNK_BYTES):
                    yield name, time, chunk


class Draft:
    """A new private file that appears under its name when it is complete, or never.

    Raises FileExistsError, also if the other file appears meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.part")
        if path.exists():
            raise FileExistsError(path)
        handle = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(handle, "wb")
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Appends."""
        self._file.write(data)
        self.size_bytes += len(data)

    def publish(self) -> None:
        """It is complete."""
        self._file.flush()
        os.fsync(self._file.fileno())
        os.link(self._draft, self._path)  # never over another file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)
