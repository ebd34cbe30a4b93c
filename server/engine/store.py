"""Server side: the credential stores as files. Plain SQLite; the engine is not loaded here.

A store is opened by at most one host, and by the server only through `sqlite3`, for short reads:
two SQLite copies in one process, or a plain `open()` and `close()` beside one, destroy each
other's locks. Nothing here ever creates a
store by accident: neonize makes a new identity out of a missing, an empty or a device-less file
without a word, so a store is checked before each start, and a fresh one is a copy of a template.
"""

import contextlib
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from . import safeguards
from .base import Account

_BUSY_SECONDS: Final = 5.0
_DEEP_CHECK_BYTES: Final = 64 * 1024 * 1024  # beyond that a check would delay the start by seconds
_KEY_LENGTHS: Final = (
    "SELECT length(noise_key), length(identity_key), length(signed_pre_key),"
    " length(adv_account_sig) FROM whatsmeow_device"
)


def template_path(folder: Path, engine_version: str) -> Path:
    """Where the empty store of an engine version is."""
    return folder / f"template-{engine_version.replace('/', '-')}.db"


def template_command(path: Path) -> list[str]:
    """The short-lived process that lets the engine make a store at `path`."""
    return [sys.executable, "-P", "-m", "server.engine.template", str(path)]


def finish_template(draft: Path, path: Path) -> None:
    """Makes a single file of what the engine created, with safeguards, and moves it into place."""
    with _opened(draft) as store:
        safeguards.install(store)
        store.commit()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        store.execute("PRAGMA journal_mode = DELETE").fetchall()
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)


def schema_of(path: Path) -> int:
    """The version of a store's schema; 0: it cannot be told. Blocks."""
    try:
        with _opened(path) as store:
            row = store.execute("SELECT version FROM whatsmeow_version").fetchone()
    except (sqlite3.Error, OSError):
        return 0
    return int(row[0]) if row else 0


def create(template: Path, path: Path) -> None:
    """Makes a fresh store: a copy of the template, 0600, in a folder of its own, 0700.

    An existing file is left alone.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return
    fd, draft = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(fd, "wb") as target:
        target.write(template.read_bytes())
        target.flush()
        os.fsync(fd)
    Path(draft).rename(path)


def read_account(path: Path) -> Account | None:
    """The account whose device the store holds; None if there is none or the file is damaged."""
    try:
        with _opened(path) as store:
            row = store.execute("SELECT jid, lid, push_name FROM whatsmeow_device").fetchone()
    except (sqlite3.Error, OSError):
        return None
    if row is None:
        return None
    jid, lid, push_name = row
    user, _, server = jid.partition("@")
    user, _, device = user.partition(":")
    return Account(
        jid=f"{user.partition('.')[0]}@{server}",
        lid=_without_device(lid or ""),
        push_name=push_name or "",
        device=int(device) if device.isdigit() else 0,
    )


def is_store_sound(path: Path) -> bool:
    """Whether a login may be tried with this store: whole, and with exactly one device's keys.

    Puts safeguards back that are missing.
    """
    return _is_whole(path, lambda devices: devices == [(32, 32, 32, 64)])


def is_store_ready(path: Path) -> bool:
    """Whether a pairing may be tried with this store: whole, whether or not it has a device.

    (It has one if a pairing succeeded that nobody lived to see.)
    """
    return _is_whole(path, lambda _: True)


def _is_whole(path: Path, accept: Callable[[list[tuple[int, ...]]], bool]) -> bool:
    try:
        size = path.stat().st_size
        if size == 0:
            return False
        with _opened(path) as store:
            if size <= _DEEP_CHECK_BYTES:
                ((verdict,),) = store.execute("PRAGMA quick_check(1)").fetchall()
                if verdict != "ok":
                    return False
            if not accept(store.execute(_KEY_LENGTHS).fetchall()):
                return False
            safeguards.install(store)
            store.commit()
    except (sqlite3.Error, OSError, ValueError):
        return False
    return True


def find_sent(path: Path, secret: bytes) -> str | None:
    """The id of the message that was sent with this secret; None if certainly none was.

    whatsmeow writes both before the message leaves. Raises sqlite3.Error if it cannot be known.
    """
    with _opened(path) as store:
        row = store.execute(
            "SELECT message_id FROM whatsmeow_message_secrets WHERE key = ?", (secret,)
        ).fetchone()
    return None if row is None else str(row[0])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """An existing database; never creates one."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS
    )
    try:
        yield connection
    finally:
        connection.close()


def _without_device(jid: str) -> str:
    user, at, server = jid.partition("@")
    return f"{user.partition(':')[0].partition('.')[0]}{at}{server}"
