"""A consistent image of a store that may be in use by its engine host.

Runs in the server process, never in the host's: two copies of SQLite in one process destroy each
other's locks (https://sqlite.org/howtocorrupt.html, 2.2.1). Always in one step: copying some pages
at a time starts over with every write of the host and may never end, while one step does not stop
writers of a store in WAL mode.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BUSY_SECONDS = 15.0
NOTADB = "SQLITE_NOTADB"
CANTOPEN = "SQLITE_CANTOPEN"


class StoreUnreadable(Exception):
    """There is no database in the file, or no file."""


def take(store: Path, image: Path) -> None:
    """Copies `store` as it is at one moment into the new file `image`, 0600 and not synced.

    Blocks. The image is a single file without WAL; page numbers are those of the store.

    Raises:
        StoreUnreadable: the store is missing or not a database.
    """
    os.close(os.open(image, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with existing(store) as source, closing(sqlite3.connect(image)) as target:
            source.execute("PRAGMA schema_version").fetchone()  # a missing header shows here
            target.execute("PRAGMA synchronous = OFF")
            source.backup(target, pages=-1)
            target.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname in {NOTADB, CANTOPEN}:
            raise StoreUnreadable from error
        raise


@contextmanager
def existing(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens a database that must exist; a missing file is never made."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
        yield connection


def sync(path: Path) -> None:
    """Makes a file durable. Never for a store that something has open."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
