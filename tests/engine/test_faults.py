"""The fault table: what the simulated WhatsApp does, and exactly what the port says about it."""

import asyncio
import dataclasses
import os
import signal
from collections.abc import Callable
from datetime import timedelta

import pytest

from server.engine import store
from server.engine.base import (
    Connected,
    Disconnected,
    Ended,
    EndReason,
    KeepAliveRestored,
    KeepAliveTimeout,
    MessageReceived,
    StreamFailed,
)
from server.engine.zygote_engine import EngineConfig, ZygoteEngine
from simulator import Phone, Simulator

from .conftest import GRACE, Sessions


@pytest.mark.parametrize(
    ("kind", "args", "between"),
    [
        ("reset", {}, [Disconnected()]),
        ("close", {}, [Disconnected()]),
        ("stream_error", {"code": "503"}, [Disconnected()]),
        ("stream_error", {"code": "515"}, []),
        ("stream_error", {"code": "500"}, [StreamFailed(engine_code="500"), Disconnected()]),
    ],
)
async def test_a_lost_connection_comes_back_by_itself(
    sessions: Sessions,
    simulator: Simulator,
    new_phone: Callable[[], Phone],
    kind: str,
    args: dict[str, str],
    between: list[object],
) -> None:
    phone = new_phone()
    watched = await sessions.paired(phone)
    await asyncio.to_thread(simulator.fault, phone, kind, **args)
    again = await watched.wait(Connected, 2)
    assert watched.told()[2:] == [again, *between, again]


@pytest.mark.parametrize(
    ("kind", "args", "reason", "code"),
    [
        ("replaced", {}, EndReason.STREAM_REPLACED, "replaced"),
        ("device_removed", {}, EndReason.LOGGED_OUT, "device_removed"),
    ],
)
async def test_a_final_word_while_connected(
    sessions: Sessions,
    simulator: Simulator,
    new_phone: Callable[[], Phone],
    kind: str,
    args: dict[str, str],
    reason: EndReason,
    code: str,
) -> None:
    phone = new_phone()
    watched = await sessions.paired(phone)
    await asyncio.to_thread(simulator.fault, phone, kind, **args)
    assert await watched.ended() == Ended(reason=reason, clean=True, engine_code=code)
    # whatsmeow would have deleted the device with all its keys: the guard has kept it.
    assert store.is_store_sound(watched.spec.store)


@pytest.mark.parametrize(
    ("args", "reason", "code", "expire"),
    [
        ({"reason": 401}, EndReason.LOGGED_OUT, "401", 0),
        ({"reason": 402, "code": 101, "expire": 3600}, EndReason.TEMPORARY_BAN, "101", 3600),
        ({"reason": 402, "code": 199, "expire": 60}, EndReason.TEMPORARY_BAN, "199", 60),
        ({"reason": 403}, EndReason.ACCOUNT_LOCKED, "403", 0),
        ({"reason": 405}, EndReason.CLIENT_OUTDATED, "405", 0),
        ({"reason": 406}, EndReason.ACCOUNT_BANNED, "406", 0),
        ({"reason": 400}, EndReason.LOGIN_REFUSED, "400", 0),
        ({"reason": 409}, EndReason.LOGIN_REFUSED, "409", 0),
        ({"reason": 418}, EndReason.LOGIN_REFUSED, "418", 0),
    ],
)
async def test_a_refused_login_is_final_and_keeps_the_keys(
    sessions: Sessions,
    simulator: Simulator,
    new_phone: Callable[[], Phone],
    args: dict[str, int],
    reason: EndReason,
    code: str,
    expire: int,
) -> None:
    phone = new_phone()
    watched = await sessions.paired(phone)
    await watched.session.stop(GRACE)
    await asyncio.to_thread(simulator.fault, phone, "login_failure", **args)
    ended = await (await sessions.again(watched)).ended()
    assert (ended.reason, ended.engine_code, ended.expire_seconds) == (reason, code, expire)
    assert store.is_store_sound(watched.spec.store)
    # The refusal was this once: with the kept keys the session lives.
    await (await sessions.again(watched)).wait(Connected)


@pytest.mark.parametrize("reason", [500, 503])
async def test_a_server_in_trouble_is_tried_again(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone], reason: int
) -> None:
    phone = new_phone()
    watched = await sessions.paired(phone)
    await watched.session.stop(GRACE)
    await asyncio.to_thread(simulator.fault, phone, "login_failure", reason=reason)
    again = await sessions.again(watched)
    connected = await again.wait(Connected)
    assert again.told()[:2] == [Disconnected(), connected]


@pytest.mark.parametrize(
    ("kind", "args", "code"),
    [
        ("tunnel_refused", {}, "dial"),
        ("http_status", {"status": 429}, "http-429"),
        ("handshake_untrusted", {}, "handshake"),
        ("handshake_reset", {}, "handshake"),
    ],
)
async def test_a_first_connection_that_fails_says_so(
    sessions: Sessions,
    simulator: Simulator,
    new_phone: Callable[[], Phone],
    kind: str,
    args: dict[str, int],
    code: str,
) -> None:
    watched = await sessions.paired(new_phone())
    await watched.session.stop(GRACE)
    await asyncio.to_thread(simulator.fault, None, kind, **args)
    ended = await (await sessions.again(watched)).ended()
    assert ended == Ended(reason=EndReason.CONNECT_FAILED, clean=True, engine_code=code)


async def test_a_reconnection_that_fails_is_repeated(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    phone = new_phone()
    watched = await sessions.paired(phone)
    await asyncio.to_thread(simulator.fault, None, "http_status", status=503)
    await asyncio.to_thread(simulator.fault, phone, "reset")
    await watched.wait(Disconnected)
    await watched.wait(Connected, 2)


async def test_a_killed_host_is_reported_with_its_signal_and_the_next_one_logs_in(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    watched, other = [await sessions.paired(new_phone(), name) for name in ("a", "b")]
    os.kill(watched.pid, signal.SIGKILL)
    assert await watched.ended() == Ended(
        reason=EndReason.CRASHED, clean=False, engine_code="SIGKILL"
    )
    again = await sessions.again(watched)
    await again.wait(Connected)
    assert [one for one in other.events if isinstance(one, Disconnected | Ended)] == []


async def test_a_host_whose_library_aborts_is_reported_with_its_signal(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    watched = await sessions.paired(new_phone())
    os.kill(watched.pid, signal.SIGABRT)
    ended = await watched.ended()
    assert (ended.reason, ended.clean) == (EndReason.CRASHED, False)
    assert ended.engine_code in {"SIGABRT", "exit-2"}  # Go prints its goroutines and exits with 2


async def test_a_terminated_host_drains(sessions: Sessions, new_phone: Callable[[], Phone]) -> None:
    watched = await sessions.paired(new_phone())
    os.kill(watched.pid, signal.SIGTERM)
    assert await watched.ended() == Ended(
        reason=EndReason.CRASHED, clean=True, engine_code="SIGTERM"
    )


async def test_a_stopped_process_is_killed_after_the_grace(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    watched = await sessions.paired(new_phone())
    os.kill(watched.pid, signal.SIGSTOP)
    await watched.session.stop(timedelta(seconds=0.3))
    assert await watched.ended() == Ended(
        reason=EndReason.STOPPED, clean=False, engine_code="killed-after-grace"
    )
    await watched.session.stop(GRACE)  # once more does nothing


@pytest.mark.parametrize("kind", ["handshake_silence", "login_silence"])
async def test_a_login_without_an_answer_ends_in_time(
    config: EngineConfig, simulator: Simulator, new_phone: Callable[[], Phone], kind: str
) -> None:
    config = dataclasses.replace(config, login_deadline=timedelta(seconds=3))
    phone = new_phone()
    async with asyncio.TaskGroup() as tasks, ZygoteEngine(config) as engine:
        sessions = Sessions(engine, config.data_dir, tasks)
        watched = await sessions.paired(phone)
        await watched.session.stop(GRACE)
        whose = None if kind == "handshake_silence" else phone
        await asyncio.to_thread(simulator.fault, whose, kind)
        ended = await (await sessions.again(watched)).ended()
        assert (ended.reason, ended.engine_code) == (EndReason.CONNECT_FAILED, "login-timeout")
        await (await sessions.again(watched)).wait(Connected)


async def test_an_event_that_neonize_cannot_name_ends_the_host_and_no_more(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await watched.session.send_text(recipient=bob.jid, text="hi", secret=bytes(range(32)))
    (message,) = await asyncio.to_thread(bob.inbox, 1)
    await asyncio.to_thread(bob.send_receipt, message, "server-error")
    assert await watched.ended() == Ended(
        reason=EndReason.CRASHED, clean=False, engine_code="event-loop:Receipt.Type"
    )
    again = await sessions.again(watched)
    await again.wait(Connected)
    await asyncio.to_thread(bob.send_text, ann, "still here")
    await again.wait(MessageReceived)


async def test_a_silent_server_is_noticed_and_is_heard_again(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    """Takes as long as whatsmeow does: 35 to 37 seconds until it says so."""
    phone = new_phone()
    watched = await sessions.paired(phone)
    await asyncio.to_thread(simulator.fault, phone, "silence")
    await watched.wait(KeepAliveTimeout, seconds=60)
    await asyncio.to_thread(simulator.clear_faults, phone)
    await watched.wait(KeepAliveRestored, seconds=60)
