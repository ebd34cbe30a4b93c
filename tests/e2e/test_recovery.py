"""A server is lost with its disk: a fresh one takes over all of its sessions."""

import asyncio
import json
import time

import pytest
from roost.v1 import session_service_pb2 as requests
from roost.v1.backup_pb2 import RecoverResult
from roost.v1.session_pb2 import Session

from server.vault.masterkeys.file import FileKey
from tests.support.api import DEADLINE, Api, Follower, State
from tests.support.server import ServerProcess

Outcome = RecoverResult.Session.Outcome
COUNT = 5


@pytest.fixture
def env(sim, tmp_path):
    """What survives: one storage location and the master key."""
    FileKey.load_or_create(tmp_path / "master.key")
    return sim.environment() | {
        "ROOST_BACKUP__LOCATIONS": json.dumps({"offsite": (tmp_path / "offsite").as_uri()}),
        "ROOST_BACKUP__KEY_FILE": str(tmp_path / "master.key"),
        "ROOST_BACKUP__LEASE_TTL": "3",
    }


async def paired(api, new_phone, number):
    """A session with settings of its own."""
    phone = new_phone()
    session = Session(display_name=f"Desk {number}", labels={"desk": str(number)})
    request = requests.CreateSessionRequest(session_id=f"desk-{number}", session=session)
    name = (await api.sessions.CreateSession(request, metadata=api.metadata)).session.name
    await api.pair_by_qr(name, phone.scan)
    await api.wait_for_state(name, State.STATE_ACTIVE)
    return phone


def outcomes(result):
    return [each.outcome for each in result.sessions]


async def test_all_sessions_are_active_again(sim, new_phone, new_contact, tmp_path, env):
    """Without pairing, with labels and names; refused while the old server may still run them."""
    lost, fresh = ServerProcess(tmp_path / "lost", env), ServerProcess(tmp_path / "fresh", env)
    with lost:
        async with Api.connect(lost.address, lost.key) as api:
            phones = [await paired(api, new_phone, number) for number in range(COUNT)]
        with fresh:
            async with Api.connect(fresh.address, fresh.key) as api:
                result = await api.recover()
                assert outcomes(result) == [Outcome.OUTCOME_SKIPPED] * COUNT
                assert {each.reason for each in result.sessions} == {"SESSION_LEASED"}
                await asyncio.to_thread(lost.kill)
                lost.data_dir.rename(tmp_path / "gone")
                planned = await api.recover(dry_run=True, start=True, take_over=True)
                assert outcomes(planned) == [Outcome.OUTCOME_PLANNED] * COUNT
                began = time.monotonic()
                result = await api.recover(start=True, take_over=True)
                took = time.monotonic() - began
                assert outcomes(result) == [Outcome.OUTCOME_STARTED] * COUNT, result
                assert took < DEADLINE
                for number, phone in enumerate(phones):
                    session = await api.get(f"sessions/desk-{number}")
                    assert session.state == State.STATE_ACTIVE
                    assert session.account.jid == phone.jid
                    assert session.display_name == f"Desk {number}"
                    assert dict(session.labels) == {"desk": str(number)}
                bob = new_contact()
                async with Follower("sessions/desk-3").following(api) as follower:
                    await asyncio.to_thread(bob.send_text, phones[3].jid, "still there?")
                    await follower.until(lambda seen: "still there?" in seen.texts())
                    await api.send("sessions/desk-3", f"+{bob.phone}", "always")
                    received = await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
                    assert received[-1].text == "always"
                again = await api.recover(start=True)
                assert outcomes(again) == [Outcome.OUTCOME_PRESENT] * COUNT


async def test_a_living_server_hands_over(sim, new_phone, tmp_path, env):
    """With take_over: it stops its sessions first, and keeps them down."""
    old, new = ServerProcess(tmp_path / "old", env), ServerProcess(tmp_path / "new", env)
    with old, new:
        async with (
            Api.connect(old.address, old.key) as on_old,
            Api.connect(new.address, new.key) as on_new,
        ):
            await paired(on_old, new_phone, 0)
            await paired(on_old, new_phone, 1)
            names = ["sessions/desk-0", "sessions/desk-1"]
            async with Follower(*names).following(on_old) as follower:
                result = await on_new.recover(start=True, take_over=True)
                assert outcomes(result) == [Outcome.OUTCOME_STARTED] * 2, result
                for name in names:
                    session = await on_old.wait_for_state(name, State.STATE_FAILED)
                    assert session.condition.reason == "LEASE_LOST"
                    assert (await on_new.get(name)).state == State.STATE_ACTIVE
                assert all(
                    session.condition.reason != "STREAM_REPLACED"
                    for session in follower.sessions_seen()
                )
