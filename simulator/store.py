"""What the simulator remembers across its own restarts: one SQLite file.

Every write is in the file before the stanza that depends on it leaves the process, so a
simulator that is killed forgets nothing it has acknowledged.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (phone TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contacts (phone TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS devices (
  phone TEXT NOT NULL, number INTEGER NOT NULL, state BLOB NOT NULL,
  PRIMARY KEY (phone, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prekeys (
  phone TEXT NOT NULL, number INTEGER NOT NULL, id INTEGER NOT NULL, public BLOB NOT NULL,
  PRIMARY KEY (phone, number, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  phone TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, stanza BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS queue_of_device ON queue (phone, number, key);
CREATE TABLE IF NOT EXISTS relayed (
  phone TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (phone, number, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  phone TEXT NOT NULL, list TEXT NOT NULL, id TEXT NOT NULL, item BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS items_of_phone ON items (phone, list, position);
CREATE INDEX IF NOT EXISTS items_by_id ON items (phone, list, id);
"""


class Store:
    """The file. Calls are short and synchronous; they belong to the loop's thread."""

    def __init__(self, path: Path | None) -> None:
        """Open `path`, or keep everything in memory."""
        self.persistent = path is not None
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        # The file outlives a killed process without syncing; it need not outlive the machine.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written inside."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def meta(self, name: str) -> bytes | None:
        """A value kept by name."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: bytes) -> None:
        """Keep a value by name."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def accounts(self) -> list[bytes]:
        """The state of every account."""
        return [row[0] for row in self._db.execute("SELECT state FROM accounts ORDER BY phone")]

    def save_account(self, phone: str, state: bytes) -> None:
        """Keep an account."""
        self._db.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (phone, state))

    def contact(self, phone: str) -> bytes | None:
        """The Signal state of an account's phone."""
        row = self._db.execute("SELECT state FROM contacts WHERE phone = ?", (phone,)).fetchone()
        return row[0] if row else None

    def save_contact(self, phone: str, state: bytes) -> None:
        """Keep the Signal state of an account's phone."""
        self._db.execute("INSERT OR REPLACE INTO contacts VALUES (?, ?)", (phone, state))

    def groups(self) -> list[bytes]:
        """The state of every group."""
        return [row[0] for row in self._db.execute("SELECT state FROM groups ORDER BY id")]

    def save_group(self, group: str, state: bytes) -> None:
        """Keep a group."""
        self._db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?)", (group, state))

    def devices(self) -> list[bytes]:
        """The state of every linked device."""
        rows = self._db.execute("SELECT state FROM devices ORDER BY phone, number")
        return [row[0] for row in rows]

    def save_device(self, phone: str, number: int, state: bytes) -> None:
        """Keep a linked device."""
        self._db.execute("INSERT OR REPLACE INTO devices VALUES (?, ?, ?)", (phone, number, state))

    def delete_device(self, phone: str, number: int) -> None:
        """Forget a device, its keys and its queue."""
        with self.transaction():
            for table in ("devices", "prekeys", "queue", "relayed"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE phone = ? AND number = ?",  # noqa: S608
                    (phone, number),
                )

    def add_prekeys(self, phone: str, number: int, keys: Iterable[tuple[int, bytes]]) -> None:
        """Keep one-time keys of a device."""
        with self.transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO prekeys VALUES (?, ?, ?, ?)",
                ((phone, number, key_id, public) for key_id, public in keys),
            )

    def count_prekeys(self, phone: str, number: int) -> int:
        """How many one-time keys of a device are left."""
        row = self._db.execute(
            "SELECT count(*) FROM prekeys WHERE phone = ? AND number = ?", (phone, number)
        ).fetchone()
        return int(row[0])

    def prekey_ids(self, phone: str, number: int) -> list[int]:
        """The ids of a device's one-time keys that are left."""
        rows = self._db.execute(
            "SELECT id FROM prekeys WHERE phone = ? AND number = ? ORDER BY id", (phone, number)
        )
        return [row[0] for row in rows]

    def take_prekey(self, phone: str, number: int) -> tuple[int, bytes] | None:
        """Hand out a one-time key of a device, once."""
        row: tuple[int, bytes] | None = self._db.execute(
            "DELETE FROM prekeys WHERE phone = ?1 AND number = ?2 AND id = "
            "(SELECT min(id) FROM prekeys WHERE phone = ?1 AND number = ?2) RETURNING id, public",
            (phone, number),
        ).fetchone()
        return row

    def enqueue(self, phone: str, number: int, key: str, stanza: bytes) -> None:
        """Keep a stanza for a device until it has answered."""
        self._db.execute(
            "INSERT INTO queue (phone, number, key, stanza) VALUES (?, ?, ?, ?)",
            (phone, number, key, stanza),
        )

    def dequeue(self, phone: str, number: int, key: str) -> bool:
        """Forget the stanza that a device has answered; False if there was none."""
        done = self._db.execute(
            "DELETE FROM queue WHERE phone = ? AND number = ? AND key = ?", (phone, number, key)
        )
        return done.rowcount > 0

    def queued(self, phone: str, number: int) -> list[bytes]:
        """What waits for a device, oldest first."""
        return [
            row[0]
            for row in self._db.execute(
                "SELECT stanza FROM queue WHERE phone = ? AND number = ? ORDER BY position",
                (phone, number),
            )
        ]

    def first_time(self, phone: str, number: int, message_id: str) -> bool:
        """Whether a device sends this message for the first time; remembers that it did."""
        done = self._db.execute(
            "INSERT OR IGNORE INTO relayed VALUES (?, ?, ?)", (phone, number, message_id)
        )
        return done.rowcount > 0

    def add_item(self, phone: str, name: str, item_id: str, item: bytes) -> None:
        """Append to one of the lists of an account's phone."""
        self._db.execute(
            "INSERT INTO items (phone, list, id, item) VALUES (?, ?, ?, ?)",
            (phone, name, item_id, item),
        )

    def items(self, phone: str, name: str, after: int) -> list[tuple[int, bytes]]:
        """What is in a list behind a position, with positions."""
        return list(
            self._db.execute(
                "SELECT position, item FROM items "
                "WHERE phone = ? AND list = ? AND position > ? ORDER BY position",
                (phone, name, after),
            )
        )

    def item(self, phone: str, name: str, item_id: str) -> bytes | None:
        """The latest of a list with that id."""
        row = self._db.execute(
            "SELECT item FROM items WHERE phone = ? AND list = ? AND id = ? "
            "ORDER BY position DESC LIMIT 1",
            (phone, name, item_id),
        ).fetchone()
        return row[0] if row else None
