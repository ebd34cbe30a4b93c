"""Backups of sessions that really run: the engine against the simulator."""

import asyncio
from itertools import count

import pytest

from server.backups.model import RestoreMode
from server.backups.verify import drill
from server.sessions.model import State
from server.vault.model import BackupKind, BackupState
from simulator import Simulator
from tests.support.rooms import ANN, SECONDS, RealServer
from tests.support.stores import rows

NUMBERS = count(15570000001)


@pytest.fixture(scope="module")
def simulator():
    with Simulator.start() as running:
        yield running
        assert running.unknown_stanzas() == []


@pytest.fixture
def new_server(simulator, tmp_path):
    """Servers with data directories of their own; backups and key are kept elsewhere."""
    (tmp_path / "kept").mkdir()
    return lambda name: RealServer(tmp_path / name, simulator, tmp_path / "kept")


@pytest.fixture
def new_phone(simulator):
    return lambda name: simulator.create_account(str(next(NUMBERS)), name)


async def texts_both_ways(server: RealServer, ann, bob, word: str) -> None:
    await server.send(bob, f"{word} to bob")
    async with asyncio.timeout(SECONDS):
        while f"{word} to bob" not in [one.text for one in await asyncio.to_thread(bob.inbox)]:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(bob.send_text, ann.jid, f"{word} from bob")
    await server.receives(f"{word} from bob")


async def test_lost_server(new_server, new_phone):
    """Everything but backups and key is lost; a fresh server connects without linking again.

    Texts went both ways after the copy was taken, so the ratchets in it are behind: all the same
    no text is lost afterwards, in either direction.
    """
    ann, bob = await asyncio.to_thread(new_phone, "Ann"), await asyncio.to_thread(new_phone, "Bob")
    async with new_server("first").running() as first:
        await first.pair(ann)
        (paired,) = await first.backups.list(ANN)
        assert (paired.kind, paired.state) == (BackupKind.PAIRED, BackupState.ACTIVE)
        await texts_both_ways(first, ann, bob, "before")
        backup = await first.back_up()
        assert (backup.kind, backup.state) == (BackupKind.HOT, BackupState.ACTIVE)
        assert backup.device_fingerprint == paired.device_fingerprint
        for turn in range(3):
            await texts_both_ways(first, ann, bob, f"lost {turn}")
    async with new_server("second").running() as second:
        assert [found.name for found in await second.backups.list()] == [backup.name, paired.name]
        result = await second.restore(backup.name)
        assert result.plan.mode is RestoreMode.REKEY
        session = second.manager.get(ANN)
        assert (session.state, session.labels) == (State.STOPPED, {"team": "a"})
        store = second.manager.store_path(ANN)
        assert rows(store, "SELECT count(*) FROM whatsmeow_sessions") == [(0,)]
        assert drill(store).problems == ()
        await second.manager.start(ANN)
        await second.reaches(State.ACTIVE)
        for turn in range(3):
            await texts_both_ways(second, ann, bob, f"after {turn}")
    assert len(await asyncio.to_thread(ann.devices)) == 1
    assert await asyncio.to_thread(bob.failures) == []


async def test_lost_store_after_a_clean_stop(new_server, new_phone):
    """After a clean stop the copy is the last state, and the session goes on exactly there."""
    ann, bob = await asyncio.to_thread(new_phone, "Ann"), await asyncio.to_thread(new_phone, "Bob")
    async with new_server("server").running() as server:
        await server.pair(ann)
        await texts_both_ways(server, ann, bob, "before")
        await server.manager.stop(ANN)
        await server.reaches(State.STOPPED)
        backup = await server.back_up()
        assert backup.kind is BackupKind.QUIESCED
        server.manager.store_path(ANN).rename(server.data_dir / "lost.db")
        result = await server.restore(backup.name, mode=RestoreMode.EXACT)
        assert result.plan.mode is RestoreMode.EXACT
        sessions = rows(server.manager.store_path(ANN), "SELECT count(*) FROM whatsmeow_sessions")
        assert sessions > [(0,)]
        await server.manager.start(ANN)
        await server.reaches(State.ACTIVE)
        await texts_both_ways(server, ann, bob, "after")
        await server.manager.stop(ANN)
        await server.reaches(State.STOPPED)
        assert (await server.backups.plan(backup.name)).mode is RestoreMode.REKEY
    assert await asyncio.to_thread(bob.failures) == []
