"""Start, stop, restart: what is wanted against what happens."""

from datetime import timedelta

import pytest

from server.core.errors import SessionNotPaired, SessionWrongState
from server.core.names import SessionName
from server.engine.base import Connected, EndReason
from server.sessions.model import DesiredState, State
from tests.support.builders import ANN
from tests.support.sessions import harness

A = SessionName("a")


async def test_a_session_is_paired_by_qr_and_becomes_active(tmp_path):
    """The whole way, as subscribers see it."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        assert h.states() == [State.STOPPED, State.CONNECTING, State.PAIRING, State.ACTIVE]
        session = h.session()
        assert session.account == ANN
        assert session.desired is DesiredState.RUNNING
        assert session.is_paired
        assert (session.store_epoch, session.connect_epoch) == (1, 1)
        assert engine.spec.store == tmp_path / "sessions/a/1/store.db"
        assert engine.spec.fresh
        assert h.paired == [A]
        assert h.manager.store_path(A) == engine.spec.store


async def test_stop_and_start(tmp_path):
    """What is wanted is stored before the answer; the store is the same."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        session = await h.manager.stop(A, timedelta(seconds=10))
        assert (session.desired, session.state) == (DesiredState.STOPPED, State.STOPPING)
        stopped = await h.until(State.STOPPED)
        assert engine.is_stopped
        assert stopped.clean_epoch == stopped.connect_epoch == 1
        session = await h.manager.start(A)
        assert (session.desired, session.state) == (DesiredState.RUNNING, State.CONNECTING)
        again = await h.engine_of(count=2)
        assert (again.spec.store, again.spec.fresh) == (engine.spec.store, False)
        assert again.spec.connect_epoch == 2
        again.emit(Connected(account=ANN))
        session = await h.until(State.ACTIVE)
        assert (session.connect_epoch, session.clean_epoch) == (2, 1)


async def test_an_unpaired_session_cannot_be_started(tmp_path):
    """There is nothing to connect with."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        with pytest.raises(SessionNotPaired):
            await h.manager.start(A)
        with pytest.raises(SessionWrongState):
            await h.manager.undelete(A)


async def test_a_crash_is_followed_by_a_quick_restart(tmp_path):
    """With the reason, the time of the next try, and the same store."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(EndReason.CRASHED, engine_code="signal 9")
        session = await h.until(State.BACKING_OFF)
        assert session.condition.reason == "ENGINE_CRASHED"
        assert session.condition.engine_code == "signal 9"
        assert session.next_attempt_time == h.clock.now() + timedelta(seconds=0.5)
        await h.elapse(0.5)
        again = await h.engine_of(count=2)
        assert again.spec.connect_epoch == 2
        again.emit(Connected(account=ANN))
        session = await h.until(State.ACTIVE)
        assert session.condition is None
        assert session.next_attempt_time is None
