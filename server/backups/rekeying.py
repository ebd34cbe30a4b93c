"""Making a copy safe to connect with: re-keying, in the scratch copy, before anything connects.

What is kept: the device with its identity (contacts see no changed security code), all one-time
prekeys (WhatsApp still hands them out), contacts' identities, the map of LIDs, other members'
group keys, the app state and its keys. What goes: pairwise sessions and our own group keys, which
may lie behind what contacts have seen. The next message to each contact then starts a new session
that the contact accepts without notice.
"""

import sqlite3
from pathlib import Path

from server.engine import safeguards

from .identity import new_private_key, plain_jid, read_devices
from .snapshot import existing, sync

PREKEY_JUMP = 10_000  # ids made after the copy was taken are not used a second time
PREKEY_LIMIT = 2**24
PREKEY_ROOM = 1000


def rekey(store: Path) -> None:
    """Gives the single device in `store` fresh ratchets. Blocks; the file is synced."""
    with existing(store) as connection, connection:
        (device,) = read_devices(connection)
        connection.execute("DELETE FROM whatsmeow_sessions")
        connection.executemany(
            "DELETE FROM whatsmeow_sender_keys WHERE sender_id = ?",
            [(address,) for address in device.signal_addresses],
        )
        connection.execute(
            "INSERT INTO whatsmeow_pre_keys (jid, key_id, key, uploaded) VALUES (?, ?, ?, false)",
            (device.jid, _next_prekey_id(connection), new_private_key()),
        )
        for buffer in ("event_buffer", "retry_buffer"):
            _empty_if_there(connection, f"whatsmeow_{buffer}")
        if device.lid:  # messages to the own phone need it
            connection.execute(
                "INSERT OR IGNORE INTO whatsmeow_lid_map (lid, pn) VALUES (?, ?)",
                (_user(device.lid), _user(device.jid)),
            )
    sync(store)


def protect(store: Path) -> None:
    """Makes sure that the engine cannot harm the keys. Blocks; the file is synced."""
    with existing(store) as connection, connection:
        safeguards.install(connection)
    sync(store)


def _next_prekey_id(connection: sqlite3.Connection) -> int:
    (highest,) = connection.execute("SELECT max(key_id) FROM whatsmeow_pre_keys").fetchone()
    highest = highest or 0
    # Near the end of the range there is no room for the full jump; never go back.
    return int(max(highest + 1, min(highest + PREKEY_JUMP, PREKEY_LIMIT - PREKEY_ROOM)))


def _empty_if_there(connection: sqlite3.Connection, table: str) -> None:
    wanted = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if connection.execute(wanted, (table,)).fetchone():
        connection.execute(f"DELETE FROM {table}")  # noqa: S608  a constant


def _user(jid: str) -> str:
    return plain_jid(jid).partition("@")[0]
