"""Whether the engine opens a copy."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from server.engine.trial import EngineRefused, devices_found


async def test_the_engine_finds_the_device(make_store, tmp_path):
    """With its number, as the store has it."""
    store = make_store(tmp_path / "store.db", device=7)
    assert await devices_found(store) == ["15550001111:7@s.whatsapp.net"]


async def test_an_empty_store_has_no_device(make_store, tmp_path):
    """A pairing that never was."""
    store = make_store(tmp_path / "store.db")
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("DELETE FROM whatsmeow_device")
    assert await devices_found(store) == []


async def test_a_store_of_a_newer_engine_is_refused(make_store, tmp_path):
    """Its schema is not known here."""
    store = make_store(tmp_path / "store.db")
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_version SET version = 99, compat = 99")
    with pytest.raises(EngineRefused):
        await devices_found(store)


async def test_a_file_that_is_no_database_is_refused(tmp_path):
    """Nothing is made of it."""
    (tmp_path / "text.db").write_bytes(b"no database" * 1000)
    with pytest.raises(EngineRefused):
        await devices_found(tmp_path / "text.db")


async def test_an_engine_that_hangs_is_given_up(make_store, tmp_path):
    """Then nothing is known of the copy."""
    store = make_store(tmp_path / "store.db")
    with pytest.raises(TimeoutError):
        await devices_found(store, timedelta(milliseconds=1))
