"""The drill."""

import sqlite3
from contextlib import closing

import pytest

from server.backups.verify import TABLES, drill


@pytest.fixture
def store(make_store, tmp_path):
    return make_store(tmp_path / "store.db")


def change(store, *statements):
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = off")
        for statement in statements:
            connection.execute(statement)


def test_good_store(store):
    """A whole store has no problem, and the drill tells what is in it."""
    findings = drill(store)
    assert findings.problems == ()
    assert findings.schema_version == "15|8"
    assert findings.device.account.device == 7
    assert {name: findings.counts[name] for name in ("device", "pre_keys", "sessions")} == {
        "device": 1,
        "pre_keys": 20,
        "sessions": 5,
    }
    assert set(findings.counts) == set(TABLES)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM whatsmeow_device", "rows refer to rows that do not exist"),
        ("DROP TABLE whatsmeow_lid_map", "tables are missing: lid_map"),
        ("DELETE FROM whatsmeow_version", "the schema version is unknown"),
        ("UPDATE whatsmeow_device SET noise_key = zeroblob(32)", "noise key is not a private key"),
        ("UPDATE whatsmeow_device SET identity_key = randomblob(32)", "has not signed"),
        (
            "UPDATE whatsmeow_sessions SET session = 'torn {' WHERE their_id LIKE '900001%'",
            "1 unreadable records in sessions",
        ),
        ("UPDATE whatsmeow_sessions SET session = '[]'", "5 unreadable records in sessions"),
        ("UPDATE whatsmeow_sender_keys SET sender_key = x'ff'", "4 unreadable records in sender"),
    ],
)
def test_bad_store(store, statement, problem):
    """Each kind of damage is a problem with a name."""
    change(store, statement)
    assert any(problem in found for found in drill(store).problems)


def test_never_paired(store):
    """A store without device is what an engine makes of a missing file: never good."""
    change(
        store,
        *(f"DELETE FROM whatsmeow_{name}" for name in ("pre_keys", "sessions", "sender_keys")),
        "DELETE FROM whatsmeow_device",
    )
    assert drill(store).problems == ("no device row",)


def test_two_devices(store, make_store, tmp_path):
    """Two devices in one store: which one is it?"""
    other = make_store(tmp_path / "other.db", device=8)
    change(
        store,
        f"ATTACH '{other}' AS other",
        "INSERT INTO whatsmeow_device SELECT * FROM other.whatsmeow_device",
    )
    findings = drill(store)
    assert findings.problems == ("more than one device row",)
    assert findings.device is None


def test_null_records_are_no_records(store):
    """The schema allows a session without bytes; it is no damage."""
    change(store, "UPDATE whatsmeow_sessions SET session = NULL")
    assert drill(store).problems == ()


@pytest.mark.parametrize("data", [b"", b"x" * 5000], ids=["empty", "noise"])
def test_not_a_store(tmp_path, data):
    """Files that are something else are problems, not exceptions."""
    path = tmp_path / "store.db"
    path.write_bytes(data)
    assert len(drill(path).problems) == 1
    assert drill(tmp_path / "missing.db").problems


def test_torn_file(store):
    """A file cut in the middle does not pass."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.write_bytes(store.read_bytes()[: store.stat().st_size // 2])
    assert drill(store).problems


def test_problems_tell_nothing(store):
    """No key, number or name is in the text of a problem."""
    change(store, "UPDATE whatsmeow_device SET identity_key = randomblob(32)")
    text = str(drill(store).problems)
    for secret in ("15550001111", "90000000000001", "Ann"):
        assert secret not in text
