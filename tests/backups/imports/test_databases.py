"""A database of whatsmeow or neonize becomes a store of ours."""

import sqlite3
from contextlib import closing

import pytest

from server.backups.imports.model import CredentialsFile, CredentialsFormat
from server.backups.model import RestoreMode
from server.backups.verify import drill
from server.core.errors import CredentialsInvalid
from tests.support.baileys import NOW
from tests.support.stores import devices_seen_by_engine, fill, rows

WAL = "neonize.db-wal"


def copied(*paths, names=None):
    """Plain copies of files."""
    names = names or [path.name for path in paths]
    return [
        CredentialsFile(name=name, data=path.read_bytes(), modify_time=NOW)
        for name, path in zip(names, paths, strict=True)
    ]


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def at_rest(path):
    """As a program leaves it that closes its database: one file."""
    execute(path, "PRAGMA journal_mode = DELETE")
    return path


@pytest.fixture
def database(tmp_path, make_store):
    """One device's."""
    return at_rest(make_store(tmp_path / "source" / "neonize.db"))


def test_one_device_with_everything(import_files, database):
    """Row by row."""
    execute(
        database,
        "INSERT INTO whatsmeow_message_secrets "
        "SELECT jid, 'c', 's', 'm', x'01' FROM whatsmeow_device",
        "INSERT INTO whatsmeow_app_state_version "
        "SELECT jid, 'regular', 3, zeroblob(128) FROM whatsmeow_device",
        "INSERT INTO whatsmeow_app_state_mutation_macs "
        "SELECT jid, 'regular', 3, zeroblob(32), zeroblob(32) FROM whatsmeow_device",
    )
    converted, store = import_files(copied(database))
    assert converted.format is CredentialsFormat.WHATSMEOW_SQLITE
    assert converted.mode is RestoreMode.EXACT
    counts = drill(database).counts
    assert converted.counts == {name: number for name, number in counts.items() if number}
    for table in ("device", "sessions", "sender_keys", "pre_keys", "lid_map", "message_secrets"):
        query = f"SELECT * FROM whatsmeow_{table} ORDER BY 1, 2, 3"
        if table == "lid_map":
            query = f"SELECT * FROM whatsmeow_{table} ORDER BY 1, 2"
        assert rows(store, query) == rows(database, query)
    assert len(devices_seen_by_engine(store)) == 1


def test_what_is_in_the_wal_is_taken_too(import_files, tmp_path, make_store):
    """As neonize leaves it: the last steps are beside the database."""
    path = make_store(tmp_path / "source" / "neonize.db")
    with closing(sqlite3.connect(path)) as live:
        live.execute("PRAGMA wal_autocheckpoint = 0")
        live.execute("UPDATE whatsmeow_device SET push_name = 'In the WAL'")
        live.commit()
        given = copied(path, path.with_name(WAL), path.with_name("neonize.db-shm"))
        alone = copied(path)
    converted, _ = import_files(given)
    assert converted.account.push_name == "In the WAL"
    assert converted.mode is RestoreMode.EXACT
    converted, _ = import_files(alone)
    assert converted.mode is RestoreMode.REKEY
    assert "without its -wal" in converted.reasons[0]


def test_one_of_several_devices(import_files, database):
    """Chosen by JID; nothing of the others comes along."""
    with closing(sqlite3.connect(database)) as store, store:
        store.execute("DELETE FROM whatsmeow_lid_map")
        fill(store, "15552223333", "90000000000002", 9, hosted=False)
    with pytest.raises(CredentialsInvalid, match="it holds 2 devices; name"):
        import_files(copied(database))
    for chosen in ("15552223333:9@s.whatsapp.net", "15552223333@s.whatsapp.net"):
        converted, store = import_files(copied(database), device=chosen)
        assert converted.account.device == 9
        assert rows(store, "SELECT DISTINCT our_jid FROM whatsmeow_sessions") == [
            ("15552223333:9@s.whatsapp.net",)
        ]
    with pytest.raises(CredentialsInvalid, match="0 devices of that JID, and 2 in all"):
        import_files(copied(database), device="15554445555@s.whatsapp.net")


def test_an_older_schema(import_files, database):
    """Columns that it does not have get the engine's defaults."""
    execute(
        database,
        "ALTER TABLE whatsmeow_device DROP COLUMN companion_meta_nonce",
        "DROP TABLE whatsmeow_nct_salt",
        "UPDATE whatsmeow_version SET version = 13",
    )
    _, store = import_files(copied(database))
    assert rows(store, "SELECT companion_meta_nonce FROM whatsmeow_device") == [("",)]


def test_a_newer_schema_that_is_compatible(import_files, database):
    """As the engine itself would open it."""
    execute(database, "UPDATE whatsmeow_version SET version = 99, compat = 8")
    assert import_files(copied(database))[0].mode is RestoreMode.EXACT


def test_broken_signal_records_are_dropped(import_files, database):
    """Those chats start anew."""
    execute(
        database,
        "UPDATE whatsmeow_sessions SET session = '{' WHERE their_id = '900000_1:0'",
        "UPDATE whatsmeow_sender_keys SET sender_key = x'ff' WHERE sender_id = '91111_1:0'",
    )
    converted, store = import_files(copied(database))
    assert converted.dropped == {"sessions": 1, "sender_keys": 1}
    assert drill(store).problems == ()


def test_rekeying(import_files, database):
    """Nobody said that the source was stopped."""
    converted, store = import_files(copied(database), source_stopped=False)
    assert converted.mode is RestoreMode.REKEY
    assert rows(store, "SELECT count(*) FROM whatsmeow_sessions") == [(0,)]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE whatsmeow_version SET version = 99, compat = 99", "newer than this server"),
        ("UPDATE whatsmeow_version SET version = 4, compat = 4", "too old"),
        ("DROP TABLE whatsmeow_version", "not whatsmeow's"),
        ("DELETE FROM whatsmeow_device", "never paired"),
        ("UPDATE whatsmeow_device SET noise_key = zeroblob(32)", "noise key"),
        ("UPDATE whatsmeow_device SET adv_details = x'00'", "phone has not signed"),
    ],
)
def test_what_is_refused(import_files, database, statement, problem):
    """By name."""
    execute(database, statement)
    with pytest.raises(CredentialsInvalid, match=problem):
        import_files(copied(database))


def test_files_that_are_no_database(import_files, database):
    """Empty, foreign, cut short, of two databases."""
    (whole,) = copied(database)
    empty = CredentialsFile(name="neonize.db", data=b"")
    kind = CredentialsFormat.WHATSMEOW_SQLITE
    refused = [
        ([empty], "empty"),
        ([CredentialsFile(name="neonize.db", data=b"x" * 5000)], "0 SQLite databases"),
        ([whole, whole], "2 SQLite databases"),
        ([CredentialsFile(name="neonize.db", data=whole.data[:20_000])], "damaged"),
        ([CredentialsFile(name="neonize.db", data=whole.data[:100])], "damaged|not whatsmeow"),
        ([whole, CredentialsFile(name="other.db-wal", data=b"x")], "of another database"),
    ]
    for given, problem in refused:
        with pytest.raises(CredentialsInvalid, match=problem):
            import_files(given, kind)


def test_a_database_of_something_else(import_files, tmp_path):
    """It has tables, and none of ours."""
    path = tmp_path / "other.db"
    execute(path, "CREATE TABLE something (name TEXT)")
    with pytest.raises(CredentialsInvalid, match="not whatsmeow's"):
        import_files(copied(path))
