"""Linking the real engine to a simulated phone, and every way it can fail."""

import asyncio
import os
import stat
from collections.abc import Callable
from datetime import timedelta

import pytest

from server.core.errors import EngineUnavailable, PairingRejected
from server.engine import store
from server.engine.base import Account, Connected, Ended, EndReason, Paired, QrCode
from simulator import PairingRefused, Phone, Simulator, WrongCode

from .conftest import GRACE, Sessions


async def test_a_scanned_code_links_the_account(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    phone = new_phone()
    watched = await sessions.begin()
    code = await watched.wait(QrCode)
    assert code.lifetime == timedelta(seconds=60)
    await asyncio.to_thread(phone.scan, code.payload)
    await watched.wait(Connected)
    account = Account(jid=phone.jid, lid=phone.lid, push_name="", device=1)
    assert watched.told()[:3] == [code, Paired(account=account), Connected(account=account)]
    assert store.read_account(watched.spec.store) == account
    assert store.is_store_sound(watched.spec.store)
    await watched.session.stop(GRACE)
    assert await watched.ended() == Ended(reason=EndReason.STOPPED, clean=True)
    with pytest.raises(ProcessLookupError):
        os.kill(watched.pid, 0)


async def test_nobody_else_can_read_what_a_session_keeps(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    watched = await sessions.paired(new_phone())
    folder = watched.spec.spool_dir.parent
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {0o600, 0o700}


async def test_a_typed_code_links_the_account(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    phone = new_phone()
    watched = await sessions.begin()
    await watched.wait(QrCode)
    code = await watched.session.request_pairing_code(phone.phone)
    assert len(code) == len("ABCD-EFGH")
    await asyncio.to_thread(phone.enter_code, code)
    assert (await watched.wait(Connected)).account.jid == phone.jid


async def test_a_wrong_code_leaves_room_for_the_right_one(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    phone = new_phone()
    watched = await sessions.begin()
    await watched.wait(QrCode)
    code = await watched.session.request_pairing_code(phone.phone)
    with pytest.raises(WrongCode):
        await asyncio.to_thread(phone.enter_code, "AAAA" + code[4:])
    code = await watched.session.request_pairing_code(phone.phone)
    await asyncio.to_thread(phone.enter_code, code)
    await watched.wait(Connected)


async def test_a_number_that_cannot_be_one_is_refused(sessions: Sessions) -> None:
    watched = await sessions.begin()
    await watched.wait(QrCode)
    with pytest.raises(PairingRejected):
        await watched.session.request_pairing_code("123")


async def test_there_is_no_code_before_the_engine_is_there(sessions: Sessions) -> None:
    watched = await sessions.begin()
    with pytest.raises(EngineUnavailable):
        await watched.session.request_pairing_code("15550001111")
    await watched.session.stop(GRACE)
    assert (await watched.ended()).reason is EndReason.STOPPED


async def test_codes_that_run_out_end_the_session(sessions: Sessions, simulator: Simulator) -> None:
    watched = await sessions.begin()
    code = await watched.wait(QrCode)
    await asyncio.to_thread(simulator.expire_qr, code.payload)
    assert await watched.ended() == Ended(
        reason=EndReason.PAIRING_EXPIRED, clean=True, engine_code="timeout"
    )


async def test_a_connection_lost_at_the_code_is_not_an_expired_one(
    sessions: Sessions, simulator: Simulator
) -> None:
    watched = await sessions.begin()
    await watched.wait(QrCode)
    await asyncio.to_thread(simulator.fault, None, "reset")
    assert await watched.ended() == Ended(
        reason=EndReason.CONNECT_FAILED, clean=True, engine_code="connection-lost"
    )


@pytest.mark.parametrize("kind", ["pairing_hmac_mismatch", "pairing_signature_mismatch"])
async def test_a_forged_answer_of_the_phone_is_refused(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone], kind: str
) -> None:
    phone = new_phone()
    await asyncio.to_thread(simulator.fault, phone, kind)
    watched = await sessions.begin()
    code = await watched.wait(QrCode)
    with pytest.raises(PairingRefused):
        await asyncio.to_thread(phone.scan, code.payload)
    ended = await watched.ended()
    assert (ended.reason, ended.clean) == (EndReason.PAIRING_REJECTED, True)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (405, EndReason.CLIENT_OUTDATED),
        (402, EndReason.TEMPORARY_BAN),
        (403, EndReason.LOGIN_REFUSED),
    ],
)
async def test_a_refused_registration_has_its_reason(
    sessions: Sessions, simulator: Simulator, reason: int, expected: EndReason
) -> None:
    await asyncio.to_thread(simulator.fault, None, "registration_failure", reason=reason)
    watched = await sessions.begin()
    assert (await watched.ended()).reason is expected


async def test_a_pairing_that_never_connects_ends_and_connects_with_the_next_host(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    phone = new_phone()
    await asyncio.to_thread(simulator.fault, phone, "pairing_reset")
    watched = await sessions.begin()
    code = await watched.wait(QrCode)
    await asyncio.to_thread(phone.scan, code.payload)
    ended = await watched.ended()
    assert ended.reason is EndReason.CRASHED
    assert ended.engine_code == "paired-without-connected"
    # Whether or not anybody recorded the pairing, the store has it.
    unseen = await sessions.start(watched.spec)
    account = (await unseen.wait(Connected)).account
    assert unseen.told()[0] == Paired(account=account)
    await unseen.session.stop(GRACE)
    await (await sessions.again(unseen)).wait(Connected)


async def test_a_pairing_cut_at_its_end_connects_with_this_host_or_the_next(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    phone = new_phone()
    await asyncio.to_thread(simulator.fault, phone, "pairing_close")
    watched = await sessions.begin()
    code = await watched.wait(QrCode)
    await asyncio.to_thread(phone.scan, code.payload)
    # whatsmeow reads the order to reconnect or the end of the stream first: a race.
    if isinstance(await watched.wait(Connected | Ended), Ended):
        assert watched.last is not None
        assert watched.last.engine_code == "paired-without-connected"
        await (await sessions.again(watched)).wait(Connected)
