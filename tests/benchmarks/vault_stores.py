"""A store of 25 MB with 5,000 Signal sessions, and what messages change in it."""

import json
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support import stores

SESSIONS = 5000
SECRETS = 62_000  # of messages; with them the store has 25 MB
DIGITS = 700  # of a session record, in bytes of randomness


def make(folder: Path) -> Path:
    """The store, in WAL mode as the engine has it."""
    template = folder / "template.db"
    stores._python(stores.MAKE_SCHEMA, template)
    with closing(sqlite3.connect(template)) as store:
        store.execute("PRAGMA journal_mode = DELETE")
    path: Path = stores.StoreMaker(template)(folder / "live" / "store.db")
    with closing(sqlite3.connect(path)) as store, store:
        enlarge(store)
    return path


def enlarge(store: sqlite3.Connection, message_secrets: int = SECRETS) -> None:
    """Adds what years of chats leave."""
    (jid,) = store.execute("SELECT jid FROM whatsmeow_device").fetchone()
    store.executemany(
        "INSERT INTO whatsmeow_sessions VALUES (?, ?, ?)",
        [(jid, _address(number), _record()) for number in range(SESSIONS)],
    )
    store.executemany(
        "INSERT INTO whatsmeow_message_secrets VALUES (?, ?, ?, ?, ?)",
        [_secret(jid, number % SESSIONS) for number in range(message_secrets)],
    )


def exchange(path: Path, messages: int) -> None:
    """Messages with random contacts: the session moves on, and a secret is kept."""
    with closing(sqlite3.connect(path)) as store, store:
        (jid,) = store.execute("SELECT jid FROM whatsmeow_device").fetchone()
        for _ in range(messages):
            number = secrets.randbelow(SESSIONS)
            store.execute(
                "UPDATE whatsmeow_sessions SET session = ? WHERE their_id = ?",
                (_record(), _address(number)),
            )
            store.execute(
                "INSERT INTO whatsmeow_message_secrets VALUES (?, ?, ?, ?, ?)",
                _secret(jid, number),
            )


def settle(path: Path) -> None:
    """Moves the WAL into the file, as tools that copy files need it."""
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _address(number: int) -> str:
    return f"7{number:06}_1:0"


def _record() -> bytes:
    return json.dumps({"Chain": secrets.token_hex(DIGITS)}).encode()


def _secret(jid: str, number: int) -> tuple[object, ...]:
    chat = f"7{number:06}@lid"
    return jid, chat, chat, secrets.token_hex(10).upper(), secrets.token_bytes(32)
