"""Making backups."""

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from server.backups.model import RestoreMode
from server.backups.service import AT_ONCE
from server.core.errors import (
    BackupNotFound,
    OperationInProgress,
    SessionNotFound,
    SessionNotPaired,
    StorageLocationNotFound,
    StoreLost,
)
from server.core.names import BackupName, SessionName, StorageLocationName
from server.sessions.model import State
from server.vault.model import BackupKind, BackupState
from storage_backends.faults import Fault, flip_bit
from tests.backups.conftest import ANN, BEA
from tests.support.stores import add_sessions

JID = "15550001111:7@s.whatsapp.net"
LOCAL, REMOTE = StorageLocationName("local"), StorageLocationName("remote")


async def test_running_session(server, spaces):
    """A backup of a running session is a sealed, verified, hot copy; nothing of it is plain."""
    store = server.pair(display_name="Ann's shop", labels={"team": "a"})
    backup = await server.back_up()
    assert (backup.state, backup.kind) == (BackupState.ACTIVE, BackupKind.HOT)
    assert backup.state_reason == ""
    assert backup.storage_location == LOCAL
    assert backup.logical_bytes == store.stat().st_size
    assert (backup.connect_epoch, backup.schema_version) == (3, "15|8")
    assert backup.engine_version == "neonize/0.5.2"
    assert backup.verify_time >= backup.create_time
    objects = {key: data for key, (data, _) in spaces["local"].objects.items()}
    (pack,) = [key for key in objects if key.startswith("packs/ann/")]
    (wrapped,) = [key for key in objects if key.startswith("keys/ann/")]
    assert sorted(objects) == sorted(
        ["config", wrapped, pack, f"snapshots/ann/{backup.name.backup_id}"]
    )
    assert len(objects[pack]) == backup.size_bytes == backup.new_bytes
    for data in objects.values():
        for plain in (b"SQLite", b"15550001111", b"Ann", b"team", b"whatsmeow"):
            assert plain not in data
    assert server.scratch_files() == []
    assert await server.service.get(backup.name) == backup


async def test_progress(server):
    """An operation tells its phases in order."""
    server.pair()
    operation = await server.service.create(ANN)
    assert operation.target.startswith("sessions/ann/backups/")
    async with asyncio.timeout(30):
        phases = [update.progress.phase async for update in server.operations.watch(operation.name)]
    seen = list(dict.fromkeys(phase for phase in phases if phase))
    order = ["COPYING", "WRITING", "VERIFYING"]
    assert seen == [phase for phase in order if phase in seen]
    assert seen[-1] == "VERIFYING"


async def test_stopped_session(server):
    """After a clean end the copy is the last state."""
    server.pair()
    server.stop()
    assert (await server.back_up()).kind is BackupKind.QUIESCED


@pytest.mark.parametrize("state", [State.STOPPED, State.FAILED])
async def test_stopped_after_a_crash(server, state):
    """After a crash it may not be."""
    server.pair(state=state)
    assert (await server.back_up()).kind is BackupKind.HOT


async def test_started_while_copying(server):
    """A session that starts during the copy makes it a hot one."""
    server.pair()
    server.stop()
    calls = []

    def starting(session):
        calls.append(session)
        if len(calls) < 3:  # create and the look before the copy
            return session
        return replace(session, connect_epoch=session.connect_epoch + 1)

    server.sessions.on_get = starting
    assert (await server.back_up()).kind is BackupKind.HOT
    assert len(calls) == 4  # and the one who tells of the backup


async def test_right_after_pairing(server):
    """The pairing's own backup works before any prekeys or sessions exist."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        for table in ("pre_keys", "sessions", "sender_keys", "identity_keys"):
            engine.execute(f"DELETE FROM whatsmeow_{table}")
    backup = await server.service.backup_now(ANN, BackupKind.PAIRED)
    assert (backup.state, backup.kind) == (BackupState.ACTIVE, BackupKind.PAIRED)


async def test_store_in_use(server):
    """Backups made beside an open store with a busy writer are whole."""
    store = server.pair()
    with closing(sqlite3.connect(store, isolation_level=None)) as engine:
        engine.execute("BEGIN IMMEDIATE")
        engine.execute("UPDATE whatsmeow_device SET push_name = 'half done'")
        assert (await server.back_up()).state is BackupState.ACTIVE
        engine.execute("ROLLBACK")


async def test_named_location(server, spaces):
    """A backup goes where it is told to."""
    server.pair()
    backup = await server.back_up(location=REMOTE)
    assert backup.storage_location == REMOTE
    assert [*spaces["local"].objects] == ["config"]
    assert await server.service.get(backup.name) == backup


async def test_refusals(server):
    """Unknown, deleted and unpaired sessions and unknown locations are refused at once."""
    server.sessions.add(ANN)
    server.pair(BEA, state=State.DELETED)
    with pytest.raises(SessionNotPaired):
        await server.service.create(ANN)
    with pytest.raises(SessionNotPaired):
        await server.service.backup_now(ANN)
    for name in (BEA, SessionName("nobody")):
        with pytest.raises(SessionNotFound):
            await server.service.create(name)
    server.pair(SessionName("eve"))
    with pytest.raises(StorageLocationNotFound):
        await server.service.create(SessionName("eve"), StorageLocationName("nowhere"))


async def test_lost_store(server):
    """A session whose store is gone has nothing to back up, and says so; none is made up."""
    store = server.pair()
    store.unlink()
    with pytest.raises(StoreLost):
        await server.service.create(ANN)
    with pytest.raises(StoreLost):
        await server.service.backup_now(ANN)
    assert not store.exists()
    assert await server.service.list() == []


async def test_one_at_a_time(server):
    """A second operation on the same session is refused while one runs."""
    server.pair()
    first = await server.service.create(ANN)
    with pytest.raises(OperationInProgress):
        await server.service.create(ANN)
    await server.end_of(first)
    await server.back_up()


async def test_damaged_store(server):
    """A copy that fails its drill is kept, but is SUSPECT and says why."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_device SET identity_key = randomblob(32)")
    backup = await server.back_up()
    assert backup.state is BackupState.SUSPECT
    assert "has not signed" in backup.state_reason
    assert await server.service.get(backup.name) == backup


async def test_store_without_device(server):
    """So is a copy of a store that lost its device."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("PRAGMA foreign_keys = on")
        engine.execute("DELETE FROM whatsmeow_device")
    backup = await server.back_up()
    assert (backup.state, backup.state_reason) == (BackupState.SUSPECT, "no device row")


async def test_two_backups_of_one_session(server):
    """The second one stores nothing when nothing has changed, and knows the first."""
    server.pair()
    first, second = await server.back_up(), await server.back_up()
    assert first.name.backup_id < second.name.backup_id
    assert first.device_fingerprint == second.device_fingerprint != ""
    assert (first.seq, first.parent) == (1, "")
    assert (second.seq, second.parent) == (2, str(first.name))
    assert (second.new_bytes, second.size_bytes) == (0, first.size_bytes)
    assert second.sha256 == first.sha256


async def test_cost_follows_change(server, make_store):
    """After a small change a few pages are stored; the older backup stays what it was."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        add_sessions(engine, JID, 2000, start=100)
    first = await server.back_up()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_sessions SET session = '{}' WHERE their_id = '900200_1:0'")
    second = await server.back_up()
    assert 0 < second.new_bytes < 40_000 < first.new_bytes / 10
    server.stop()
    for backup in (first, second):
        await server.restore(backup.name, force=True, mode=RestoreMode.REKEY)


CALLS = 10  # to storage, for a backup that stores a few pages


def change(store):
    """The engine writes something."""
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_device SET push_name = push_name || '!'")


ANSWERS = {
    "STORAGE_UNAVAILABLE",
    "STORAGE_MISCONFIGURED",
    "QUOTA_EXCEEDED",
    "BACKUP_CORRUPT",
}


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
async def test_storage_fails_once(server, number, fault):
    """Whatever storage does at whichever call: a good backup, or none and an error.

    The calls are: look for a name, look for the parent, read it, look for its packs, read the ends
    of one, put the new pack, read it, put the manifest, read it. A copy that cannot be read may be
    left and is then SUSPECT. Whatever says ACTIVE can be restored, the older one among it.
    """
    store = server.pair()
    older = await server.back_up()
    change(store)
    faulty = server.faulty["local"]
    calls = len(faulty.calls)
    faulty.rule = lambda call: fault if call.number == calls + number else None
    done = await server.end_of(await server.service.create(ANN))
    faulty.rule = lambda _: None
    assert server.scratch_files() == []
    server.stop()
    wanted = {older.name}
    if done.failure is None:
        wanted.add(done.backup.name)
    else:
        assert done.failure.reason in ANSWERS
    listed = await server.service.list(ANN)
    active = [backup.name for backup in listed if backup.state is BackupState.ACTIVE]
    assert wanted <= set(active)
    for name in active:
        await server.restore(name, force=True)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.FULL, "QUOTA_EXCEEDED"),
        (Fault.TORN_SILENTLY, "BACKUP_CORRUPT"),
        (Fault.LOST_SILENTLY, "BACKUP_CORRUPT"),
        (Fault.DAMAGED, "STORAGE_MISCONFIGURED"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_lying_storage(server, fault, reason):
    """A storage that loses or changes what is new never gets a manifest."""
    store = server.pair()
    older = await server.back_up()
    change(store)
    server.faulty["local"].rule = lambda call: fault if call.verb == "put" else None
    done = await server.end_of(await server.service.create(ANN))
    assert done.failure.reason == reason
    assert [backup.name for backup in await server.service.list()] == [older.name]


async def test_storage_is_down(server):
    """A location that does not answer fails the operation, not the server."""
    server.pair()
    server.faulty["local"].rule = lambda _: Fault.UNAVAILABLE
    done = await server.end_of(await server.service.create(ANN))
    assert done.failure.reason == "STORAGE_UNAVAILABLE"
    assert done.failure.metadata == {"storageLocation": "storageLocations/local"}
    server.faulty["local"].rule = lambda _: None
    await server.back_up()


@pytest.mark.parametrize("number", range(2, CALLS + 1))
async def test_cancelled(server, number):
    """A cancelled backup leaves no backup that is not good, and no plain copy."""
    store = server.pair()
    await server.back_up()
    change(store)
    faulty = server.faulty["local"]
    number += len(faulty.calls)
    reached, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(call):
        if call.number == number:
            loop.call_soon_threadsafe(reached.set)
            assert go.wait(timeout=30)

    faulty.rule = wait
    operation = await server.service.create(ANN)
    async with asyncio.timeout(30):
        await reached.wait()
    await server.operations.cancel(operation.name)
    go.set()
    done = await server.end_of(operation)
    assert done.failure.reason == "OPERATION_CANCELLED"
    assert server.scratch_files() == []
    async with asyncio.timeout(30):
        while len(faulty.calls) < number:
            await asyncio.sleep(0.01)
    server.stop()
    for backup in await server.service.list():
        await server.restore(backup.name, force=True)


async def test_leftover_scratch(new_server, tmp_path):
    """Plain copies that a killed server left behind are removed by the next one."""
    left = tmp_path / "server" / "scratch" / "tmpabc"
    left.mkdir(parents=True)
    (left / "image.db").write_bytes(b"plain")
    async with new_server() as server:
        assert server.scratch_files() == []
        assert stat.S_IMODE(server.scratch.stat().st_mode) == 0o700


async def test_tampered_manifest_is_shown(server, spaces):
    """A backup whose manifest was changed is listed as SUSPECT, not hidden and not believed."""
    server.pair()
    backup = await server.back_up()
    key = f"snapshots/ann/{backup.name.backup_id}"
    data, info = spaces["local"].objects[key]
    spaces["local"].objects[key] = (flip_bit(data), info)
    (listed,) = await server.service.list()
    assert (listed.name, listed.state) == (backup.name, BackupState.SUSPECT)
    assert "seal is broken" in listed.state_reason


async def test_list(server):
    """Newest first, over sessions and locations, in pages; foreign objects are passed over."""
    server.pair()
    server.pair(BEA, device=8)
    names = []
    for turn in range(3):
        names.append((await server.back_up(ANN)).name)
        names.append((await server.back_up(BEA, location=REMOTE if turn else None)).name)
    memory = server.faulty["local"]
    for key in ("snapshots/ann/x/y", "other/ann/x", "snapshots/0bad/x", "snapshots/x"):
        memory.put(key, b"")
    newest = names[::-1]
    assert [backup.name for backup in await server.service.list()] == newest
    assert [b.name for b in await server.service.list(ANN)] == [
        n for n in newest if n.session == ANN
    ]
    page = await server.service.list(limit=4)
    assert [backup.name for backup in page] == newest[:4]
    rest = await server.service.list(after=page[-1].name)
    assert [backup.name for backup in rest] == newest[4:]
    assert await server.service.list(SessionName("nobody")) == []


async def test_unknown_backup(server):
    """Getting what is not there is BackupNotFound."""
    with pytest.raises(BackupNotFound):
        await server.service.get(BackupName(ANN, "0"))


async def test_locations(server):
    """The first location is the primary one."""
    assert [(str(place.name), place.primary) for place in server.service.locations()] == [
        ("storageLocations/local", True),
        ("storageLocations/remote", False),
    ]


async def test_many_at_once(server):
    """Many backups wait for each other, so that memory does not grow with their number."""
    names = [SessionName(f"s{number}") for number in range(8)]
    for number, name in enumerate(names):
        server.pair(name, device=number + 1)
    at_once = []
    server.faulty["local"].rule = lambda _: at_once.append(len(server.scratch_files()))
    started = [await server.service.create(name) for name in names]
    for operation in started:
        assert (await server.end_of(operation)).backup.state is BackupState.ACTIVE
    assert max(at_once) <= AT_ONCE
