"""RestoreBackup that starts the session: how long it takes, and what happens when it is refused."""

import asyncio
import time

import grpc
import pytest
from roost.v1.backup_pb2 import Backup, RestoreMode
from roost.v1.backup_service_pb2 import RestoreBackupRequest

from tests.support.api import DEADLINE, Follower, State, reason_of

RESTORE_SECONDS = 2.0


async def test_a_restore_ends_with_a_connected_session(api, pair, new_contact):
    """From the call to ACTIVE in two seconds; texts go on. A running session is only planned."""
    session, _ = await pair()
    bob = new_contact()
    await api.send(session.name, f"+{bob.phone}", "before")
    backup = await api.back_up(session.name)
    request = RestoreBackupRequest(name=backup, force=True, start=True, dry_run=True)
    planned = (await api.backups.RestoreBackup(request, metadata=api.metadata)).plan
    assert planned.start
    assert planned.reasons[0] == f"{session.name} must be stopped first"
    with pytest.raises(grpc.RpcError) as error:
        await api.restore(backup, force=True, start=True)
    assert reason_of(error.value) == "SESSION_WRONG_STATE"
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    async with Follower(session.name).following(api) as follower:
        began = time.monotonic()
        result = await api.restore(backup, force=True, start=True)
        elapsed = time.monotonic() - began
        assert result.started
        assert result.plan.mode == RestoreMode.RESTORE_MODE_REKEY
        assert result.trash
        assert (await api.get(session.name)).state == State.STATE_ACTIVE
        await api.send(session.name, f"+{bob.phone}", "after")
        await asyncio.to_thread(bob.inbox, 2, timeout=DEADLINE)
        told = [
            event.backup_changed.backup
            for event in follower.events
            if event.HasField("backup_changed")
        ]
    assert Backup.KIND_PRE_RESTORE in {each.kind for each in told}
    assert elapsed < RESTORE_SECONDS, f"{elapsed:.2f} s from the call to ACTIVE"


async def test_a_refused_restore_leaves_everything_as_it_was(sim, server, api, pair, new_contact):
    """The operation fails with the reason; the old credentials connect as before."""
    session, phone = await pair()
    bob = new_contact()
    backup = await api.back_up(session.name)
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    await asyncio.to_thread(sim.fault, phone, "login_failure", reason=403)
    request = RestoreBackupRequest(name=backup, force=True, start=True)
    started = await api.backups.RestoreBackup(request, metadata=api.metadata)
    done = await api.operation_end(started.operation.name)
    assert "ACCOUNT_LOCKED" in done.error.message
    assert (await api.get(session.name)).state == State.STATE_STOPPED
    assert [*(server.data_dir / "trash").glob("*-account-locked/store.db")]
    await api.start(session.name)
    await api.wait_for_state(session.name, State.STATE_ACTIVE)
    await api.send(session.name, f"+{bob.phone}", "as before")
    (received,) = await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
    assert received.text == "as before"
    assert bob.failures() == []
