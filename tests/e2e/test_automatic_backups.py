"""Backups that nobody asked for, of a real server."""

import asyncio
import contextlib
import sqlite3

import grpc
import pytest
from roost.v1.backup_pb2 import Backup, RestoreMode
from roost.v1.backup_service_pb2 import RestoreBackupRequest

from tests.support.api import DEADLINE, Api, Follower, State, reason_of
from tests.support.server import ServerProcess


def backups_seen(follower):
    return [
        event.backup_changed.backup
        for event in follower.events
        if event.WhichOneof("payload") == "backup_changed"
    ]


async def test_changes_are_backed_up_and_so_is_a_clean_end(sim, tmp_path, new_phone, new_contact):
    """A text changes the keys: a hot copy. SIGTERM: a copy to go on from exactly."""
    env = sim.environment() | {"ROOST_BACKUP__DEBOUNCE": "1", "ROOST_BACKUP__MAX_DELAY": "3"}
    phone, bob = new_phone(), new_contact()
    with ServerProcess(tmp_path / "data", env=env) as server:
        async with Api.connect(server.address, server.key) as api:
            session = await api.create("shop")
            async with Follower(session.name).following(api) as follower:
                await api.pair_by_qr(session.name, phone.scan)
                await follower.until(backups_seen)
                await api.send(session.name, f"+{bob.phone}", "hi")
                count = len(backups_seen(follower))
                await follower.until(lambda seen: len(backups_seen(seen)) > count)
                told = backups_seen(follower)
            listed = await api.list_backups(session.name)
            assert told[0].kind == Backup.KIND_PAIRED
            assert {each.kind for each in told[1:]} == {Backup.KIND_HOT}
            assert {each.state for each in told} == {Backup.STATE_ACTIVE}
            assert {each.name for each in told} <= {each.name for each in listed}
            assert (await api.get(session.name)).condition.reason == ""
        await asyncio.to_thread(server.terminate)
        # A lost disk: the copy from the very end is the one to go on from.
        for store in (server.data_dir / "sessions").glob("*/*/store.db*"):
            store.rename(tmp_path / store.name)
        await asyncio.to_thread(server.start)
        async with Api.connect(server.address, server.key) as api:
            await api.wait_for_state(session.name, State.STATE_FAILED)
            newest = (await api.list_backups(session.name))[0]
            assert newest.kind == Backup.KIND_QUIESCED
            assert newest.name not in {each.name for each in told}


async def test_a_clean_stop_is_copied_at_once(api, pair):
    """StopSession needs no quiet time; the plan for the copy is to go on exactly."""
    session, _ = await pair()
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    async with asyncio.timeout(DEADLINE):
        while (newest := (await api.list_backups(session.name))[0]).kind != Backup.KIND_QUIESCED:
            await asyncio.sleep(0.05)
    request = RestoreBackupRequest(name=newest.name, dry_run=True)
    planned = await api.backups.RestoreBackup(request, metadata=api.metadata)
    assert planned.plan.mode == RestoreMode.RESTORE_MODE_EXACT


async def test_a_copy_that_is_not_good_is_shown_and_never_used(api, pair, server):
    """Condition and event; it cannot be restored, and the next good copy ends the condition."""
    session, _ = await pair()
    good = await api.back_up(session.name)
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    (store,) = (server.data_dir / session.name).glob("*/store.db")
    with contextlib.closing(sqlite3.connect(store)) as damaged, damaged:
        damaged.execute("UPDATE whatsmeow_device SET identity_key = randomblob(32)")
    async with Follower(session.name).following(api) as follower:
        bad = await api.back_up(session.name)
        await follower.until(
            lambda seen: any(
                (each.name, each.state) == (bad, Backup.STATE_SUSPECT)
                for each in backups_seen(seen)
            )
        )
    shown = await api.get(session.name)
    assert (shown.state, shown.condition.reason) == (State.STATE_STOPPED, "BACKUP_SUSPECT")
    with pytest.raises(grpc.RpcError) as error:
        await api.restore(bad, force=True)
    assert reason_of(error.value) == "BACKUP_NOT_RESTORABLE"
    await api.restore(good, force=True, start=True)
    await api.back_up(session.name)
    active = await api.get(session.name)
    assert (active.state, active.condition.reason) == (State.STATE_ACTIVE, "")
