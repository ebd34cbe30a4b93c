"""What a server makes of the sessions that the one before it left, and how it leaves them."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import (
    EngineUnavailable,
    ServerDraining,
    SessionNotPaired,
    SessionWrongState,
)
from server.core.names import SessionName
from server.engine.base import Connected, EndReason
from server.sessions.model import Condition, DesiredState, SessionChanges, State, UserAction
from server.sessions.recipient import Recipient
from tests.support.builders import ANN, make_session
from tests.support.clock import START
from tests.support.sessions import collect, harness, make_store, play_pairing

A = SessionName("a")
RUNNING, STOPPED = DesiredState.RUNNING, DesiredState.STOPPED
PAIRED = {"account": ANN, "store_epoch": 1, "last_store_epoch": 1, "connect_epoch": 5}


def condition(reason):
    return Condition(reason=reason, message="m", user_action=UserAction.WAIT)


def put_store(tmp_path, epoch=1, session_id="a"):
    store = tmp_path / "sessions" / session_id / str(epoch) / "store.db"
    store.parent.mkdir(parents=True)
    store.write_bytes(b"keys")
    return store


@pytest.mark.parametrize(
    "state",
    [
        State.STOPPED,
        State.CONNECTING,
        State.PAIRING,
        State.ACTIVE,
        State.STOPPING,
        State.BACKING_OFF,
    ],
)
async def test_sessions_that_are_wanted_running_are_started(tmp_path, state):
    """Whatever they were doing when the server was killed."""
    session = make_session(state=state, desired=RUNNING, condition=condition("X"), **PAIRED)
    put_store(tmp_path)
    async with harness(tmp_path, [session]) as h:
        engine = await h.engine_of()
        assert not engine.spec.fresh
        assert engine.spec.connect_epoch == 6
        engine.emit(Connected(account=ANN))
        session = await h.until(State.ACTIVE)
        assert (session.condition, session.connect_epoch) == (None, 6)


async def test_a_text_before_the_first_step_can_be_tried_again(tmp_path):
    """What was ACTIVE when the server was killed is not in a wrong state, but not ready yet."""
    session = make_session(state=State.ACTIVE, desired=RUNNING, **PAIRED)
    put_store(tmp_path)
    async with harness(tmp_path, [session]) as h:
        assert h.manager.get(A).state is State.ACTIVE
        with pytest.raises(EngineUnavailable):
            await h.manager.send_text(A, Recipient("15550002222@s.whatsapp.net"), "hi")


@pytest.mark.parametrize(
    ("state", "reason", "is_tried"),
    [
        (State.FAILED, "STREAM_REPLACED", False),
        (State.FAILED, "LOGIN_REFUSED", False),
        (State.FAILED, "STORE_DAMAGED", False),
        (State.FAILED, "CLIENT_OUTDATED", True),
        (State.FAILED, "INTERNAL", True),
        (State.UNLINKED, "LOGGED_OUT", False),
    ],
)
async def test_a_new_server_repeats_only_what_it_may_cure(tmp_path, state, reason, is_tried):
    """An upgrade cures an outdated client; it does not end another connection."""
    epoch = {} if state is State.FAILED else {"store_epoch": 0}
    given = {**PAIRED, **epoch}
    session = make_session(state=state, desired=RUNNING, condition=condition(reason), **given)
    async with harness(tmp_path, [session]) as h:
        after = await h.manager.update(A, SessionChanges())
        if is_tried:
            assert after.state is State.CONNECTING
            await h.engine_of()
        else:
            assert after == session
            assert h.engine.sessions == []


@pytest.mark.parametrize("state", [State.CONNECTING, State.ACTIVE, State.STOPPING])
async def test_sessions_that_are_not_wanted_are_shown_stopped(tmp_path, state):
    """Nothing runs, so nothing else would be true."""
    session = make_session(state=state, desired=STOPPED, condition=condition("X"), **PAIRED)
    async with harness(tmp_path, [session]) as h:
        session = await h.until(State.STOPPED)
        assert session.condition is None
        assert h.engine.sessions == []


async def test_a_ban_outlasts_the_server(tmp_path):
    """The next server waits for the rest of it."""
    session = make_session(
        state=State.BACKING_OFF,
        desired=RUNNING,
        condition=condition("ACCOUNT_TEMPORARILY_BANNED"),
        next_attempt_time=START + timedelta(seconds=500),
        **PAIRED,
    )
    async with harness(tmp_path, [session]) as h:
        assert await h.manager.start(A) == session
        await h.elapse(500)
        await h.engine_of()


async def test_a_pairing_that_was_interrupted_may_be_complete(tmp_path):
    """Only the store knows: if the engine can log in with it, the session is paired."""
    session = make_session(
        state=State.PAIRING, desired=RUNNING, last_store_epoch=2, connect_epoch=1
    )
    store = put_store(tmp_path, epoch=2)
    async with harness(tmp_path, [session]) as h:
        engine = await h.engine_of()
        assert (engine.spec.store, engine.spec.fresh) == (store, False)
        engine.emit(Connected(account=ANN))
        session = await h.until(State.ACTIVE)
        assert (session.account, session.store_epoch, session.is_paired) == (ANN, 2, True)
        await h.until_true(lambda: True)
        while not h.paired:
            await asyncio.sleep(0)
        assert h.paired == [A]


async def test_an_interrupted_pairing_waits_for_the_network(tmp_path):
    """It is not given up because WhatsApp cannot be reached just now, nor by the next server."""
    session = make_session(state=State.PAIRING, desired=RUNNING, last_store_epoch=2)
    store = put_store(tmp_path, epoch=2)
    async with harness(tmp_path, [session]) as h:
        (await h.engine_of()).end(EndReason.CONNECT_FAILED)
        await h.until(State.BACKING_OFF)
        await h.elapse(0.5)
        await h.engine_of(count=2)
        await h.manager.drain(timedelta(seconds=1))
        session = h.session()
        assert session.state is State.BACKING_OFF
    async with harness(tmp_path, [session]) as h:
        engine = await h.engine_of()
        assert engine.spec.store == store
        engine.emit(Connected(account=ANN))
        assert (await h.until(State.ACTIVE)).is_paired


async def test_an_interrupted_pairing_that_was_not_complete_is_cleared_away(tmp_path):
    """The store holds no device: to trash with it."""
    session = make_session(state=State.PAIRING, desired=RUNNING, last_store_epoch=2)
    put_store(tmp_path, epoch=2)
    async with harness(tmp_path, [session]) as h:
        (await h.engine_of()).end(EndReason.STORE_DAMAGED)
        session = await h.until(State.STOPPED)
        assert (session.desired, session.condition) == (STOPPED, None)
        await h.until_trash("a-pairing-interrupted")
        assert h.paired == []


async def test_a_pairing_without_a_store_is_simply_over(tmp_path):
    """The server died before the engine began."""
    session = make_session(state=State.CONNECTING, desired=RUNNING, last_store_epoch=1)
    async with harness(tmp_path, [session]) as h:
        session = await h.until(State.STOPPED)
        assert session.desired is STOPPED
        assert h.engine.sessions == []


async def test_stores_that_no_session_refers_to_go_to_trash(tmp_path):
    """A server that died between two steps leaves them."""
    session = make_session(state=State.STOPPED, **PAIRED)
    live = put_store(tmp_path, epoch=1)
    put_store(tmp_path, epoch=2)
    async with harness(tmp_path, [session]) as h:
        await h.until_trash("a-unused")
        assert live.exists()


async def test_a_deletion_that_was_interrupted_is_completed(tmp_path):
    """Recorded first, moved second."""
    put_store(tmp_path)
    async with harness(tmp_path, [make_session(state=State.DELETED, **PAIRED)]) as h:
        await h.until_trash("a-deleted")
        session = await h.manager.undelete(A)
        assert session.is_paired
        assert h.manager.store_path(A).read_bytes() == b"keys"


async def test_a_drain_ends_engines_and_keeps_what_is_wanted(tmp_path):
    """In parallel; the sessions say why they are down, and the next server starts them."""
    async with harness(tmp_path) as h:
        engines = [await h.active(one) for one in ("a", "b")]
        await h.manager.drain(timedelta(seconds=1))
        assert all(engine.is_stopped for engine in engines)
        for one in ("a", "b"):
            session = h.session(one)
            assert (session.state, session.desired) == (State.STOPPED, RUNNING)
            assert session.condition.reason == "SERVER_DRAINING"
            assert session.clean_epoch == session.connect_epoch
        for call in (
            h.manager.start(A),
            h.manager.unlink(A),
            h.manager.delete(A),
            h.manager.create(session_id="c"),
            anext(h.manager.pair(A)),
            h.manager.hold(A, "operations/x").__aenter__(),
        ):
            with pytest.raises(ServerDraining):
                await call
        sessions = list(h.registry)
    async with harness(tmp_path, sessions) as h:
        for one in ("a", "b"):
            assert h.session(one).condition is None or await h.until(State.CONNECTING, one)
            (await h.engine_of(one)).emit(Connected(account=ANN))
            assert (await h.until(State.ACTIVE, one)).condition is None


async def test_leaving_the_manager_drains(tmp_path):
    """No engine outlives its server's orderly end."""
    async with harness(tmp_path) as h:
        engine = await h.active()
    assert engine.is_stopped
    assert h.session().state is State.STOPPED


async def test_a_drain_waits_for_a_session_in_backoff_no_longer(tmp_path):
    """There is nothing to end."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(EndReason.CRASHED)
        await h.until(State.BACKING_OFF)
        await h.manager.drain(timedelta(seconds=1))
        assert h.session().state is State.BACKING_OFF
        h.clock.advance(100)
        await asyncio.sleep(0)
        assert len(h.engine.sessions) == 1


async def test_an_interrupted_pairing_can_be_deleted(tmp_path):
    """While it is not known yet whether it was complete."""
    session = make_session(state=State.PAIRING, desired=RUNNING, last_store_epoch=1)
    put_store(tmp_path)
    async with harness(tmp_path, [session]) as h:
        make_store(await h.engine_of())
        assert (await h.manager.delete(A)).state is State.DELETED
        assert h.trash() == ["a-deleted", "a-pairing-interrupted"]


@pytest.mark.parametrize("how", ["stop", "delete"])
async def test_an_interrupted_pairing_can_be_given_up(tmp_path, how):
    """While it waits for the network; then it can be paired anew."""
    session = make_session(state=State.PAIRING, desired=RUNNING, last_store_epoch=2)
    put_store(tmp_path, epoch=2)
    async with harness(tmp_path, [session]) as h:
        (await h.engine_of()).end(EndReason.CONNECT_FAILED)
        await h.until(State.BACKING_OFF)
        for call in (h.manager.start(A), h.manager.unlink(A)):
            with pytest.raises(SessionNotPaired):
                await call
        with pytest.raises(SessionWrongState):
            await anext(h.manager.pair(A))
        if how == "delete":
            await h.manager.delete(A)
            assert h.trash() == ["a-deleted", "a-pairing-interrupted"]
            return
        session = await h.manager.stop(A)
        assert (session.state, session.desired) == (State.STOPPED, STOPPED)
        assert h.trash() == ["a-pairing-interrupted"]
        async with asyncio.TaskGroup() as group:
            pairing = group.create_task(collect(h.manager.pair(A)))
            engine = await h.engine_of(count=2)
            play_pairing(engine)
            await pairing
        assert engine.spec.store.parent.name == "3"
