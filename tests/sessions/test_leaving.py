"""Deleting, undeleting and unlinking."""

import asyncio

import pytest

from server.core.errors import (
    EngineUnavailable,
    EtagMismatch,
    SessionAlreadyPaired,
    SessionExists,
    SessionNotPaired,
    SessionWrongState,
)
from server.core.names import SessionName
from server.engine.base import Connected, EndReason
from server.sessions.model import DesiredState, SessionChanges, State, UserAction
from server.sessions.services import SupervisionConfig
from server.sessions.trash import read_note
from tests.support.builders import ANN
from tests.support.sessions import collect, harness, make_store, play_pairing

A = SessionName("a")


async def test_a_deleted_session_is_in_trash_and_comes_back(tmp_path):
    """Engine ended, everything moved, nothing lost; it comes back stopped and still paired."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        session = await h.manager.delete(A, h.session().etag)
        assert engine.is_stopped
        assert (session.state, session.desired) == (State.DELETED, DesiredState.STOPPED)
        assert session.delete_time == h.clock.now()
        assert session.purge_time == h.clock.now() + SupervisionConfig().trash_time
        assert h.manager.get(A) == session
        assert h.manager.list() == []
        assert h.manager.store_path(A) is None
        assert h.trash() == ["a-deleted"]
        (folder,) = (tmp_path / "trash").iterdir()
        assert read_note(folder).restore == "roost sessions undelete a"
        assert not (tmp_path / "sessions/a").exists()

        session = await h.manager.undelete(A)
        assert (session.state, session.is_paired) == (State.STOPPED, True)
        assert (session.delete_time, session.purge_time) == (None, None)
        assert h.manager.store_path(A).read_bytes() == b"store of epoch 1"
        await h.manager.start(A)
        (await h.engine_of(count=2)).emit(Connected(account=ANN))
        await h.until(State.ACTIVE)


async def test_a_deleted_session_does_nothing(tmp_path):
    """Its name stays taken; deleting it again is no error; only undelete helps."""
    async with harness(tmp_path) as h:
        await h.active()
        deleted = await h.manager.delete(A)
        assert await h.manager.delete(A, "any") == deleted
        for call in (
            h.manager.start(A),
            h.manager.stop(A),
            h.manager.unlink(A),
            h.manager.update(A, SessionChanges(display_name="x")),
            anext(h.manager.pair(A)),
            h.manager.send_text(A, None, "x"),
        ):
            with pytest.raises(SessionWrongState) as error:
                await call
            assert error.value.state == "DELETED"
        with pytest.raises(SessionExists):
            await h.manager.create(session_id="a")
        assert h.session() == deleted


async def test_a_session_without_files_can_be_deleted(tmp_path):
    """Never paired: there is nothing to move, in either direction."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        await h.manager.delete(A)
        session = await h.manager.undelete(A)
        assert (session.state, session.is_paired) == (State.STOPPED, False)


async def test_a_stale_etag_deletes_nothing(tmp_path):
    """And stops nothing."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        with pytest.raises(EtagMismatch):
            await h.manager.delete(A, "stale")
        assert h.session().state is State.ACTIVE
        assert not engine.is_stopped


async def test_a_running_pairing_can_be_deleted(tmp_path):
    """The attempt ends, the session goes."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        async with asyncio.TaskGroup() as group:

            async def watch():
                with pytest.raises(SessionWrongState):
                    await collect(h.manager.pair(A))

            group.create_task(watch())
            make_store(await h.engine_of())
            assert (await h.manager.delete(A)).state is State.DELETED
        assert h.trash() == ["a-deleted", "a-pairing-stopped"]


async def test_two_who_delete_get_the_same_answer(tmp_path):
    """And nothing else is accepted meanwhile."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        gate = asyncio.Event()
        stop = engine.stop

        async def slow_stop(grace):
            await gate.wait()
            await stop(grace)

        engine.stop = slow_stop
        async with asyncio.TaskGroup() as group:
            first = group.create_task(h.manager.delete(A))
            await h.until(State.STOPPING)
            second = group.create_task(h.manager.delete(A))
            for call in (h.manager.start(A), h.manager.unlink(A)):
                with pytest.raises(SessionWrongState):
                    await call
            gate.set()
        assert first.result() == second.result() == h.session()
        assert h.session().state is State.DELETED


async def test_unlinking_logs_out_and_keeps_the_keys_in_trash(tmp_path):
    """It can be paired again at once, in a new store."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        session = await h.manager.unlink(A)
        assert (session.state, session.desired) == (State.UNLINKED, DesiredState.STOPPED)
        assert session.condition.reason == "UNLINKED_BY_USER"
        assert session.condition.user_action is UserAction.PAIR_AGAIN
        assert (session.account, session.is_paired) == (ANN, False)
        assert h.trash() == ["a-unlinked-by-user"]
        assert not engine.spec.store.exists()
        with pytest.raises(SessionNotPaired):
            await h.manager.unlink(A)
        with pytest.raises(SessionNotPaired):
            await h.manager.start(A)
        async with asyncio.TaskGroup() as group:
            pairing = group.create_task(collect(h.manager.pair(A)))
            again = await h.engine_of(count=2)
            play_pairing(again)
            await pairing
        assert again.spec.store.parent.name == "2"


async def test_a_stopped_session_connects_to_be_unlinked(tmp_path):
    """WhatsApp must be told; it does not stay up."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        async with asyncio.TaskGroup() as group:
            unlinking = group.create_task(h.manager.unlink(A))
            engine = await h.engine_of(count=2)
            assert not engine.spec.fresh
            engine.emit(Connected(account=ANN))
            assert (await unlinking).state is State.UNLINKED


async def test_unlinking_fails_when_whatsapp_cannot_be_told(tmp_path):
    """In time, and the session is as it was wanted before."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        async with asyncio.TaskGroup() as group:

            async def unlink():
                with pytest.raises(EngineUnavailable):
                    await h.manager.unlink(A)

            group.create_task(unlink())
            engine = await h.engine_of(count=2)
            await h.elapse(30)
        session = await h.until(State.STOPPED)
        assert engine.is_stopped
        assert session.is_paired
        assert h.trash() == []


@pytest.mark.parametrize("reason", [EndReason.CONNECT_FAILED, EndReason.CRASHED])
async def test_an_engine_that_ends_before_the_unlinking_fails_it(tmp_path, reason):
    """A running session goes on as usual."""
    async with harness(tmp_path) as h:
        engine = await h.active()

        async def break_down():
            engine.end(reason)
            raise EngineUnavailable(session="sessions/a")

        engine.on_unlink = break_down
        with pytest.raises(EngineUnavailable):
            await h.manager.unlink(A)
        session = await h.until(State.BACKING_OFF)
        assert session.is_paired
        assert session.desired is DesiredState.RUNNING


async def test_a_device_that_is_removed_on_the_phone_meanwhile_is_unlinked(tmp_path):
    """Whoever was first, it is what was asked for."""
    async with harness(tmp_path) as h:
        engine = await h.active()

        async def too_late():
            engine.end(EndReason.LOGGED_OUT)
            await asyncio.Event().wait()

        engine.on_unlink = too_late
        session = await h.manager.unlink(A)
        assert session.state is State.UNLINKED


@pytest.mark.parametrize("reason", [EndReason.STORE_DAMAGED, EndReason.LOGIN_REFUSED])
async def test_a_session_that_cannot_connect_is_unlinked_here_only(tmp_path, reason):
    """Otherwise it could never be paired again; it says that the phone was not told."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(reason)
        await h.until(State.FAILED)
        with pytest.raises(SessionAlreadyPaired):
            await anext(h.manager.pair(A))
        session = await h.manager.unlink(A)
        assert session.state is State.UNLINKED
        assert "remove the device on the phone" in session.condition.message
        assert h.trash() == ["a-unlinked-by-user"]
        assert len(h.engine.sessions) == 1


async def test_an_unpaired_session_cannot_be_unlinked(tmp_path):
    """There is no device."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        with pytest.raises(SessionNotPaired):
            await h.manager.unlink(A)
