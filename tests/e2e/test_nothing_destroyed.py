"""Whatever takes a session's credentials away: they are in trash and in the vault, whole.

A logout on the phone, the refusals of a login after which the engine would delete its keys, and
both ways in which a user can part from them.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import pytest
from roost.v1.backup_pb2 import Backup
from roost.v1.session_service_pb2 import DeleteSessionRequest, UnlinkSessionRequest

from server.backups.verify import drill
from tests.support.api import DEADLINE, State, reason_of
from tests.support.stores import devices_seen_by_engine


async def logout_on_the_phone(sim, api, session, phone):
    (device,) = await asyncio.to_thread(phone.devices)
    await asyncio.to_thread(phone.remove_device, device)


def refusal(code):
    async def refuse_the_next_login(sim, api, session, phone):
        await asyncio.to_thread(sim.fault, phone, "login_failure", reason=code)
        await asyncio.to_thread(sim.fault, phone, "reset")

    return refuse_the_next_login


async def unlink(sim, api, session, phone):
    request = UnlinkSessionRequest(name=session.name)
    await api.sessions.UnlinkSession(request, metadata=api.metadata)


async def delete(sim, api, session, phone):
    request = DeleteSessionRequest(name=session.name)
    await api.sessions.DeleteSession(request, metadata=api.metadata)


@dataclass(frozen=True)
class Case:
    """How the credentials are taken away, and what is seen of it."""

    take: Callable[..., Awaitable[None]]
    trash: str
    revoked: str  # why; empty: they are still good
    is_accepted: bool  # WhatsApp takes them again after a restore


CASES = {
    "logout-on-the-phone": Case(
        logout_on_the_phone, "logged-out", revoked="LOGGED_OUT", is_accepted=False
    ),
    "login-401": Case(refusal(401), "logged-out", revoked="LOGGED_OUT", is_accepted=True),
    "login-403": Case(refusal(403), "account-locked", revoked="ACCOUNT_LOCKED", is_accepted=True),
    "login-406": Case(refusal(406), "account-banned", revoked="ACCOUNT_BANNED", is_accepted=True),
    "unlinked": Case(unlink, "unlinked-by-user", revoked="UNLINKED_BY_USER", is_accepted=False),
    "deleted": Case(delete, "deleted", revoked="", is_accepted=True),
}


def opened(store, folder):
    """What the drill finds in a copy of a store, and which devices the engine itself finds."""
    copy = shutil.copytree(store.parent, folder) / store.name
    findings = drill(copy)
    assert findings.problems == ()
    return findings.device.fingerprint, devices_seen_by_engine(copy)


async def until_copied(api, session, case, before):
    """The copy of the last state, once everything is known of it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            newest = (await api.list_backups(session))[0]
            is_known = not case.revoked or newest.state == Backup.STATE_REVOKED
            if newest.name != before and is_known:
                return newest
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_keys_that_are_taken_away_are_kept(
    sim, server, api, pair, new_contact, tmp_path, case
):
    """In trash and in the vault, with the same device, usable; a restore brings them back."""
    session, phone = await pair()
    bob = new_contact()
    await api.send(session.name, f"+{bob.phone}", "first")
    (paired,) = await api.list_backups(session.name)
    assert paired.kind == Backup.KIND_PAIRED

    await case.take(sim, api, session, phone)
    gone = State.STATE_DELETED if case.take is delete else State.STATE_UNLINKED
    await api.wait_for_state(session.name, gone)
    newest = await until_copied(api, session.name, case, paired.name)

    (store,) = (server.data_dir / "trash").glob(f"*-{case.trash}/**/store.db")
    fingerprint, devices = opened(store, tmp_path / "from-trash")
    assert len(devices) == 1
    assert fingerprint == paired.device_fingerprint == newest.device_fingerprint
    if case.take is delete:
        assert (newest.kind, newest.state) == (Backup.KIND_PRE_DELETE, Backup.STATE_ACTIVE)
    else:
        assert (newest.state, newest.state_reason) == (Backup.STATE_REVOKED, case.revoked)
        older = (await api.list_backups(session.name))[-1]
        assert (older.name, older.state) == (paired.name, Backup.STATE_REVOKED)
        with pytest.raises(grpc.RpcError) as error:
            await api.restore(newest.name)
        assert reason_of(error.value) == "BACKUP_REVOKED"

    target = f"{session.name}-again"
    await api.restore(newest.name, target_session=target, force=True)
    (restored,) = (server.data_dir / target).glob("*/store.db")
    assert opened(restored, tmp_path / "restored") == (fingerprint, devices)
    await api.start(target)
    if case.is_accepted:
        await api.wait_for_state(target, State.STATE_ACTIVE)
        await api.send(target, f"+{bob.phone}", "second")
        received = await asyncio.to_thread(bob.inbox, 2, timeout=DEADLINE)
        assert [text.text for text in received] == ["first", "second"]
    else:
        await api.wait_for_state(target, State.STATE_UNLINKED)
    assert store.exists()
