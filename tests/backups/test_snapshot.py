"""Copies of stores that are in use."""

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from server.backups.snapshot import StoreUnreadable, existing, take
from server.backups.verify import drill
from tests.support.stores import rows

WRITER = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=15)
store.execute("PRAGMA synchronous = FULL")
(jid,) = store.execute("SELECT jid FROM whatsmeow_device").fetchone()
print("ready", flush=True)
number = 1000
while True:
    number += 1
    store.execute("BEGIN IMMEDIATE")  # two rows that belong together
    for table, column in (("contacts", "their_jid"), ("chat_settings", "chat_jid")):
        insert = f"INSERT INTO whatsmeow_{table} (our_jid, {column}) VALUES (?, ?)"
        store.execute(insert, (jid, f"{number}@s.whatsapp.net"))
    store.execute("COMMIT")
"""


def test_store_under_writes(make_store, tmp_path):
    """Each of many copies taken beside a busy writer is whole, at one moment, and sound."""
    store = make_store(tmp_path / "store.db")
    counts = []
    with subprocess.Popen([sys.executable, "-c", WRITER, store], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout.readline() == b"ready\n"
            for number in range(20):
                image = tmp_path / f"image{number}.db"
                take(store, image)
                findings = drill(image)
                assert findings.problems == ()
                assert findings.counts["contacts"] == findings.counts["chat_settings"]
                counts.append(findings.counts["contacts"])
            assert writer.poll() is None  # no "database is locked" on its side
        finally:
            writer.kill()
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_image_is_one_private_file(make_store, tmp_path):
    """What is still in the WAL is in the image, which is a single 0600 file."""
    store = make_store(tmp_path / "store.db")
    (tmp_path / "scratch").mkdir()
    image = tmp_path / "scratch" / "image.db"
    with closing(sqlite3.connect(store)) as engine:
        engine.execute("UPDATE whatsmeow_device SET push_name = 'Bea'")
        engine.commit()
        assert (tmp_path / "store.db-wal").stat().st_size > 0
        take(store, image)
        assert rows(image, "SELECT push_name FROM whatsmeow_device") == [("Bea",)]
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["image.db"]
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    assert rows(image, "PRAGMA journal_mode") == [("delete",)]


def test_store_stays_as_it_is(make_store, tmp_path):
    """Taking a copy changes nothing in the store, not even its journal mode."""
    store = make_store(tmp_path / "store.db")
    take(store, tmp_path / "image.db")
    assert rows(store, "PRAGMA journal_mode") == [("wal",)]
    assert drill(store).problems == ()


def test_nothing_is_made_up(tmp_path):
    """A missing, empty or foreign file is an error; no store comes into being."""
    with pytest.raises(StoreUnreadable):
        take(tmp_path / "missing.db", tmp_path / "image1.db")
    assert not (tmp_path / "missing.db").exists()
    (tmp_path / "noise.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreUnreadable):
        take(tmp_path / "noise.db", tmp_path / "image2.db")
    with pytest.raises(sqlite3.OperationalError), existing(tmp_path / "missing.db"):
        pass


def test_names_with_special_characters(make_store, tmp_path):
    """Spaces, percent and hash signs in a path are taken literally."""
    store = make_store(tmp_path / "a %41#b ?" / "store.db")
    take(store, tmp_path / "image.db")
    assert drill(tmp_path / "image.db").problems == ()
