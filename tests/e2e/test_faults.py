"""Every row of the fault table: its typed condition and what the server does about it."""

import asyncio
import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from roost.v1.session_pb2 import Condition

from tests.support.api import DEADLINE, Follower, State, reason_of


@dataclass(frozen=True)
class Row:
    """What WhatsApp does, and what a user sees."""

    kind: str
    args: dict = field(default_factory=dict)
    reason: str = ""
    action: int = Condition.USER_ACTION_WAIT
    ends: int = State.STATE_ACTIVE


def login_failure(code: int, **row) -> Row:
    """A refusal at the next login."""
    return Row("login_failure", {"reason": code} | row.pop("args", {}), **row)


def stream_error(code: int, **row) -> Row:
    """An error on the open stream."""
    return Row("stream_error", {"code": code}, **row)


# Strikes the open connection; the session is ACTIVE again by itself.
RECOVERS = {
    "reset": Row("reset", reason="CONNECTION_LOST"),
    "close": Row("close", reason="CONNECTION_LOST"),
    "stream-503": stream_error(503, reason="CONNECTION_LOST"),
    "stream-515": stream_error(515),
    "stream-500": stream_error(500, reason="STREAM_ERROR"),
}
# Strikes the login that follows a lost connection; the engine or the server tries until it works.
RELOGIN = {
    "login-500": login_failure(500, reason="CONNECTION_LOST"),
    "login-503": login_failure(503, reason="CONNECTION_LOST"),
    "login-reset": Row("login_reset", reason="CONNECTION_LOST"),
    "redial-503": Row("http_status", {"status": 503}, reason="CONNECTION_LOST"),
}
# Strikes the first dial of a start, which the engine does not repeat by itself: the server does.
RETRIED = {
    "http-503": Row("http_status", {"status": 503}, reason="CONNECT_FAILED"),
    "http-403": Row("http_status", {"status": 403}, reason="CONNECT_FAILED"),
    "proxy": Row("tunnel_refused", reason="CONNECT_FAILED"),
}
# Nothing but a person can cure it: the server stays away.
FINAL = {
    "login-401": login_failure(
        401, reason="LOGGED_OUT", action=Condition.USER_ACTION_PAIR_AGAIN, ends=State.STATE_UNLINKED
    ),
    "login-403": login_failure(
        403,
        reason="ACCOUNT_LOCKED",
        action=Condition.USER_ACTION_OPEN_PHONE,
        ends=State.STATE_UNLINKED,
    ),
    "login-406": login_failure(
        406,
        reason="ACCOUNT_BANNED",
        action=Condition.USER_ACTION_CONTACT_WHATSAPP,
        ends=State.STATE_UNLINKED,
    ),
    "login-402": login_failure(
        402,
        args={"code": 101, "expire": 3600},
        reason="ACCOUNT_TEMPORARILY_BANNED",
        ends=State.STATE_BACKING_OFF,
    ),
    "login-405": login_failure(
        405,
        reason="CLIENT_OUTDATED",
        action=Condition.USER_ACTION_UPGRADE_SERVER,
        ends=State.STATE_FAILED,
    ),
    "login-400": login_failure(
        400,
        reason="LOGIN_REFUSED",
        action=Condition.USER_ACTION_OPEN_PHONE,
        ends=State.STATE_FAILED,
    ),
    "login-409": login_failure(
        409,
        reason="LOGIN_REFUSED",
        action=Condition.USER_ACTION_OPEN_PHONE,
        ends=State.STATE_FAILED,
    ),
    "login-418": login_failure(
        418,
        reason="LOGIN_REFUSED",
        action=Condition.USER_ACTION_OPEN_PHONE,
        ends=State.STATE_FAILED,
    ),
    "replaced": Row(
        "replaced",
        reason="STREAM_REPLACED",
        action=Condition.USER_ACTION_STOP_OTHER_CONNECTION,
        ends=State.STATE_FAILED,
    ),
    "device-removed": Row(
        "device_removed",
        reason="LOGGED_OUT",
        action=Condition.USER_ACTION_PAIR_AGAIN,
        ends=State.STATE_UNLINKED,
    ),
}


def reasons(follower: Follower) -> list[str]:
    """Reasons of the conditions seen, in order."""
    return [session.condition.reason for session in follower.sessions_seen()]


async def proves_alive(follower, api, session, phone, bob) -> None:
    """ACTIVE is no mere word: a text arrives."""
    await asyncio.to_thread(bob.send_text, phone.jid, "still there?")
    await follower.until(lambda seen: seen.texts()[-1:] == ["still there?"])


@pytest.mark.parametrize("row", RECOVERS.values(), ids=RECOVERS)
async def test_a_broken_connection_comes_back(sim, api, pair, new_contact, row):
    """The condition says why while it is away; nobody has to do anything."""
    session, phone = await pair()
    bob = new_contact()
    async with Follower(session.name).following(api) as follower:
        assert await asyncio.to_thread(sim.fault, phone, row.kind, **row.args) == 1
        if row.reason:
            await follower.until(lambda seen: row.reason in reasons(seen))
        await proves_alive(follower, api, session, phone, bob)
        active = await api.wait_for_state(session.name, State.STATE_ACTIVE)
        assert active.condition.reason == ""
        troubled = [s for s in follower.sessions_seen() if s.condition.reason]
        assert all(s.condition.user_action == row.action for s in troubled)


@pytest.mark.parametrize("row", RELOGIN.values(), ids=RELOGIN)
async def test_a_login_that_fails_for_a_time_is_tried_again(sim, api, pair, new_contact, row):
    """The connection breaks and the next login fails: the condition shows it, then ACTIVE."""
    session, phone = await pair()
    bob = new_contact()
    async with Follower(session.name).following(api) as follower:
        await asyncio.to_thread(sim.fault, occasion(row, phone), row.kind, **row.args)
        await asyncio.to_thread(sim.fault, phone, "reset")
        await follower.until(lambda seen: row.reason in reasons(seen))
        await api.wait_for_state(session.name, State.STATE_ACTIVE)
        await proves_alive(follower, api, session, phone, bob)


def occasion(row: Row, phone):
    """Whose next connection a fault waits for: before the login nobody knows whose it is."""
    return None if row.kind in {"http_status", "tunnel_refused"} else phone


@pytest.mark.parametrize("row", RETRIED.values(), ids=RETRIED)
async def test_a_first_dial_that_fails_is_repeated(sim, api, pair, new_contact, row):
    """Stopped, then started into the fault: the condition shows it, then ACTIVE."""
    session, phone = await pair()
    bob = new_contact()
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    await asyncio.to_thread(sim.fault, occasion(row, phone), row.kind, **row.args)
    async with Follower(session.name).following(api) as follower:
        await api.start(session.name)
        await follower.until(lambda seen: row.reason in reasons(seen))
        await api.wait_for_state(session.name, State.STATE_ACTIVE)
        await proves_alive(follower, api, session, phone, bob)


@pytest.mark.parametrize("row", FINAL.values(), ids=FINAL)
async def test_what_needs_a_person_is_left_to_one(sim, server, api, pair, row):
    """The typed condition, no further login, and the keys are not gone."""
    session, phone = await pair()
    if row.kind == "login_failure":
        await api.stop(session.name)
        await api.wait_for_state(session.name, State.STATE_STOPPED)
        await asyncio.to_thread(sim.fault, phone, row.kind, times=None, **row.args)
        await api.start(session.name)
    else:
        await asyncio.to_thread(sim.fault, phone, row.kind, **row.args)
    down = await api.wait_for_state(session.name, row.ends)
    assert down.condition.reason == row.reason
    assert down.condition.user_action == row.action
    if row.kind == "login_failure":
        assert down.condition.engine_code == str(row.args.get("code", row.args["reason"]))
    if row.reason == "ACCOUNT_TEMPORARILY_BANNED":
        wait = down.next_attempt_time.ToDatetime() - down.state_change_time.ToDatetime()
        assert 3500 < wait.total_seconds() < 3700
    await asyncio.sleep(2)  # a blind reconnect would have come by now
    seen = await asyncio.to_thread(sim.connections)
    assert [c for c in seen if c.get("phone") == phone.phone] == []
    assert (await api.get(session.name)).state == row.ends
    kept = [p for place in ("sessions", "trash") for p in stores_below(server.data_dir / place)]
    assert len(kept) == 1
    assert device_rows(kept[0]) == 1


def stores_below(folder: Path) -> list[Path]:
    """Credential stores in a folder of the data directory."""
    return list(folder.rglob("store.db"))


def device_rows(store) -> int:
    """How many devices a store holds."""
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return database.execute("SELECT count(*) FROM whatsmeow_device").fetchone()[0]


async def test_a_silent_server_is_noticed(sim, api, pair, new_contact):
    """Pings unanswered for about 35 s give a condition; it goes when WhatsApp speaks again."""
    session, phone = await pair()
    bob = new_contact()
    async with Follower(session.name).following(api) as follower:
        await asyncio.to_thread(sim.fault, phone, "silence")
        async with asyncio.timeout(90):
            while "KEEPALIVE_TIMEOUT" not in reasons(follower):
                await asyncio.sleep(0.2)
        await asyncio.to_thread(sim.clear_faults, phone)
        async with asyncio.timeout(90):
            while (await api.get(session.name)).condition.reason:
                await asyncio.sleep(0.2)
        await proves_alive(follower, api, session, phone, bob)


async def test_a_send_that_is_never_acknowledged_ends(sim, api, pair, new_contact):
    """SEND_TIMED_OUT says that the message may have left; the session is restarted and sends."""
    session, phone = await pair()
    bob = new_contact()
    await asyncio.to_thread(sim.fault, phone, "send_ignored")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await api.send(session.name, f"+{bob.phone}", "lost?")
    assert reason_of(error.value) == "SEND_TIMED_OUT"
    async with asyncio.timeout(2 * DEADLINE):
        while True:
            # Refused until it is connected again.
            with contextlib.suppress(grpc.aio.AioRpcError):
                await api.send(session.name, f"+{bob.phone}", "found")
                break
            await asyncio.sleep(0.2)
    texts = await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
    assert texts[-1].text == "found"
