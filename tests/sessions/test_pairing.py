"""Pairing by QR code and by pairing code."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import (
    ClientOutdated,
    EngineUnavailable,
    FieldInvalid,
    PairingExpired,
    PairingRejected,
    ServerDraining,
    SessionAlreadyPaired,
    SessionWrongState,
    StorageUnavailable,
)
from server.core.names import SessionName
from server.engine.base import Connected, Disconnected, EndReason, Paired
from server.sessions.model import DesiredState, State, UserAction
from server.sessions.pairing import CodeChallenge, PairingCompleted, QrChallenge
from tests.support.builders import ANN, make_backup
from tests.support.sessions import collect, harness, make_store, play_pairing, qr_code

A = SessionName("a")
PHONE = "+15550001111"


async def begin(h, phone=None, count=1):
    """The stream of an attempt, and its engine at the first QR code."""
    steps = h.manager.pair(A, phone)
    first = asyncio.ensure_future(anext(steps))  # noqa: TID251 - the test awaits it
    engine = await h.engine_of(count=count)
    make_store(engine)
    engine.emit(qr_code(1))
    return steps, await first, engine


async def test_a_session_is_paired_by_qr_and_becomes_active(tmp_path):
    """The whole way, as subscribers see it; a stopped session is started for it."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, first, engine = await begin(h)
        expire_time = h.clock.now() + timedelta(seconds=60)
        assert first == QrChallenge(payload="qr 1", expire_time=expire_time, attempt=1)
        session = await h.until(State.PAIRING)
        assert session.desired is DesiredState.RUNNING
        assert not session.is_paired
        engine.emit(qr_code(2))
        assert (await anext(steps)).attempt == 2
        engine.emit(Paired(account=ANN))
        engine.emit(Connected(account=ANN))
        assert await collect(steps) == [PairingCompleted(account=ANN)]
        session = h.session()
        assert h.states() == [State.STOPPED, State.CONNECTING, State.PAIRING, State.ACTIVE]
        assert (session.account, session.is_paired) == (ANN, True)
        assert (session.store_epoch, session.connect_epoch) == (1, 1)
        assert engine.spec.store == tmp_path / "sessions/a/1/store.db"
        assert engine.spec.fresh
        assert h.manager.store_path(A) == engine.spec.store
        assert h.paired == [A]
        assert h.trash() == []


async def test_a_code_is_requested_once_there_is_a_qr_code(tmp_path):
    """Before, WhatsApp is not there; the code lives as long as the attempt."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, first, engine = await begin(h, PHONE)
        assert engine.pairing_requests == ["15550001111"]
        expire_time = h.clock.now() + timedelta(seconds=160)
        assert first == CodeChallenge(payload="ABCD-2345", expire_time=expire_time, attempt=1)
        engine.emit(qr_code(2))
        play_pairing(engine)
        assert await collect(steps) == [PairingCompleted(account=ANN)]
        assert len(engine.pairing_requests) == 1


async def test_everybody_attaches_to_the_running_attempt(tmp_path):
    """By either method; nobody's leaving ends it; all are told of the end."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, _, engine = await begin(h)
        again = h.manager.pair(A)
        assert (await anext(again)).payload == "qr 1"
        await steps.aclose()
        by_code = h.manager.pair(A, PHONE)
        assert (await anext(by_code)).payload == "ABCD-2345"
        assert (await anext(h.manager.pair(A, PHONE))).payload == "ABCD-2345"
        engine.pairing_code = "WXYZ-6789"
        other = h.manager.pair(A, "+15550009999")
        steps_of_other = [await anext(other)]
        while steps_of_other[-1].payload != "WXYZ-6789":
            steps_of_other.append(await anext(other))
        assert engine.pairing_requests == ["15550001111", "15550009999"]
        play_pairing(engine)
        for watcher in (again, by_code, other):
            assert (await collect(watcher))[-1] == PairingCompleted(account=ANN)
        assert len(h.engine.sessions) == 1


@pytest.mark.parametrize(
    ("reason", "error", "condition", "action"),
    [
        (EndReason.PAIRING_EXPIRED, PairingExpired, "PAIRING_EXPIRED", UserAction.PAIR_AGAIN),
        (EndReason.PAIRING_REJECTED, PairingRejected, "PAIRING_REJECTED", UserAction.PAIR_AGAIN),
        (EndReason.CLIENT_OUTDATED, ClientOutdated, "CLIENT_OUTDATED", UserAction.UPGRADE_SERVER),
        (EndReason.LOGIN_REFUSED, PairingRejected, "LOGIN_REFUSED", UserAction.OPEN_PHONE),
        (EndReason.LOGGED_OUT, PairingRejected, "LOGGED_OUT", UserAction.PAIR_AGAIN),
        (EndReason.CONNECT_FAILED, EngineUnavailable, "CONNECT_FAILED", UserAction.CHECK_NETWORK),
        (EndReason.CRASHED, EngineUnavailable, "ENGINE_CRASHED", UserAction.PAIR_AGAIN),
    ],
)
async def test_a_failed_pairing_leaves_nothing(tmp_path, reason, error, condition, action):
    """The session is as before, but for the reason; the unused store is in trash."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, _, engine = await begin(h)
        engine.end(reason)
        with pytest.raises(error):
            await collect(steps)
        session = h.session()
        assert (session.state, session.desired) == (State.STOPPED, DesiredState.STOPPED)
        assert (session.condition.reason, session.condition.user_action) == (condition, action)
        assert "trying again" not in session.condition.message
        assert "starting it again" not in session.condition.message
        assert (session.account, session.store_epoch) == (None, 0)
        slug = condition.lower().replace("_", "-")
        assert h.trash() == [f"a-pairing-{slug.removeprefix('pairing-')}"]
        h.clock.advance(3600)
        _, _, again = await begin(h, count=2)
        assert again.spec.store.parent.name == "2"
        assert h.session().condition is None
        assert len(h.engine.sessions) == 2


async def test_a_failed_pairing_of_an_unlinked_session_leaves_it_unlinked(tmp_path):
    """With the reason why it was unlinked."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(EndReason.LOGGED_OUT)
        before = await h.until(State.UNLINKED)
        steps, _, engine = await begin(h, count=2)
        engine.end(EndReason.PAIRING_EXPIRED)
        with pytest.raises(PairingExpired):
            await collect(steps)
        session = h.session()
        assert (session.state, session.condition) == (State.UNLINKED, before.condition)
        assert session.account == ANN
        assert h.trash() == ["a-logged-out", "a-pairing-expired"]


async def test_an_unlinked_session_is_paired_again_in_a_new_store(tmp_path):
    """whatsmeow would keep the old keys beside a new device in the same store."""
    async with harness(tmp_path) as h:
        first = await h.active()
        first.end(EndReason.LOGGED_OUT)
        await h.until(State.UNLINKED)
        await h.until_trash("a-logged-out")
        steps, _, engine = await begin(h, count=2)
        play_pairing(engine)
        await collect(steps)
        assert engine.spec.store.parent.name == "2"
        assert h.session().store_epoch == 2
        assert h.trash() == ["a-logged-out"]


async def test_a_paired_session_is_not_paired_again(tmp_path):
    """Whether it runs or not; only unlinking makes it possible."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        for state in (State.ACTIVE, State.STOPPED):
            await h.until(state)
            with pytest.raises(SessionAlreadyPaired):
                await anext(h.manager.pair(A))
            await h.manager.stop(A)
        assert engine.spec.store.exists()


async def test_stopping_ends_the_attempt(tmp_path):
    """Nothing is left of it, not even a reason."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, _, _ = await begin(h)
        session = await h.manager.stop(A)
        assert session.state is State.STOPPING
        with pytest.raises(SessionWrongState) as error:
            await collect(steps)
        assert error.value.allowed_states == ("PAIRING",)
        session = h.session()
        assert (session.state, session.condition) == (State.STOPPED, None)
        assert h.trash() == ["a-pairing-stopped"]


async def test_the_phone_may_accept_in_the_moment_of_the_stop(tmp_path):
    """Then the session is paired, and stopped: a linked device is never thrown away."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, _, engine = await begin(h)
        gate = asyncio.Event()
        stop = engine.stop

        async def slow_stop(grace):
            await gate.wait()
            await stop(grace)

        engine.stop = slow_stop
        await h.manager.stop(A)
        engine.emit(Paired(account=ANN))
        gate.set()
        with pytest.raises(SessionWrongState):
            await collect(steps)
        session = await h.until(State.STOPPED)
        assert session.is_paired
        assert engine.spec.store.exists()


async def test_a_refused_number_ends_the_attempt(tmp_path):
    """WhatsApp refuses numbers it does not know and those that ask too often."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")

        def refuse(engine):
            async def request(phone):
                raise PairingRejected(session="sessions/a")

            engine.request_pairing_code = request

        h.engine.on_start = refuse
        steps = h.manager.pair(A, PHONE)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(expect(PairingRejected, steps))
            engine = await h.engine_of()
            engine.emit(qr_code(1))
            await watching
        session = h.session()
        assert session.state is State.STOPPED
        assert session.condition.reason == "PAIRING_REJECTED"


async def expect(error, steps):
    with pytest.raises(error):
        await collect(steps)


async def test_a_bad_number_is_refused_at_once(tmp_path):
    """Nothing is started for it."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        with pytest.raises(FieldInvalid) as error:
            await anext(h.manager.pair(A, "555"))
        assert error.value.field == "phone.phone_number"
        assert h.engine.sessions == []


async def test_a_pairing_that_breaks_after_the_phone_accepted_is_completed(tmp_path):
    """whatsmeow can stay paired but idle for ever then; a new engine logs in at once."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, _, engine = await begin(h)
        engine.emit(Paired(account=ANN))
        await h.until_true(lambda: h.session().is_paired)
        await h.elapse(15)
        await h.until(State.BACKING_OFF)
        assert engine.is_stopped
        await h.elapse(0.5)
        again = await h.engine_of(count=2)
        assert (again.spec.store, again.spec.fresh) == (engine.spec.store, False)
        again.emit(Connected(account=ANN))
        assert (await collect(steps))[-1] == PairingCompleted(account=ANN)
        assert h.paired == [A]


@pytest.mark.parametrize(
    ("reason", "error", "state"),
    [
        (EndReason.LOGGED_OUT, PairingRejected, State.UNLINKED),
        (EndReason.STREAM_REPLACED, EngineUnavailable, State.FAILED),
    ],
)
async def test_a_pairing_can_fail_after_the_phone_accepted(tmp_path, reason, error, state):
    """Those who watch are told; the session shows why."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, _, engine = await begin(h)
        engine.emit(Paired(account=ANN))
        engine.end(reason)
        with pytest.raises(error):
            await collect(steps)
        assert (await h.until(state)).condition.reason == reason.name


async def test_an_engine_that_says_nothing_does_not_keep_an_attempt_for_ever(tmp_path):
    """The engine has its own deadlines; this is for one that has lost them."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        async with asyncio.TaskGroup() as group:
            group.create_task(expect(EngineUnavailable, h.manager.pair(A)))
            await h.engine_of()
            await h.elapse(300)
        assert (await h.until(State.STOPPED)).condition.reason == "CONNECT_FAILED"


async def test_the_first_backup_comes_before_the_completion(tmp_path):
    """Nobody is told that it is done while one disk failure could undo it."""
    gate, asked = asyncio.Event(), asyncio.Event()

    async def back_up(name):
        asked.set()
        await gate.wait()

    async with harness(tmp_path, on_paired=back_up) as h:
        await h.manager.create(session_id="a")
        steps, _, engine = await begin(h)
        async with asyncio.TaskGroup() as group:
            end = group.create_task(collect(steps))
            play_pairing(engine)
            await asked.wait()
            assert h.session().state is State.ACTIVE
            for _ in range(10):
                await asyncio.sleep(0)
            assert not end.done()
            gate.set()
            assert (await end)[-1] == PairingCompleted(account=ANN)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StorageUnavailable(storage_location="local"), "STORAGE_UNAVAILABLE"),
        (OSError("disk"), "INTERNAL"),
    ],
)
async def test_a_failed_first_backup_does_not_lose_the_pairing(tmp_path, error, reason):
    """It becomes a condition of the running session."""

    async def fail(name):
        raise error

    async with harness(tmp_path, on_paired=fail) as h:
        await h.manager.create(session_id="a")
        steps, _, engine = await begin(h)
        play_pairing(engine)
        assert (await collect(steps))[-1] == PairingCompleted(account=ANN)
        session = await h.until_true(lambda: h.session().condition and h.session())
        assert (session.state, session.condition.reason) == (State.ACTIVE, reason)
        assert "disk" not in session.condition.message
        engine.emit(Disconnected())
        engine.emit(Connected(account=ANN))
        await h.until(State.CONNECTING)
        session = await h.until(State.ACTIVE)
        assert session.condition.reason == reason  # there still is no backup
        await h.manager.tell_backup(session.name, make_backup(), is_newest=True)
        assert h.session().condition is None


async def test_a_drain_ends_the_attempt(tmp_path):
    """Those who watch are told that the server goes."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        steps, _, _ = await begin(h)
        async with asyncio.TaskGroup() as group:
            group.create_task(expect(ServerDraining, steps))
            await h.manager.drain(timedelta(seconds=1))
        session = h.session()
        assert (session.state, session.desired) == (State.STOPPED, DesiredState.STOPPED)
