"""Messages from the engine into the journal; texts to the engine; bugs; holds."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import (
    EngineUnavailable,
    OperationInProgress,
    SendTimedOut,
    ServerDraining,
    SessionNotPaired,
    SessionWrongState,
)
from server.core.names import SessionName
from server.engine.base import Account, Connected, Disconnected, EndReason
from server.sessions.model import DesiredState, State, UserAction
from server.sessions.recipient import Recipient
from server.sessions.run import WAITING_EVENTS
from tests.support.builders import ANN, make_message, make_raw, make_receipt
from tests.support.sessions import harness

A, B = SessionName("a"), SessionName("b")
BOB = Recipient("15550002222@s.whatsapp.net")


def spools(h, name=A):
    return [event.spool for of, event in h.journal.events if of == name and hasattr(event, "spool")]


async def test_events_are_recorded_in_order_and_then_acknowledged(tmp_path):
    """Of every kind."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(make_message(spool=0))
        engine.emit(make_receipt(0))
        engine.emit(make_raw(0))
        await engine.wait_acknowledged(3)
        assert spools(h) == [1, 2, 3]
        assert h.registry.record(A).spool_acked == 3


async def test_nothing_is_acknowledged_before_it_is_recorded(tmp_path):
    """The spool is the only other place where it is."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        gate = asyncio.Event()
        record = h.journal.record

        async def slow(*args, **kwargs):
            assert engine.acknowledged == 0
            await gate.wait()
            assert engine.acknowledged == 0
            h.journal.record = record
            await record(*args, **kwargs)

        h.journal.record = slow
        engine.emit(make_message(spool=0))
        for _ in range(10):
            await asyncio.sleep(0)
        assert engine.acknowledged == 0
        gate.set()
        await engine.wait_acknowledged(1)


async def test_what_is_repeated_is_recorded_once(tmp_path):
    """A successor repeats what its predecessor was not told to forget."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        for _ in range(5):
            engine.emit(make_message(spool=0))
        await engine.wait_acknowledged(5)
        engine.end(EndReason.CRASHED)
        await h.until(State.BACKING_OFF)
        await h.elapse(0.5)
        again = await h.engine_of(count=2)
        assert again.spec.spool_acked == 5
        for number in range(3, 9):
            again.emit(make_message(number))
        await again.wait_acknowledged(8)
        assert spools(h) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_repeats_alone_are_acknowledged_again(tmp_path):
    """The acknowledgement may have been lost with the last server."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(make_message(1))
        await engine.wait_acknowledged(1)
        engine.acknowledged = 0
        engine.emit(make_message(1))
        await engine.wait_acknowledged(1)
        assert spools(h) == [1]


async def test_events_that_wait_are_recorded_together(tmp_path):
    """Up to a hundred in one record."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        sizes = []
        record = h.journal.record

        async def count(session, events=(), **kwargs):
            sizes.append(len(events))
            await record(session, events, **kwargs)

        h.journal.record = count
        for _ in range(1000):
            engine.emit(make_message(spool=0))
        await engine.wait_acknowledged(1000)
        assert sum(sizes) == 1000
        assert max(sizes) == 100
        assert len(sizes) < 100
        assert spools(h) == list(range(1, 1001))


async def test_an_engine_has_to_wait_when_the_journal_is_slow(tmp_path):
    """Memory for unread events is bounded; the rest stays in the engine and its spool."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        gate = asyncio.Event()
        record = h.journal.record

        async def slow(*args, **kwargs):
            await gate.wait()
            await record(*args, **kwargs)

        h.journal.record = slow
        for _ in range(2000):
            engine.emit(make_message(spool=0))
        for _ in range(3000):
            await asyncio.sleep(0)
        assert engine._events.qsize() >= 2000 - 2 * WAITING_EVENTS
        gate.set()
        await engine.wait_acknowledged(2000)
        assert spools(h) == list(range(1, 2001))


async def test_events_that_came_before_the_end_are_recorded(tmp_path):
    """The last thing that an engine reports is its end."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        for _ in range(300):
            engine.emit(make_message(spool=0))
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        assert spools(h) == list(range(1, 301))


async def test_a_text_is_sent_to_the_recipients_jid(tmp_path):
    """With a fresh secret if the caller has none."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        sent = await h.manager.send_text(A, BOB, "hi")
        await h.manager.send_text(A, BOB, "ho", secret=b"s" * 32)
        first, second = engine.texts
        assert (first.recipient, first.text) == (BOB.jid, "hi")
        assert len(first.secret) == 32
        assert second.secret == b"s" * 32
        assert sent.message_id


async def test_only_an_active_session_sends(tmp_path):
    """It says whether waiting helps."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="b")
        with pytest.raises(SessionNotPaired):
            await h.manager.send_text(B, BOB, "hi")
        engine = await h.active()
        engine.emit(Disconnected())
        await h.until(State.CONNECTING)
        with pytest.raises(EngineUnavailable):
            await h.manager.send_text(A, BOB, "hi")
        engine.emit(Connected(account=ANN))
        await h.until(State.ACTIVE)
        await h.manager.stop(A)
        with pytest.raises((SessionWrongState, EngineUnavailable)):
            await h.manager.send_text(A, BOB, "hi")
        await h.until(State.STOPPED)
        with pytest.raises(SessionWrongState) as error:
            await h.manager.send_text(A, BOB, "hi")
        assert error.value.allowed_states == ("ACTIVE",)
        assert engine.texts == []


async def test_a_send_that_timed_out_replaces_the_engine(tmp_path):
    """whatsmeow may hold its send lock for ever; the caller is told that it is not known."""
    async with harness(tmp_path) as h:
        engine = await h.active()

        async def time_out(message):
            raise SendTimedOut(session="sessions/a", message_id="M")

        engine.on_send = time_out
        with pytest.raises(SendTimedOut):
            await h.manager.send_text(A, BOB, "hi")
        session = await h.until(State.BACKING_OFF)
        assert session.condition.reason == "ENGINE_CRASHED"
        assert engine.is_stopped
        await h.elapse(0.5)
        (await h.engine_of(count=2)).emit(Connected(account=ANN))
        await h.until(State.ACTIVE)
        await h.manager.send_text(A, BOB, "hi")


async def test_a_stop_waits_for_sends_in_flight(tmp_path):
    """Within its grace."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        gate, begun = asyncio.Event(), asyncio.Event()
        send = engine.on_send

        async def slow(message):
            begun.set()
            await gate.wait()
            return await send(message)

        engine.on_send = slow
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(h.manager.send_text(A, BOB, "hi"))
            await begun.wait()
            await h.manager.stop(A, timedelta(hours=1))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not engine.is_stopped
            gate.set()
            assert (await sending).message_id
        await h.until(State.STOPPED)


async def test_a_stop_without_grace_does_not_wait(tmp_path):
    """The send fails with its engine."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        begun = asyncio.Event()

        async def stuck(message):
            begun.set()
            await engine.wait_stopped()
            raise EngineUnavailable(session="sessions/a")

        engine.on_send = stuck
        async with asyncio.TaskGroup() as group:

            async def send():
                with pytest.raises(EngineUnavailable):
                    await h.manager.send_text(A, BOB, "hi")

            group.create_task(send())
            await begun.wait()
            await h.manager.stop(A, timedelta())
            await h.until(State.STOPPED)


async def test_a_bug_fails_one_session_and_no_other(tmp_path):
    """With a traceback in the log, INTERNAL for people, and StartSession as the way back."""
    async with harness(tmp_path) as h:
        engine, other = await h.active("a"), await h.active("b")
        engine.emit(None)
        session = await h.until(State.FAILED)
        assert session.condition.reason == "INTERNAL"
        assert session.condition.user_action is UserAction.NONE
        await engine.wait_stopped()
        other.emit(make_message(spool=0))
        await other.wait_acknowledged(1)
        assert h.session("b").state is State.ACTIVE
        await h.manager.start(A)
        (await h.engine_of("a", 2)).emit(Connected(account=ANN))
        await h.until(State.ACTIVE)


async def test_a_bug_in_a_command_reaches_its_caller(tmp_path):
    """As it is: the edge makes INTERNAL of it."""
    async with harness(tmp_path) as h:
        await h.active()
        h.journal.error = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            await h.manager.stop(A)
        h.journal.error = None
        await h.active("b")
        assert (await h.manager.stop(A)).desired is DesiredState.STOPPED


async def test_an_engine_that_breaks_its_promises_is_ended(tmp_path):
    """An exception or an end without Ended is a crash of that session."""
    async with harness(tmp_path) as h:
        for failure in ("raise", "end"):

            def spoil(engine, failure=failure):
                async def events():
                    if failure == "raise":
                        raise LookupError
                    return
                    yield

                engine.events = events

            await h.active(failure)
            await h.manager.stop(SessionName(failure))
            await h.until(State.STOPPED, failure)
            h.engine.on_start = spoil
            await h.manager.start(SessionName(failure))
            session = await h.until(State.BACKING_OFF, failure)
            assert session.condition.reason == "ENGINE_CRASHED"
            h.engine.on_start = lambda _: None


async def test_a_closed_journal_ends_the_supervisors(tmp_path):
    """Nothing can be recorded any more: who asks is told that the server goes."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        h.journal.error = ServerDraining()
        engine.emit(make_message(spool=0))
        for _ in range(2):
            with pytest.raises(ServerDraining):
                await h.manager.stop(A)
        assert engine.acknowledged == 0


async def test_one_operation_at_a_time_holds_a_session(tmp_path):
    """Start, pair, unlink and delete are refused with its name; the session runs on."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        async with h.manager.hold(A, "operations/one"):
            for call in (
                h.manager.hold(A, "operations/two").__aenter__(),
                h.manager.start(A),
                h.manager.unlink(A),
                h.manager.delete(A),
                anext(h.manager.pair(A)),
            ):
                with pytest.raises(OperationInProgress) as error:
                    await call
                assert error.value.operation == "operations/one"
            engine.emit(make_message(spool=0))
            await engine.wait_acknowledged(1)
            async with h.manager.hold(B, "operations/b") if B in h.registry else _nothing():
                pass
            await h.manager.stop(A)
            await h.until(State.STOPPED)
        await h.manager.start(A)
        await h.engine_of(count=2)


class _nothing:  # noqa: N801 - reads as what it is
    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None


async def test_a_held_session_restarts_its_engine(tmp_path):
    """A hot backup is no reason to be down."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        async with h.manager.hold(A, "operations/one"):
            engine.end(EndReason.CRASHED)
            await h.until(State.BACKING_OFF)
            await h.elapse(0.5)
            (await h.engine_of(count=2)).emit(Connected(account=ANN))
            await h.until(State.ACTIVE)


async def test_restored_credentials_take_the_place_of_the_old(tmp_path):
    """In an epoch of their own; the old ones go to trash; the session is left stopped."""
    bob = Account(jid="15550002222@s.whatsapp.net", lid="", push_name="Bob")
    async with harness(tmp_path) as h:
        engine = await h.active()
        restored = tmp_path / "restored.db"
        restored.write_bytes(b"restored")
        async with h.manager.hold(A, "operations/restore") as held:
            with pytest.raises(SessionWrongState) as error:
                await held.install(restored, account=bob)
            assert error.value.allowed_states == ("STOPPED", "FAILED", "UNLINKED")
            await h.manager.stop(A)
            await h.until(State.STOPPED)
            session = await held.install(restored, account=bob)
        assert (session.state, session.desired) == (State.STOPPED, DesiredState.STOPPED)
        assert (session.account, session.store_epoch) == (bob, 2)
        assert h.manager.store_path(A).read_bytes() == b"restored"
        assert h.trash() == ["a-restore"]
        assert not engine.spec.store.exists()
        assert not restored.exists()
        await h.manager.start(A)
        again = await h.engine_of(count=2)
        assert again.spec.store == h.manager.store_path(A)
        assert not again.spec.fresh


@pytest.mark.parametrize("reason", [EndReason.LOGGED_OUT, EndReason.STORE_DAMAGED])
async def test_a_session_that_is_down_for_good_can_be_restored(tmp_path, reason):
    """Its condition is over with it."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(reason)
        await h.until_true(lambda: h.session().state in {State.UNLINKED, State.FAILED})
        restored = tmp_path / "restored.db"
        restored.write_bytes(b"restored")
        async with h.manager.hold(A, "operations/restore") as held:
            session = await held.install(restored, account=ANN)
        assert (session.state, session.condition) == (State.STOPPED, None)
        assert session.is_paired


async def test_a_new_session_can_be_restored_into(tmp_path):
    """A fresh server takes over from a lost one."""
    async with harness(tmp_path) as h:
        await h.manager.create(session_id="a")
        restored = tmp_path / "restored.db"
        restored.write_bytes(b"restored")
        async with h.manager.hold(A, "operations/restore") as held:
            session = await held.install(restored, account=ANN)
        assert (session.store_epoch, session.is_paired) == (1, True)
        assert h.trash() == []
        await h.manager.start(A)
        (await h.engine_of()).emit(Connected(account=ANN))
        await h.until(State.ACTIVE)
