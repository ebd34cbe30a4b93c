"""Backup, the stores lost, restore into a fresh server: connected without pairing."""

import asyncio
import shutil

import grpc
import pytest
from roost.v1.backup_pb2 import RestoreMode

from tests.support.api import DEADLINE, Api, Follower, State, reason_of
from tests.support.server import ServerProcess


async def test_a_fresh_server_takes_over_from_a_backup(
    sim, server, api, pair, new_contact, tmp_path
):
    """Only the storage location and the key file survive; texts go both ways afterwards."""
    session, phone = await pair("front-desk")
    bob, eve = new_contact(), new_contact()
    for contact in (bob, eve):
        await api.send(session.name, f"+{contact.phone}", "first")
        await asyncio.to_thread(contact.inbox, 1, timeout=DEADLINE)
    backup = await api.back_up(session.name)
    for contact in (bob, eve):  # the chats go on, so what the backup knows of them is old
        await asyncio.to_thread(contact.send_text, phone.jid, "after the backup")
        for number in range(3):
            await api.send(session.name, f"+{contact.phone}", f"lost {number}")
        await asyncio.to_thread(contact.inbox, 4, timeout=DEADLINE)
    await asyncio.to_thread(server.kill)

    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copytree(server.data_dir / "backups", kept / "backups")
    shutil.copy(server.data_dir / "backup.key", kept / "backup.key")
    server.data_dir.rename(tmp_path / "lost")

    env = sim.environment() | {
        "ROOST_BACKUP__KEY_FILE": str(kept / "backup.key"),
        "ROOST_BACKUP__LOCATIONS": f'{{"offsite": "file://{kept / "backups"}"}}',
    }
    with ServerProcess(tmp_path / "fresh", env=env) as fresh:
        async with Api.connect(fresh.address, fresh.key) as new:
            found = await new.list_backups("sessions/-")
            newest = found[0]
            assert newest.name == backup
            result = await new.restore_from_the_dead(newest.name)
            assert result.plan.mode == RestoreMode.RESTORE_MODE_REKEY
            assert result.plan.reasons
            async with Follower(session.name).following(new) as follower:
                await new.start(session.name)
                active = await new.wait_for_state(session.name, State.STATE_ACTIVE)
                assert active.account.jid == phone.jid
                await new.send(session.name, f"+{bob.phone}", "I am back")
                received = await asyncio.to_thread(bob.inbox, 5, timeout=DEADLINE)
                assert received[-1].text == "I am back"
                await asyncio.to_thread(bob.send_text, phone.jid, "welcome back")
                await follower.until(lambda seen: "welcome back" in seen.texts())
                # Who writes first writes in the session that is gone, and is asked again.
                await asyncio.to_thread(eve.send_text, phone.jid, "are you there?")
                await follower.until(lambda seen: "are you there?" in seen.texts())
                await new.send(session.name, f"+{eve.phone}", "I am")
                received = await asyncio.to_thread(eve.inbox, 5, timeout=DEADLINE)
                assert received[-1].text == "I am"
        for contact in (bob, eve):  # no text is dropped, and nobody sees a changed security code
            assert contact.failures() == []
            assert contact.identity_changes() == []


async def test_a_clean_stop_is_restored_exactly(api, pair, new_contact, server):
    """Stopped, backed up, store lost, same server: nothing can have happened since, so EXACT."""
    session, phone = await pair()
    bob = new_contact()
    await asyncio.to_thread(bob.send_text, phone.jid, "one")
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    backup = await api.back_up(session.name)
    (store,) = (server.data_dir / session.name).glob("*/store.db")
    store.rename(store.with_name("lost.db"))
    result = await api.restore(backup, force=True)
    assert result.plan.mode == RestoreMode.RESTORE_MODE_EXACT
    async with Follower(session.name).following(api) as follower:
        await api.start(session.name)
        await api.wait_for_state(session.name, State.STATE_ACTIVE)
        await asyncio.to_thread(bob.send_text, phone.jid, "two")
        await follower.until(lambda seen: "two" in seen.texts())


async def test_a_restore_replaces_nothing_unasked(api, pair):
    """A running session is refused; a stopped one with credentials needs force."""
    session, _ = await pair()
    backup = await api.back_up(session.name)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await api.restore(backup)
    assert reason_of(error.value) == "SESSION_WRONG_STATE"
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await api.restore(backup)
    assert reason_of(error.value) == "CREDENTIALS_EXIST"
    result = await api.restore(backup, force=True)
    assert result.trash
    await api.start(session.name)
    await api.wait_for_state(session.name, State.STATE_ACTIVE)
