"""The drill: what an image must show before it counts as a good copy.

L3 is the database: readable, sound, known schema. L4 is what it means: one device whose keys belong
together, and Signal records that parse. Whatever fails makes the copy SUSPECT. (L0 to L2, the seal
and the checksums, are proven by reading the image through the archive.)
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .identity import Device, read_devices, self_test
from .snapshot import existing

TABLES = (
    "app_state_mutation_macs",
    "app_state_sync_keys",
    "app_state_version",
    "chat_settings",
    "contacts",
    "device",
    "identity_keys",
    "lid_map",
    "message_secrets",
    "pre_keys",
    "privacy_tokens",
    "sender_keys",
    "sessions",
)
_RECORDS = {"sessions": "session", "sender_keys": "sender_key"}
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a drill found. Good when there is no problem."""

    problems: tuple[str, ...]
    device: Device | None = None
    schema_version: str = ""
    counts: dict[str, int] = field(default_factory=dict)


def drill(image: Path) -> Findings:
    """Opens an image and looks at everything. Blocks; about 4 ms per MB.

    Problems are in English and hold no key, name or number.
    """
    if damage := inspect(image):
        return Findings(problems=damage)
    return understand(image)


def inspect(image: Path) -> tuple[str, ...]:
    """Whether every page of the database is in order: most of L3, and most of the time it takes."""
    try:
        with existing(image) as connection:
            verdicts = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.Error as error:
        return (_unreadable(error),)
    return () if verdicts == [("ok",)] else ("the integrity check failed",)


def understand(image: Path) -> Findings:
    """The rest, of an image that `inspect` finds in order."""
    try:
        with existing(image) as connection:
            damage = _damage(connection)
            if damage:
                return Findings(problems=tuple(damage))
            return _read(connection)
    except sqlite3.Error as error:
        return Findings(problems=(_unreadable(error),))


def _unreadable(error: sqlite3.Error) -> str:
    return f"not readable as a database ({error.sqlite_errorname})"


def _damage(connection: sqlite3.Connection) -> list[str]:
    problems = []
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        problems.append("rows refer to rows that do not exist")
    present = {
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    missing = [name for name in (*TABLES, "version") if f"whatsmeow_{name}" not in present]
    if missing:
        problems.append(f"tables are missing: {', '.join(missing)}")
    return problems


def _read(connection: sqlite3.Connection) -> Findings:
    version = connection.execute("SELECT version, compat FROM whatsmeow_version").fetchall()
    devices = read_devices(connection)
    problems = []
    if len(version) != 1:
        problems.append("the schema version is unknown")
    if len(devices) != 1:
        problems.append("no device row" if not devices else "more than one device row")
    for device in devices:
        problems.extend(self_test(device))
    problems.extend(_bad_records(connection))
    counts = {
        name: connection.execute(f"SELECT count(*) FROM whatsmeow_{name}").fetchone()[0]  # noqa: S608
        for name in TABLES
    }
    return Findings(
        problems=tuple(problems),
        device=devices[0] if len(devices) == 1 else None,
        schema_version="|".join(str(number) for number in version[0]) if version else "",
        counts=counts,
    )


def _bad_records(connection: sqlite3.Connection) -> Iterator[str]:
    for table, column in _RECORDS.items():
        bad = sum(
            not _is_object(value)
            for (value,) in connection.execute(f"SELECT {column} FROM whatsmeow_{table}")  # noqa: S608
            if value is not None
        )
        if bad:
            yield f"{bad} unreadable records in {table}"
    (bad,) = connection.execute(
        "SELECT count(*) FROM whatsmeow_pre_keys WHERE length(key) != 32"
    ).fetchone()
    if bad:
        yield f"{bad} unreadable prekeys"


def _is_object(value: object) -> bool:
    if not isinstance(value, bytes | str):
        return False
    try:
        return isinstance(_decode(value), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
