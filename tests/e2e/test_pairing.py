"""Pairing, on the real engine."""

import asyncio

import grpc
import pytest

from simulator import WrongCode
from tests.support.api import State, reason_of


async def test_a_session_is_paired_by_qr(api, new_phone):
    """QR shown, scanned, completed with the account, ACTIVE; a first backup exists by then."""
    phone = new_phone()
    session = await api.create("a", display_name="Front desk")
    assert session.state == State.STATE_STOPPED
    steps = []
    async for step in api.pair(session.name):
        steps.append(step.WhichOneof("step"))
        if step.HasField("qr_code") and step.qr_code.attempt == 1:
            assert step.qr_code.expire_time.seconds > 0
            await asyncio.to_thread(phone.scan, step.qr_code.payload)
        if step.HasField("completed"):
            assert step.completed.account.jid == phone.jid
    assert steps[0] == "qr_code"
    assert steps[-1] == "completed"
    active = await api.wait_for_state(session.name, State.STATE_ACTIVE)
    assert active.account.jid == phone.jid
    assert active.account.lid.endswith("@lid")
    listed = await api.list_backups(session.name)
    assert [backup.state for backup in listed] == [listed[0].STATE_ACTIVE]
    assert listed[0].kind == listed[0].KIND_PAIRED


async def test_a_session_is_paired_by_code(api, new_phone):
    """A code shown for the phone number, typed on the phone."""
    phone = new_phone()
    session = await api.create("a")
    async for step in api.pair(session.name, phone=f"+{phone.phone}"):
        if step.HasField("pairing_code"):
            assert len(step.pairing_code.payload) == len("ABCD-EFGH")
            await asyncio.to_thread(phone.enter_code, step.pairing_code.payload)
        elif step.HasField("completed"):
            assert step.completed.account.jid == phone.jid
    await api.wait_for_state(session.name, State.STATE_ACTIVE)


async def test_a_wrong_code_can_be_followed_by_the_right_one(api, new_phone):
    """The phone refuses a wrong code; asking again brings a code that works."""
    phone = new_phone()
    session = await api.create("a")
    stream = api.pair(session.name, phone=f"+{phone.phone}")
    async for step in stream:
        if step.HasField("pairing_code"):
            with pytest.raises(WrongCode):
                await asyncio.to_thread(phone.enter_code, "AAAA-AAAA")
            break
    stream.cancel()
    async for step in api.pair(session.name, phone=f"+{phone.phone}"):
        if step.HasField("pairing_code"):
            await asyncio.to_thread(phone.enter_code, step.pairing_code.payload)
    await api.wait_for_state(session.name, State.STATE_ACTIVE)


async def test_codes_that_run_out_end_with_their_reason(sim, api):
    """Nobody scans: PAIRING_EXPIRED, and the session is as it was before."""
    session = await api.create("a")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        async for step in api.pair(session.name):
            if step.HasField("qr_code"):
                await asyncio.to_thread(sim.expire_qr, step.qr_code.payload)
    assert reason_of(error.value) == "PAIRING_EXPIRED"
    stopped = await api.wait_for_state(session.name, State.STATE_STOPPED)
    assert not stopped.HasField("account")


async def test_a_second_caller_attaches_to_the_same_attempt(api, new_phone):
    """Pairing belongs to the session: two views of it show the same code and end together."""
    phone = new_phone()
    session = await api.create("a")
    payloads, ends = [], []

    async def view() -> None:
        async for step in api.pair(session.name):
            if step.HasField("qr_code"):
                payloads.append(step.qr_code.payload)
                if len(payloads) == 2:
                    await asyncio.to_thread(phone.scan, step.qr_code.payload)
            elif step.HasField("completed"):
                ends.append(step.completed.account.jid)

    async with asyncio.TaskGroup() as views:
        views.create_task(view())
        views.create_task(view())
    assert len(set(payloads)) == 1
    assert ends == [phone.jid] * 2


async def test_a_paired_session_is_not_paired_again(api, pair):
    """Re-pairing over live credentials is refused."""
    session, _ = await pair()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        async for _ in api.pair(session.name):
            pass
    assert reason_of(error.value) == "SESSION_ALREADY_PAIRED"
