"""Sessions that another server may have: nothing starts without leave, what is lost ends."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import SessionLeased, StorageUnavailable
from server.core.names import SessionName
from server.engine.base import Connected
from server.sessions.model import DesiredState, State, UserAction
from tests.support.builders import ANN
from tests.support.sessions import harness

A = SessionName("a")


class Door:
    """A permit as the test says."""

    def __init__(self):
        self.error = None
        self.entered = []
        self.gone = []
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def enter(self, session, *, fresh):
        await self.is_open.wait()
        self.entered.append((session, fresh))
        if self.error is not None:
            raise self.error

    def left(self, session):
        self.gone.append(session)


@pytest.fixture
def door():
    return Door()


LEASED = SessionLeased(session="sessions/a", server="other")


async def test_each_start_asks_and_each_end_tells(tmp_path, door):
    """A pairing needs leave too, for a session without credentials."""
    async with harness(tmp_path, permit=door) as h:
        await h.active()
        assert door.entered == [(A, True)]
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        assert door.gone == [A]
        await h.manager.start(A)
        await h.engine_of(count=2)
        assert door.entered[1:] == [(A, False)]


async def test_another_servers_session_does_not_start(tmp_path, door):
    """It is down until a person sees to it, and has not touched its keys."""
    async with harness(tmp_path, permit=door) as h:
        await h.active()
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        door.error = LEASED
        await h.manager.start(A)
        session = await h.until(State.FAILED)
        assert session.condition.reason == "LEASE_LOST"
        assert session.condition.user_action is UserAction.STOP_OTHER_CONNECTION
        assert session.clean_epoch == session.connect_epoch
        assert len(h.engine.sessions) == 1
        door.error = None
        await h.manager.start(A)
        assert (await h.engine_of(count=2)).spec.connect_epoch == session.connect_epoch + 1


async def test_a_pairing_of_another_servers_session_is_refused(tmp_path, door):
    """Under this name there are credentials elsewhere."""
    async with harness(tmp_path, permit=door) as h:
        await h.manager.create(session_id="a")
        door.error = LEASED
        with pytest.raises(SessionLeased):
            async for _ in h.manager.pair(A):
                pass
        session = await h.until(State.STOPPED)
        assert session.condition.reason == "LEASE_LOST"


async def test_without_an_answer_it_is_tried_again(tmp_path, door):
    """The storage comes back, and so does the session."""
    async with harness(tmp_path, permit=door) as h:
        await h.active()
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        door.error = StorageUnavailable(storage_location="storageLocations/local")
        await h.manager.start(A)
        session = await h.until(State.BACKING_OFF)
        assert session.condition.reason == "STORAGE_UNAVAILABLE"
        door.error = None
        await h.elapse(0.5)
        await h.engine_of(count=2)


async def test_a_stop_does_not_wait_for_leave(tmp_path, door):
    """Nor does the server's end."""
    async with harness(tmp_path, permit=door) as h:
        await h.active()
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        door.is_open.clear()
        await h.manager.start(A)
        await h.until(State.CONNECTING)
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        await h.manager.start(A)
        await h.manager.drain(timedelta(seconds=1))
        assert len(h.engine.sessions) == 1


async def test_a_lost_session_ends_at_once_and_stays_down(tmp_path, door):
    """`lose` returns when the engine is gone: only then may another server begin."""
    async with harness(tmp_path, permit=door) as h:
        engine = await h.active()
        await h.manager.lose(A, to_other=True)
        assert engine.is_stopped
        session = h.session()
        assert (session.state, session.condition.reason) == (State.FAILED, "LEASE_LOST")
        assert session.desired is DesiredState.RUNNING
        assert not h.clock.sleeps()


async def test_a_session_that_cannot_be_proven_comes_back_by_itself(tmp_path, door):
    """The storage was away for too long: it stops, and asks again."""
    async with harness(tmp_path, permit=door) as h:
        engine = await h.active()
        await h.manager.lose(A, to_other=False)
        assert engine.is_stopped
        assert h.session().condition.reason == "STORAGE_UNAVAILABLE"
        await h.elapse(0.5)
        (await h.engine_of(count=2)).emit(Connected(account=ANN))
        assert (await h.until(State.ACTIVE)).condition is None


async def test_a_session_that_waits_for_its_next_try_is_lost_too(tmp_path, door):
    """It is not tried again."""
    async with harness(tmp_path, permit=door) as h:
        await h.active()
        await h.manager.lose(A, to_other=False)
        await h.until(State.BACKING_OFF)
        await h.manager.lose(A, to_other=True)
        session = await h.until(State.FAILED)
        assert session.condition.reason == "LEASE_LOST"
        assert not h.clock.sleeps()


async def test_losing_what_does_not_run_changes_nothing(tmp_path, door):
    """Stopped sessions, and sessions that are not there."""
    async with harness(tmp_path, permit=door) as h:
        await h.active()
        await h.manager.stop(A)
        stopped = await h.until(State.STOPPED)
        await h.manager.lose(A, to_other=True)
        await h.manager.lose(SessionName("b"), to_other=True)
        assert h.session() == stopped
