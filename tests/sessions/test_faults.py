"""Each way in which WhatsApp or the engine can fail: state, condition, policy."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import EngineUnavailable
from server.core.names import SessionName
from server.engine.base import (
    Connected,
    Disconnected,
    EndReason,
    KeepAliveRestored,
    KeepAliveTimeout,
    StreamFailed,
)
from server.sessions.model import DesiredState, SessionChanges, State, UserAction
from tests.support.builders import ANN
from tests.support.sessions import harness

A = SessionName("a")
R, U = EndReason, UserAction
MINUTES = 60.0


@pytest.mark.parametrize(
    ("reason", "condition", "action", "delay"),
    [
        (R.CRASHED, "ENGINE_CRASHED", U.WAIT, 0.5),
        (R.STOPPED, "ENGINE_CRASHED", U.WAIT, 0.5),
        (R.CONNECT_FAILED, "CONNECT_FAILED", U.CHECK_NETWORK, 0.5),
        (R.TEMPORARY_BAN, "ACCOUNT_TEMPORARILY_BANNED", U.WAIT, 3645),
    ],
)
async def test_ends_that_are_followed_by_another_try(tmp_path, reason, condition, action, delay):
    """With the reason and the time of the next try; the reason stays until it is connected."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(reason, engine_code="x", expire_seconds=3600)
        session = await h.until(State.BACKING_OFF)
        assert session.condition.reason == condition
        assert session.condition.user_action is action
        assert session.condition.engine_code == "x"
        assert session.next_attempt_time == h.clock.now() + timedelta(seconds=delay)
        await h.elapse(delay)
        again = await h.engine_of(count=2)
        session = h.session()
        assert (session.state, session.condition.reason) == (State.CONNECTING, condition)
        assert session.next_attempt_time is None
        again.emit(Connected(account=ANN))
        assert (await h.until(State.ACTIVE)).condition is None


@pytest.mark.parametrize(
    ("reason", "condition", "action"),
    [
        (R.STREAM_REPLACED, "STREAM_REPLACED", U.STOP_OTHER_CONNECTION),
        (R.CLIENT_OUTDATED, "CLIENT_OUTDATED", U.UPGRADE_SERVER),
        (R.LOGIN_REFUSED, "LOGIN_REFUSED", U.OPEN_PHONE),
        (R.STORE_DAMAGED, "STORE_DAMAGED", U.RESTORE_BACKUP),
    ],
)
async def test_ends_that_need_a_person(tmp_path, reason, condition, action):
    """Nothing is tried until somebody says so; the credentials stay where they are."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(reason, engine_code="c")
        session = await h.until(State.FAILED)
        assert session.condition.reason == condition
        assert session.condition.user_action is action
        assert session.desired is DesiredState.RUNNING
        assert session.is_paired
        h.clock.advance(100 * 3600)
        assert (await h.manager.update(A, SessionChanges())).state is State.FAILED
        assert len(h.engine.sessions) == 1
        assert engine.spec.store.exists()
        session = await h.manager.start(A)
        assert (session.state, session.condition) == (State.CONNECTING, None)
        await h.engine_of(count=2)


@pytest.mark.parametrize(
    ("reason", "condition", "action", "trash"),
    [
        (R.LOGGED_OUT, "LOGGED_OUT", U.PAIR_AGAIN, "a-logged-out"),
        (R.ACCOUNT_LOCKED, "ACCOUNT_LOCKED", U.OPEN_PHONE, "a-account-locked"),
        (R.ACCOUNT_BANNED, "ACCOUNT_BANNED", U.CONTACT_WHATSAPP, "a-account-banned"),
    ],
)
async def test_ends_that_revoke_the_credentials(tmp_path, reason, condition, action, trash):
    """The keys stay, in trash; the account is still shown; pairing begins in a new store."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(reason, clean=True)
        session = await h.until(State.UNLINKED)
        assert session.condition.reason == condition
        assert session.condition.user_action is action
        assert (session.account, session.is_paired) == (ANN, False)
        assert h.manager.store_path(A) is None
        await h.until_trash(trash)
        assert not engine.spec.store.exists()
        h.clock.advance(100 * 3600)
        await h.manager.update(A, SessionChanges())
        assert len(h.engine.sessions) == 1


async def test_whatsmeow_reconnects_by_itself(tmp_path):
    """A lost socket is shown, with its reason, until it is back; the engine stays the same."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        for lost, condition in [
            (Disconnected(), "CONNECTION_LOST"),
            (StreamFailed(engine_code="500"), "STREAM_ERROR"),
            (KeepAliveTimeout(), "KEEPALIVE_TIMEOUT"),
        ]:
            engine.emit(lost)
            session = await h.until(State.CONNECTING)
            assert session.condition.reason == condition
            assert session.condition.user_action is UserAction.WAIT
            with pytest.raises(EngineUnavailable):
                await h.manager.send_text(A, None, "x")
            engine.emit(Connected(account=ANN))
            assert (await h.until(State.ACTIVE)).condition is None
        assert len(h.engine.sessions) == 1


async def test_the_first_reason_of_a_loss_is_kept(tmp_path):
    """A stream error explains the disconnect that follows it."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(StreamFailed(engine_code="500"))
        engine.emit(Disconnected())
        engine.emit(Connected(account=ANN))
        await h.until(State.CONNECTING)
        await h.until(State.ACTIVE)
        conditions = [session.condition for session in h.journal.history(A) if session.condition]
        assert [(one.reason, one.engine_code) for one in conditions] == [("STREAM_ERROR", "500")]


async def test_a_connection_that_answers_again_is_active_again(tmp_path):
    """Without a new login."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(KeepAliveTimeout())
        await h.until(State.CONNECTING)
        engine.emit(KeepAliveTimeout())
        engine.emit(KeepAliveRestored())
        assert (await h.until(State.ACTIVE)).condition is None


async def test_a_restored_keepalive_does_not_hide_another_loss(tmp_path):
    """Only its own timeout is over."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(Disconnected())
        engine.emit(KeepAliveRestored())
        session = await h.until(State.CONNECTING)
        await h.manager.update(A, SessionChanges())
        assert session.condition.reason == "CONNECTION_LOST"
        assert h.session() == session


async def test_patience_with_whatsmeow_has_an_end(tmp_path):
    """It tries ever more slowly; after five minutes its process is replaced."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(Disconnected())
        await h.until(State.CONNECTING)
        await h.elapse(5 * MINUTES)
        session = await h.until(State.BACKING_OFF)
        assert engine.is_stopped
        assert session.condition.reason == "CONNECT_FAILED"
        await h.elapse(0.5)
        again = await h.engine_of(count=2)
        await h.elapse(5 * MINUTES)
        await h.until(State.BACKING_OFF)
        assert again.is_stopped


async def test_patience_is_for_the_present_loss_only(tmp_path):
    """A connection in between starts it over."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        for _ in range(3):
            engine.emit(Disconnected())
            await h.until(State.CONNECTING)
            await h.clock.sleeping(5 * MINUTES)
            h.clock.advance(4 * MINUTES)
            engine.emit(Connected(account=ANN))
            await h.until(State.ACTIVE)
        h.clock.advance(60 * MINUTES)
        await h.manager.update(A, SessionChanges())
        assert not engine.is_stopped


async def test_a_connection_in_the_last_moment_is_kept(tmp_path):
    """It came before patience ended, though both were noticed only afterwards."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(Disconnected())
        await h.until(State.CONNECTING)
        await h.clock.sleeping(5 * MINUTES)
        gate = asyncio.Event()
        record = h.journal.record

        async def slow(*args, **kwargs):
            await gate.wait()
            await record(*args, **kwargs)

        h.journal.record = slow
        async with asyncio.TaskGroup() as group:
            group.create_task(h.manager.update(A, SessionChanges(display_name="x")))
            for _ in range(10):
                await asyncio.sleep(0)
            engine.emit(Connected(account=ANN))
            for _ in range(10):
                await asyncio.sleep(0)
            h.clock.advance(5 * MINUTES)
            for _ in range(10):
                await asyncio.sleep(0)
            gate.set()
        await h.until(State.ACTIVE)
        await h.manager.update(A, SessionChanges(display_name="y"))
        assert not engine.is_stopped


async def test_an_engine_that_cannot_be_started_is_tried_again(tmp_path):
    """As if it had crashed at once."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.stop(A)
        await h.until(State.STOPPED)

        def refuse(engine):
            raise EngineUnavailable(session="sessions/a")

        h.engine.on_start = refuse
        await h.manager.start(A)
        session = await h.until(State.BACKING_OFF)
        assert session.condition.reason == "ENGINE_CRASHED"
        assert (session.connect_epoch, session.clean_epoch) == (2, 1)
        h.engine.on_start = lambda _: None
        await h.elapse(0.5)
        (await h.engine_of(count=2)).emit(Connected(account=ANN))
        await h.until(State.ACTIVE)


async def test_asking_again_does_not_shorten_a_ban(tmp_path):
    """StartSession during a ban keeps the wait; stopping first is the way to insist."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(R.TEMPORARY_BAN, expire_seconds=3600)
        waiting = await h.until(State.BACKING_OFF)
        assert await h.manager.start(A) == waiting
        await h.manager.stop(A)
        assert (await h.manager.start(A)).state is State.CONNECTING


async def test_a_session_that_is_revoked_while_it_stops_is_unlinked(tmp_path):
    """The stronger news wins."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.stop_reason = R.LOGGED_OUT
        await h.manager.stop(A)
        session = await h.until(State.UNLINKED)
        assert session.desired is DesiredState.STOPPED
        assert session.condition.reason == "LOGGED_OUT"
