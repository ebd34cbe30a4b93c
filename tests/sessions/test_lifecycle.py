"""Start, stop, restart: what is wanted against what happens."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import (
    EtagMismatch,
    SessionExists,
    SessionNotFound,
    SessionNotPaired,
    SessionWrongState,
)
from server.core.names import SessionName
from server.engine.base import Connected, Disconnected, EndReason
from server.sessions.model import DesiredState, SessionChanges, State
from server.sessions.services import SupervisionConfig
from tests.support.builders import ANN
from tests.support.sessions import harness

A = SessionName("a")
GRACE = timedelta(seconds=10)


async def test_stop_and_start(tmp_path):
    """What is wanted is stored before the answer; the store is the same."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        session = await h.manager.stop(A, GRACE)
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


async def test_one_device_is_used_by_one_session(tmp_path):
    """A second one, restored from a copy of the first, may start when the first is down."""
    async with harness(tmp_path) as h:
        await h.active("a")
        store = tmp_path / "copy.db"
        store.write_bytes(b"store")
        await h.manager.create(session_id="b")
        async with h.manager.hold(SessionName("b"), "operations/o") as held:
            await held.install(store, account=ANN)
        with pytest.raises(SessionWrongState) as refused:
            await h.manager.start(SessionName("b"))
        assert refused.value.session == "sessions/a"
        assert refused.value.state == "ACTIVE"
        assert h.session("b").desired is DesiredState.STOPPED
        await h.manager.stop(A, GRACE)
        await h.until(State.STOPPED)
        session = await h.manager.start(SessionName("b"))
        assert session.state is State.CONNECTING
        with pytest.raises(SessionWrongState):
            await h.manager.start(A)


async def test_start_and_stop_can_be_repeated(tmp_path):
    """A second call changes nothing and starts nothing."""
    async with harness(tmp_path) as h:
        await h.active()
        before = h.session()
        assert await h.manager.start(A) == before
        await h.manager.stop(A, GRACE)
        stopped = await h.until(State.STOPPED)
        assert await h.manager.stop(A, GRACE) == stopped
        assert len(h.engine.sessions) == 1


async def test_a_start_before_the_stop_has_ended_wins(tmp_path):
    """The session comes back as soon as its engine is gone, without counting as a failure."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        gate = asyncio.Event()
        stop = engine.stop

        async def slow_stop(grace):
            await gate.wait()
            await stop(grace)

        engine.stop = slow_stop
        await h.manager.stop(A, GRACE)
        session = await h.manager.start(A)
        assert (session.desired, session.state) == (DesiredState.RUNNING, State.STOPPING)
        gate.set()
        again = await h.engine_of(count=2)
        again.emit(Connected(account=ANN))
        session = await h.until(State.ACTIVE)
        assert session.condition is None
        assert State.BACKING_OFF not in h.states()


async def test_a_stop_while_the_engine_is_being_started(tmp_path):
    """It is stopped as soon as it exists."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.stop(A, GRACE)
        await h.until(State.STOPPED)
        gate = asyncio.Event()
        start = h.engine.start

        async def slow_start(spec):
            await gate.wait()
            return await start(spec)

        h.engine.start = slow_start
        await h.manager.start(A)
        await h.manager.stop(A, GRACE)
        gate.set()
        engine = await h.engine_of(count=2)
        await engine.wait_stopped()
        session = await h.until(State.STOPPED)
        assert session.clean_epoch == session.connect_epoch == 2


async def test_a_login_that_comes_after_the_stop_changes_nothing(tmp_path):
    """The session is on its way down, and stays so."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.stop(A, GRACE)
        await h.until(State.STOPPED)
        await h.manager.start(A)
        engine = await h.engine_of(count=2)
        gate = asyncio.Event()
        stop = engine.stop

        async def slow_stop(grace):
            engine.emit(Connected(account=ANN))
            engine.emit(Disconnected())
            await gate.wait()
            await stop(grace)

        engine.stop = slow_stop
        await h.manager.stop(A, GRACE)
        gate.set()
        session = await h.until(State.STOPPED)
        assert session.condition is None
        assert h.states()[-3:] == [State.CONNECTING, State.STOPPING, State.STOPPED]


async def test_an_unpaired_session_cannot_be_started(tmp_path):
    """There is nothing to connect with."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        with pytest.raises(SessionNotPaired):
            await h.manager.start(A)
        with pytest.raises(SessionWrongState):
            await h.manager.undelete(A)
        assert h.manager.store_path(A) is None
        assert h.engine.sessions == []


async def test_every_start_has_a_new_number_before_it_happens(tmp_path):
    """What is compared with a backup's number must never be behind the truth."""
    async with harness(tmp_path) as h:
        recorded = []
        h.engine.on_start = lambda engine: recorded.append(
            (engine.spec.connect_epoch, h.session().connect_epoch)
        )
        engine = await h.active()
        for count in (2, 3):
            engine.end(EndReason.CRASHED)
            await h.until(State.BACKING_OFF)
            await h.elapse({2: 0.5, 3: 5}[count])
            engine = await h.engine_of(count=count)
        assert recorded == [(1, 1), (2, 2), (3, 3)]
        assert h.session().clean_epoch == 0


async def test_a_stop_during_the_backoff_cancels_the_next_try(tmp_path):
    """Nothing is started afterwards."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(EndReason.CRASHED)
        await h.until(State.BACKING_OFF)
        await h.clock.sleeping(0.5)
        session = await h.manager.stop(A, GRACE)
        assert (session.state, session.condition) == (State.STOPPED, None)
        assert session.next_attempt_time is None
        h.clock.advance(3600)
        assert await h.manager.stop(A, GRACE) == session
        assert len(h.engine.sessions) == 1


async def test_a_start_during_the_backoff_does_not_wait(tmp_path):
    """A person who asks is not told to be patient."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(EndReason.CONNECT_FAILED)
        await h.until(State.BACKING_OFF)
        session = await h.manager.start(A)
        assert session.state is State.CONNECTING
        assert session.condition.reason == "CONNECT_FAILED"
        (await h.engine_of(count=2)).emit(Connected(account=ANN))
        await h.until(State.ACTIVE)
        h.clock.advance(3600)
        assert await h.manager.start(A) == h.session()
        assert len(h.engine.sessions) == 2


async def test_a_person_who_starts_it_again_starts_the_delays_over(tmp_path):
    """Who asks has seen to the cause, or wants to know now."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(EndReason.CONNECT_FAILED)
        for count, delay in [(2, 0.5), (3, 5), (4, 10)]:
            await h.until(State.BACKING_OFF)
            await h.elapse(delay)
            (await h.engine_of(count=count)).end(EndReason.CONNECT_FAILED)
        await h.until(State.BACKING_OFF)
        await h.manager.stop(A)
        await h.manager.start(A)
        (await h.engine_of(count=5)).end(EndReason.CONNECT_FAILED)
        session = await h.until(State.BACKING_OFF)
        assert session.next_attempt_time == h.clock.now() + timedelta(seconds=0.5)


async def test_a_name_is_given_once(tmp_path):
    """Also when two ask for it in the same moment; the server finds a free one by itself."""
    async with harness(tmp_path) as h:
        results = []

        async def create():
            try:
                results.append(await h.manager.create(session_id="a", display_name="x"))
            except SessionExists:
                results.append(None)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(create())
        assert len([result for result in results if result]) == 1
        chosen = await h.manager.create(labels={"k": "v"})
        assert h.manager.get(chosen.name).labels == {"k": "v"}
        assert [session.name for session in h.manager.list()] == sorted([A, chosen.name])


async def test_an_unknown_session_is_not_found(tmp_path):
    """By every call."""
    async with harness(tmp_path) as h:
        for call in (
            h.manager.start(A),
            h.manager.stop(A),
            h.manager.delete(A),
            h.manager.undelete(A),
            h.manager.unlink(A),
            h.manager.update(A, SessionChanges()),
            anext(h.manager.pair(A)),
            h.manager.hold(A, "operations/x").__aenter__(),
        ):
            with pytest.raises(SessionNotFound):
                await call


async def test_an_update_changes_what_is_given(tmp_path):
    """With a new etag and an event; an old etag is refused; nothing new is no change."""
    async with harness(tmp_path) as h:
        created = await h.manager.create(session_id="a", display_name="x", labels={"a": "1"})
        changed = await h.manager.update(
            A, SessionChanges(labels={}, proxy_url="socks5://p:1"), created.etag
        )
        assert (changed.display_name, changed.labels) == ("x", {})
        assert changed.etag != created.etag
        assert h.journal.history(A) == [created, changed]
        with pytest.raises(EtagMismatch):
            await h.manager.update(A, SessionChanges(display_name="y"), created.etag)
        assert await h.manager.update(A, SessionChanges(labels={}), changed.etag) == changed
        assert len(h.journal.history(A)) == 2


async def test_a_new_proxy_is_used_from_the_next_start_on(tmp_path):
    """The engine gets it with its start."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.update(A, SessionChanges(proxy_url="http://proxy:3128"))
        await h.manager.stop(A, GRACE)
        await h.until(State.STOPPED)
        await h.manager.start(A)
        assert (await h.engine_of(count=2)).spec.proxy_url == "http://proxy:3128"


async def test_what_the_engine_does_not_know_of_the_account_stays(tmp_path):
    """LID and push name are not always reported again."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.stop(A, GRACE)
        await h.until(State.STOPPED)
        await h.manager.start(A)
        engine = await h.engine_of(count=2)
        engine.emit(Connected(account=type(ANN)(jid=ANN.jid, lid="", push_name="Anna", device=2)))
        session = await h.until(State.ACTIVE)
        assert (session.account.lid, session.account.push_name) == (ANN.lid, "Anna")


async def test_only_so_many_engines_start_at_once(tmp_path):
    """A slot is free again when there is news of the start before."""
    async with harness(tmp_path, config=SupervisionConfig(concurrent_starts=2)) as h:
        ids = ["a", "b", "c", "d"]
        for session_id in ids:
            await h.active(session_id)
            await h.manager.stop(SessionName(session_id), GRACE)
            await h.until(State.STOPPED, session_id)
        for session_id in ids:
            await h.manager.start(SessionName(session_id))
        for connected in range(4):
            await h.until_true(lambda: all(h.session(i).state is not State.STOPPED for i in ids))
            async with asyncio.timeout(20):
                while len(h.engine.sessions) < min(4 + connected + 2, 8):
                    await asyncio.sleep(0.001)
            assert len(h.engine.sessions) == min(4 + connected + 2, 8)
            h.engine.sessions[4 + connected].emit(Connected(account=ANN))
