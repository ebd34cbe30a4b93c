"""Restoring backups."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from server.backups.model import RestoreMode
from server.core.errors import (
    BackupCorrupt,
    BackupKeyMissing,
    BackupNotFound,
    BackupNotRestorable,
    BackupRevoked,
    BackupTooNew,
    CredentialsExist,
    ExactRestoreUnsafe,
    OperationInProgress,
    SessionWrongState,
    StoreLost,
)
from server.core.names import BackupName, StorageLocationName
from server.sessions.model import State
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupKind, BackupState
from storage_backends.faults import Fault, flip_bit
from tests.backups.conftest import ANN, BEA
from tests.support.stores import add_sessions, devices_seen_by_engine, rows

KEPT = ("device", "identity_keys", "lid_map", "app_state_sync_keys")


def contents(path, tables):
    return {table: rows(path, f"SELECT * FROM whatsmeow_{table} ORDER BY 1, 2") for table in tables}


async def test_lost_disk(new_server):
    """A fresh server on the same storage, with the key, brings a session back with its settings."""
    async with new_server("first") as first:
        store = first.pair(
            display_name="Ann's shop", labels={"team": "a"}, proxy_url="http://proxy:3128"
        )
        backup = await first.back_up()
        before = contents(store, KEPT)
        masters = first.masters
    async with new_server("second", masters) as second:
        assert [found.name for found in await second.service.list()] == [backup.name]
        result = await second.restore(backup.name)
        assert result.plan.mode is RestoreMode.REKEY
        assert (result.plan.replaces_credentials, result.trash) == (False, "")
        session = second.sessions.get(ANN)
        assert (session.display_name, session.labels) == ("Ann's shop", {"team": "a"})
        assert session.proxy_url == "http://proxy:3128"
        assert (session.state, session.account.device) == (State.STOPPED, 7)
        restored = second.sessions.store_path(ANN)
        assert contents(restored, KEPT) == before
        assert second.scratch_files() == []
        assert devices_seen_by_engine(restored) == ["15550001111:7@s.whatsapp.net"]


async def test_rekey(server):
    """Pairwise sessions and our own group keys go; everything else stays; prekey ids jump."""
    store = server.pair()
    backup = await server.back_up()
    server.stop()
    await server.restore(backup.name, force=True)
    restored = server.sessions.store_path(ANN)
    assert restored != store
    assert contents(restored, KEPT) == contents(store, KEPT)
    assert rows(restored, "SELECT count(*) FROM whatsmeow_sessions") == [(0,)]
    assert rows(restored, "SELECT sender_id FROM whatsmeow_sender_keys ORDER BY 1") == [
        ("15559999999:3",),
        ("91111_1:0",),
    ]
    old = rows(store, "SELECT * FROM whatsmeow_pre_keys ORDER BY key_id")
    new = rows(restored, "SELECT * FROM whatsmeow_pre_keys ORDER BY key_id")
    assert new[:-1] == old
    jid, key_id, key, uploaded = new[-1]
    assert (jid, key_id, uploaded) == (old[0][0], 10_020, 0)
    assert len(key) == 32
    assert devices_seen_by_engine(restored) == ["15550001111:7@s.whatsapp.net"]


async def test_rekey_knows_its_own_lid(server):
    """The map entry that messages to the own phone need is put back if it is missing."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("DELETE FROM whatsmeow_lid_map WHERE pn = '15550001111'")
    backup = await server.back_up()
    server.stop()
    await server.restore(backup.name, force=True)
    query = "SELECT lid FROM whatsmeow_lid_map WHERE pn = '15550001111'"
    assert rows(server.sessions.store_path(ANN), query) == [("90000000000001",)]


async def test_guard(server):
    """The device row of a restored store cannot be deleted, in either mode."""
    server.pair()
    server.stop()
    backup = await server.back_up()
    for mode in (RestoreMode.EXACT, RestoreMode.REKEY):
        await server.restore(backup.name, mode=mode, force=True)
        with (
            closing(sqlite3.connect(server.sessions.store_path(ANN))) as engine,
            pytest.raises(sqlite3.IntegrityError, match="protected"),
        ):
            engine.execute("DELETE FROM whatsmeow_device")


async def test_exact(server):
    """After a clean stop the copy goes on where the session ended."""
    store = server.pair()
    server.stop()
    backup = await server.back_up()
    everything = (*KEPT, "sessions", "sender_keys", "pre_keys")
    before = contents(store, everything)
    result = await server.restore(backup.name, force=True)
    assert result.plan.mode is RestoreMode.EXACT
    assert result.plan.losses == ()
    assert result.trash == "trash/ann-1"
    assert contents(server.sessions.store_path(ANN), everything) == before


async def test_exact_is_never_given_to_old_copies(server):
    """Whatever could have happened since the copy makes it a re-key; EXACT is refused."""
    server.pair()
    server.stop()
    clean = await server.back_up()
    assert clean.kind is BackupKind.QUIESCED
    server.start()
    server.stop()
    hot = (await server.service.plan(clean.name)).reasons
    assert hot == ("the session has run since the copy was taken",)
    with pytest.raises(ExactRestoreUnsafe, match="has run since"):
        await server.service.plan(clean.name, mode=RestoreMode.EXACT)
    with pytest.raises(ExactRestoreUnsafe):
        await server.service.restore(clean.name, mode=RestoreMode.EXACT, force=True)
    plan = await server.service.plan(clean.name)
    assert plan.mode is RestoreMode.REKEY
    assert plan.losses


async def test_rolled_back_records(server):
    """Records that were put back from an old copy are found out by a newer backup."""
    server.pair()
    server.stop()
    clean = await server.back_up()
    records = server.sessions.get(ANN)
    server.start()
    await server.back_up()
    server.sessions.put(records)
    plan = await server.service.plan(clean.name)
    assert plan.mode is RestoreMode.REKEY
    assert plan.reasons == ("a newer backup shows that the session has run since",)


async def test_unreadable_newer_backup(server, spaces):
    """If a newer backup cannot be read, nothing is proven."""
    server.pair()
    server.stop()
    clean = await server.back_up()
    newer = await server.back_up()
    key = f"snapshots/ann/{newer.name.backup_id}"
    data, info = spaces["local"].objects[key]
    spaces["local"].objects[key] = (flip_bit(data), info)
    plan = await server.service.plan(clean.name)
    assert plan.reasons == ("a newer backup of the session cannot be read",)


async def test_another_servers_records(new_server):
    """Equal counters on another server prove nothing."""
    async with new_server("first") as first:
        first.pair()
        first.stop()
        backup = await first.back_up()
        masters = first.masters
    async with new_server("second", masters) as second:
        second.pair()
        second.stop()
        plan = await second.service.plan(backup.name)
        assert plan.mode is RestoreMode.REKEY
        assert plan.reasons == ("the copy is from another server's records of the session",)


async def test_another_target(server):
    """Into another session a copy is always re-keyed; the settings come along."""
    server.pair(labels={"team": "a"})
    server.stop()
    backup = await server.back_up()
    result = await server.restore(backup.name, BEA)
    assert (result.plan.mode, result.plan.target) == (RestoreMode.REKEY, BEA)
    assert server.sessions.get(BEA).labels == {"team": "a"}


async def test_credentials_are_not_replaced_without_force(server):
    """What is there stays, unless the caller says otherwise; the plan tells before."""
    server.pair()
    server.stop()
    backup = await server.back_up()
    assert (await server.service.plan(backup.name)).replaces_credentials
    with pytest.raises(CredentialsExist):
        await server.service.restore(backup.name)
    assert server.sessions.get(ANN).store_epoch == 1


async def test_a_lost_store_needs_no_force(server, tmp_path):
    """There is nothing to replace; the session is recorded as paired all the same."""
    store = server.pair()
    server.stop()
    backup = await server.back_up()
    store.rename(tmp_path / "lost.db")
    result = await server.restore(backup.name)
    assert not result.plan.replaces_credentials
    assert server.sessions.store_path(ANN).exists()


@pytest.mark.parametrize("state", sorted(set(State) - {"stopped", "failed", "unlinked"}))
async def test_session_in_use(server, state):
    """A session that runs, or is deleted, is not restored over."""
    server.pair()
    backup = await server.back_up()
    server.sessions.change(ANN, state=state)
    with pytest.raises(SessionWrongState):
        await server.service.restore(backup.name, force=True)
    if state is State.DELETED:
        with pytest.raises(SessionWrongState):
            await server.service.plan(backup.name)
    else:
        plan = await server.service.plan(backup.name)
        assert plan.reasons[0] == "sessions/ann must be stopped first"


async def test_what_is_replaced_is_saved_before(server):
    """As a backup of its own kind, besides trash; good or not."""
    store = server.pair()
    old = await server.back_up()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_device SET identity_key = randomblob(32)")
    server.stop()
    await server.restore(old.name, force=True)
    saved, _ = await server.service.list()
    assert (saved.kind, saved.state) == (BackupKind.PRE_RESTORE, BackupState.SUSPECT)
    await server.restore(old.name, force=True)
    saved = (await server.service.list())[0]
    assert (saved.kind, saved.state) == (BackupKind.PRE_RESTORE, BackupState.ACTIVE)
    assert saved.device_fingerprint == old.device_fingerprint


async def test_a_copy_that_cannot_be_made_does_not_prevent_a_restore(server):
    """Trash has what is replaced."""
    server.pair()
    backup = await server.back_up(location=StorageLocationName("remote"))
    server.stop()
    server.faulty["local"].rule = lambda _: Fault.UNAVAILABLE
    result = await server.restore(backup.name, force=True)
    assert result.trash


async def test_a_lost_store_is_restored_without_force(server):
    """There is nothing to replace, and nothing to save."""
    store = server.pair()
    backup = await server.back_up()
    server.stop()
    store.unlink()
    await server.restore(backup.name)
    assert len(await server.service.list()) == 1


async def test_a_store_of_a_newer_engine(server):
    """The engine here would refuse it."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_version SET version = 99, compat = 14")
    compatible = await server.back_up()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_version SET version = 99, compat = 16")
    newer = await server.back_up()
    server.stop()
    server.engine_schema = 15
    await server.service.plan(compatible.name)
    with pytest.raises(BackupTooNew) as error:
        await server.service.plan(newer.name)
    assert error.value.schema_version == "99|16"
    server.engine_schema = 16
    await server.service.plan(newer.name)


async def test_credentials_in_use_by_another_session(server):
    """The same device is not connected twice."""
    server.pair(ANN)
    backup = await server.back_up()
    with pytest.raises(SessionWrongState) as caught:
        await server.service.restore(backup.name, BEA)
    assert caught.value.session == "sessions/ann"
    assert caught.value.state == "ACTIVE"
    assert caught.value.allowed_states == ("FAILED", "STOPPED", "UNLINKED")
    server.stop()
    await server.restore(backup.name, BEA)


async def test_unlinked_session(server):
    """The plan says that WhatsApp has forgotten the device, and only force gets past that."""
    server.pair()
    backup = await server.back_up()
    server.sessions.change(ANN, state=State.UNLINKED, account=None)
    plan = await server.service.plan(backup.name)
    assert "logged out" in plan.losses[0]
    assert (plan.revoked, plan.replaces_credentials) == ("UNLINKED", False)
    with pytest.raises(BackupRevoked):
        await server.service.restore(backup.name)
    await server.restore(backup.name, force=True)


async def test_revoked_copies(server):
    """All of the device as of now, in GetBackup and in lists; later ones and others are not."""
    server.pair()
    first = await server.back_up()
    server.pair(BEA, device=8)
    other = await server.back_up(BEA)
    await server.service.revoke(ANN, first.device_fingerprint, "LOGGED_OUT")
    assert server.sessions.told[-1][0].state is BackupState.REVOKED
    found = await server.service.get(first.name)
    assert (found.state, found.state_reason) == (BackupState.REVOKED, "LOGGED_OUT")
    states = {each.name: each.state for each in await server.service.list()}
    assert states == {first.name: BackupState.REVOKED, other.name: BackupState.ACTIVE}
    server.stop()
    assert (await server.service.plan(first.name)).revoked == "LOGGED_OUT"
    with pytest.raises(BackupRevoked) as error:
        await server.service.restore(first.name)
    assert error.value.metadata() == {"backup": str(first.name), "why": "LOGGED_OUT"}
    await server.restore(first.name, force=True)
    server.start()
    later = await server.back_up()
    assert later.device_fingerprint == first.device_fingerprint
    assert later.state is BackupState.ACTIVE


async def test_a_store_in_trash(server):
    """Is copied as the session was with it."""
    store = server.pair()
    session = server.sessions.get(ANN)
    kept = store.with_name("kept.db")
    store.rename(kept)
    server.sessions.change(ANN, store_epoch=0, connect_epoch=99)
    backup = await server.service.back_up_trash(session, kept)
    assert (backup.kind, backup.connect_epoch) == (BackupKind.HOT, session.connect_epoch)
    kept.unlink()
    with pytest.raises(StoreLost):
        await server.service.back_up_trash(session, kept)


async def test_suspect_copy(server):
    """A copy that failed its drill is not restored, not even by force."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_device SET identity_key = randomblob(32)")
    backup = await server.back_up()
    server.stop()
    with pytest.raises(BackupNotRestorable):
        await server.service.restore(backup.name, force=True)


async def test_missing_key(new_server):
    """Without the key nothing opens, and the reason says so; the list still shows it."""
    async with new_server("first") as first:
        first.pair()
        backup = await first.back_up()
    async with new_server("second", [FileKey.generate()]) as second:
        for call in (second.service.get, second.service.plan, second.service.restore):
            with pytest.raises(BackupKeyMissing):
                await call(backup.name)
        (listed,) = await second.service.list()
        assert "key" in listed.state_reason


async def test_unknown_backup(server):
    """There is nothing to restore."""
    with pytest.raises(BackupNotFound):
        await server.service.restore(BackupName(ANN, "0"))


def changes(objects, name, other):
    """Ways to tamper with a stored backup, each giving the object to change and its new bytes."""
    image, newer = sorted(key for key in objects if key.startswith("packs/ann/"))
    manifest = f"snapshots/ann/{name.backup_id}"
    data = objects[image][0]
    yield "flipped", image, flip_bit(data)
    yield "first bit", image, flip_bit(data, 0)
    yield "last bit", image, flip_bit(data, len(data) - 1)
    yield "cut", image, data[:-1]
    yield "empty", image, b""
    yield "grown", image, data + b"\0"
    yield "swapped", image, objects[newer][0]
    yield "missing", image, None
    yield "manifest flipped", manifest, flip_bit(objects[manifest][0])
    yield "manifest cut", manifest, objects[manifest][0][:40]
    yield "manifest swapped", manifest, objects[f"snapshots/ann/{other.backup_id}"][0]
    yield "manifest is the image", manifest, data


async def test_tampering(server, spaces):
    """Whatever is changed in storage is found and named, the session is left alone."""
    store = server.pair()
    backup = await server.back_up()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_device SET push_name = 'Anna'")
    other = await server.back_up()
    server.stop()
    objects = spaces["local"].objects
    before = dict(objects)
    for what, key, data in list(changes(objects, backup.name, other.name)):
        if data is None:
            del objects[key]
        else:
            objects[key] = (data, objects[key][1])
        try:
            operation, _ = await server.service.restore(backup.name, force=True)
        except BackupCorrupt as error:
            reason, message = error.reason, error.message
        else:
            failure = (await server.end_of(operation)).failure
            reason, message = failure.reason, failure.message
        assert reason == "BACKUP_CORRUPT", what
        assert str(backup.name) in message
        assert key in message
        assert server.sessions.get(ANN).store_epoch == 1
        objects.clear()
        objects.update(before)
    assert server.scratch_files() == []
    await server.restore(backup.name, force=True)


async def test_a_damaged_backup_names_the_newest_whole_one(server, spaces):
    """In its metadata; not one that needs the same damaged object."""
    store = server.pair()
    made = []
    for name in ("Ann", "Anna", "Annabel"):
        with closing(sqlite3.connect(store)) as engine, engine:
            engine.execute("UPDATE whatsmeow_device SET push_name = ?", (name,))
        made.append((await server.back_up()).name)
    server.stop()
    objects = spaces["local"].objects
    packs = sorted(key for key in objects if key.startswith("packs/"))
    for damaged, good in ((packs[2], made[1]), (packs[0], None)):
        before, info = objects[damaged]
        objects[damaged] = flip_bit(before), info
        operation, _ = await server.service.restore(made[2], force=True)
        metadata = (await server.end_of(operation)).failure.metadata
        assert metadata == {
            "backup": str(made[2]),
            "object": damaged,
            **({"newestGood": str(good)} if good else {}),
        }
        objects[damaged] = before, info
    manifest = f"snapshots/ann/{made[2].backup_id}"
    before, info = objects[manifest]
    objects[manifest] = flip_bit(before), info
    with pytest.raises(BackupCorrupt) as caught:
        await server.service.restore(made[2], force=True)
    assert (caught.value.object, caught.value.newest_good) == (manifest, str(made[1]))


async def test_changed_between_plan_and_work(server):
    """What is carried out is decided while the session is held."""
    server.pair()
    server.stop()
    backup = await server.back_up()
    plan = await server.service.plan(backup.name)
    assert plan.mode is RestoreMode.EXACT
    operation, _ = await server.service.restore(backup.name, force=True)
    present = server.sessions.get(ANN)
    server.sessions.put(replace(present, connect_epoch=9, clean_epoch=9))
    done = await server.end_of(operation)
    assert done.restore.plan.mode is RestoreMode.REKEY


async def test_held_session(server):
    """A session that something else holds is not restored over."""
    server.pair()
    backup = await server.back_up()
    server.stop()
    async with server.sessions.hold(ANN, "operations/other"):
        operation, _ = await server.service.restore(backup.name, force=True)
        done = await server.end_of(operation)
    assert done.failure.reason == OperationInProgress.reason


async def test_failed_restore_leaves_no_session(server, spaces):
    """A session that is unknown here is only made when the copy is ready."""
    server.pair()
    backup = await server.back_up()
    server.stop()
    (pack,) = [key for key in spaces["local"].objects if key.startswith("packs/ann/")]
    del spaces["local"].objects[pack]
    operation, _ = await server.service.restore(backup.name, BEA)
    assert (await server.end_of(operation)).failure.reason == "BACKUP_CORRUPT"
    assert [str(session.name) for session in server.sessions.list(states=frozenset(State))] == [
        "sessions/ann"
    ]


async def test_prekey_ids_near_the_end(server):
    """Prekey ids have 24 bits; the jump never goes beyond or back."""
    store = server.pair()
    top = 2**24 - 500
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute(f"UPDATE whatsmeow_pre_keys SET key_id = {top} WHERE key_id = 20")
    backup = await server.back_up()
    server.stop()
    await server.restore(backup.name, force=True)
    query = "SELECT max(key_id) FROM whatsmeow_pre_keys"
    assert rows(server.sessions.store_path(ANN), query) == [(top + 1,)]


async def test_large_store(server):
    """A store of a few megabytes goes there and back."""
    store = server.pair()
    with closing(sqlite3.connect(store)) as engine, engine:
        add_sessions(engine, "15550001111:7@s.whatsapp.net", 5000, start=100)
    server.stop()
    backup = await server.back_up()
    assert backup.logical_bytes > 3_000_000
    assert backup.size_bytes < backup.logical_bytes
    await server.restore(backup.name, force=True)
    restored = server.sessions.store_path(ANN)
    assert rows(restored, "SELECT count(*) FROM whatsmeow_sessions") == [(5005,)]
