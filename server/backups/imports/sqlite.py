"""A database of whatsmeow or neonize: its rows go into a store of our own, one device's only.

The files are copies. Beside the database its `-wal` or `-journal` may come along and is then taken
into account; without a `-wal` that must have been there, the last steps are missing.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from server.core.errors import CredentialsInvalid

from .device import NOT_PAIRED
from .encodings import Torn, parse
from .freshness import Evidence
from .model import CredentialsFile

MAGIC = b"SQLite format 3\x00"
OLDEST = 5  # JIDs are written as today since then
NAME = "the database"
_COMPANIONS = ("-wal", "-journal")
_WAL_MARK = slice(18, 20)
_IN_WAL_MODE = b"\x02\x02"
_RECORDS = {"whatsmeow_sessions": "session", "whatsmeow_sender_keys": "sender_key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was taken out of a database."""

    evidence: Evidence
    dropped: Counter[str]


def copy_device(
    files: Sequence[CredentialsFile], store: sqlite3.Connection, folder: Path, device: str
) -> Copied:
    """Copies one device with all that is its own into the empty `store`.

    Args:
        files: The database and what was beside it.
        store: A connection, made for URIs; the caller commits and closes it.
        folder: A private folder for the source.
        device: Its JID; may be empty if there is just one.

    Raises:
        CredentialsInvalid: it is no such database, damaged, too new, too old, or holds no device
            or several.
    """
    damage = _lay_out(files, folder / "source.db")
    try:
        store.execute("ATTACH ? AS source", (f"{(folder / 'source.db').as_uri()}?mode=rw",))
        _check(store)
        jid = _choose(store, device)
        for table in _tables(store):
            _copy(store, table, jid)
    except sqlite3.Error as error:
        problem = f"it is damaged ({error.sqlite_errorname})"
        raise CredentialsInvalid(problem=problem, file=NAME) from error
    times = [file.modify_time for file in files if file.modify_time is not None]
    newest: datetime | None = max(times, default=None)
    return Copied(evidence=Evidence(newest=newest, damage=damage), dropped=_drop_broken(store))


def _lay_out(files: Sequence[CredentialsFile], path: Path) -> tuple[str, ...]:
    """Writes the files under names of our own; what is doubtful about them."""
    mains = [file for file in files if file.data.startswith(MAGIC)]
    if len(mains) != 1:
        problem = f"{len(mains)} SQLite databases are among the files, one was expected"
        if not mains and any(not file.data for file in files):
            problem = "the file is empty"
        raise CredentialsInvalid(problem=problem)
    (main,) = mains
    given = {file.name: file.data for file in files}
    for ending in _COMPANIONS:
        others = [name for name in given if name.endswith(ending) and name != main.name + ending]
        if others:
            raise CredentialsInvalid(problem=f"the {ending} file is of another database")
        if given.get(main.name + ending):
            _write(path.with_name(path.name + ending), given[main.name + ending])
    _write(path, main.data)
    if main.data[_WAL_MARK] == _IN_WAL_MODE and not given.get(f"{main.name}-wal"):
        return ("the database came without its -wal file, and with it perhaps the last steps",)
    return ()


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _check(store: sqlite3.Connection) -> None:
    present = _all(store, "SELECT name FROM source.sqlite_master WHERE type = 'table'")
    if "whatsmeow_version" not in present or "whatsmeow_device" not in present:
        raise CredentialsInvalid(problem="it is not whatsmeow's", file=NAME)
    if _all(store, "PRAGMA source.integrity_check(1)") != ["ok"]:
        raise CredentialsInvalid(problem="it is damaged", file=NAME)
    (ours,) = store.execute("SELECT version FROM main.whatsmeow_version").fetchone()
    columns = _columns(store, "source", "whatsmeow_version")
    needed = "compat" if "compat" in columns else "version"
    row = store.execute(f"SELECT version, {needed} FROM source.whatsmeow_version").fetchone()  # noqa: S608
    if row is None or (row[1] or row[0]) > ours:
        problem = "its schema is newer than this server's engine; upgrade the server"
        raise CredentialsInvalid(problem=problem, file=NAME)
    if row[0] < OLDEST:
        problem = "its schema is too old; let a newer version of its program open it once"
        raise CredentialsInvalid(problem=problem, file=NAME)


def _choose(store: sqlite3.Connection, device: str) -> str:
    jids = _all(store, "SELECT jid FROM source.whatsmeow_device")
    if not jids:
        raise CredentialsInvalid(problem=NOT_PAIRED, file=NAME)
    if device:
        found = [jid for jid in jids if jid == device] or [
            jid for jid in jids if _user(jid) == _user(device) and ":" not in device
        ]
        if len(found) != 1:
            problem = f"it holds {len(found)} devices of that JID, and {len(jids)} in all"
            raise CredentialsInvalid(problem=problem, file=NAME)
        return found[0]
    if len(jids) != 1:
        problem = f"it holds {len(jids)} devices; name the one to import by its JID"
        raise CredentialsInvalid(problem=problem, file=NAME)
    return jids[0]


def _copy(store: sqlite3.Connection, table: str, jid: str) -> None:
    theirs = _columns(store, "source", table)
    columns = [column for column in _columns(store, "main", table) if column in theirs]
    owner = next((column for column in ("our_jid", "jid") if column in columns), None)
    listed = ", ".join(columns)
    which = f"WHERE {owner} = ?" if owner else ""
    store.execute(
        f"INSERT INTO main.{table} ({listed}) SELECT {listed} FROM source.{table} {which}",  # noqa: S608
        (jid,) if owner else (),
    )


def _tables(store: sqlite3.Connection) -> list[str]:
    """The engine's tables that both have, the device first."""
    wanted = (
        "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name LIKE 'whatsmeow_%' "
        "AND name != 'whatsmeow_version'"
    )
    theirs = set(_all(store, wanted.format("source")))
    ours = [table for table in _all(store, wanted.format("main")) if table in theirs]
    return sorted(ours, key=lambda table: (table != "whatsmeow_device", table))


def _drop_broken(store: sqlite3.Connection) -> Counter[str]:
    """Removes Signal records that are no records, from the store that is being made."""
    dropped: Counter[str] = Counter()
    for table, column in _RECORDS.items():
        rows = store.execute(f"SELECT rowid, {column} FROM main.{table}").fetchall()  # noqa: S608
        for rowid, value in rows:
            if not _is_record(value):
                store.execute(f"DELETE FROM main.{table} WHERE rowid = ?", (rowid,))  # noqa: S608
                dropped[table.removeprefix("whatsmeow_")] += 1
    return dropped


def _is_record(value: object) -> bool:
    data = value.encode() if isinstance(value, str) else value
    try:
        return isinstance(data, bytes) and isinstance(parse(data), dict)
    except Torn:
        return False


def _columns(store: sqlite3.Connection, schema: str, table: str) -> list[str]:
    with closing(store.execute(f"PRAGMA {schema}.table_info({table})")) as found:
        return [row[1] for row in found]


def _all(store: sqlite3.Connection, query: str) -> list[str]:
    return [value for (value,) in store.execute(query)]


def _user(jid: str) -> str:
    return jid.partition("@")[0].partition(":")[0]
