"""A restore that is followed until the session is connected, or taken back."""

import asyncio
from datetime import timedelta

import pytest

from server.backups.following import Follower
from server.backups.model import RestoreMode, RestorePlan, RestoreResult
from server.core.errors import OperationInProgress, RestoreRolledBack
from server.core.names import BackupName, OperationName, SessionName
from server.engine.base import Account, Connected, EndReason
from server.sessions.model import DesiredState, State
from tests.support.builders import ANN
from tests.support.sessions import DEADLINE_SECONDS, harness

A = SessionName("a")
BACKUP = BackupName(A, "b1")
BOB = Account(jid="15550003333@s.whatsapp.net", lid="", push_name="Bob", device=2)


class Silent:
    operation = OperationName("restore")

    def __init__(self):
        self.phases = []

    def __call__(self, phase, bytes_done=0, bytes_total=0):
        self.phases.append(phase)


def result_of(trash):
    plan = RestorePlan(
        backup=BACKUP,
        target=A,
        mode=RestoreMode.REKEY,
        reasons=(),
        losses=(),
        replaces_credentials=bool(trash),
        age=timedelta(),
        start=True,
    )
    return RestoreResult(plan=plan, trash=trash)


async def stopped(h):
    """A session with credentials that is down."""
    await h.active()
    await h.manager.stop(A)
    return await h.until(State.STOPPED)


async def install(h, account=BOB):
    """What a restore does before it is followed."""
    restored = h.data_dir / "restored.db"
    restored.write_bytes(b"restored")
    before = h.session()
    async with h.manager.hold(A, "operations/restore") as held:
        await held.install(restored, account=account)
    return result_of(held.trash), before


async def follow(h, result, before, limit=timedelta(seconds=DEADLINE_SECONDS)):
    return await Follower(h.manager, limit).follow(result, before, Silent())


async def test_a_session_that_connects_is_left_running(tmp_path):
    """What it had before stays in trash."""
    async with harness(tmp_path) as h:
        await stopped(h)
        result, before = await install(h)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(h, result, before))
            engine = await h.engine_of(count=2)
            assert engine.spec.store.read_bytes() == b"restored"
            with pytest.raises(OperationInProgress):
                await h.manager.start(A)
            engine.emit(Connected(account=BOB))
        assert following.result().started
        assert h.session().state is State.ACTIVE
        assert h.trash() == ["a-restore"]


@pytest.mark.parametrize(
    ("reason", "shown", "trash"),
    [
        (EndReason.LOGGED_OUT, "LOGGED_OUT", "a-logged-out"),
        (EndReason.ACCOUNT_LOCKED, "ACCOUNT_LOCKED", "a-account-locked"),
        (EndReason.ACCOUNT_BANNED, "ACCOUNT_BANNED", "a-account-banned"),
        (EndReason.STREAM_REPLACED, "STREAM_REPLACED", "a-restore-refused"),
        (EndReason.STORE_DAMAGED, "STORE_DAMAGED", "a-restore-refused"),
    ],
)
async def test_a_session_that_is_refused_gets_back_what_it_had(tmp_path, reason, shown, trash):
    """Credentials, account and state; the refused ones are in trash."""
    async with harness(tmp_path) as h:
        before = await stopped(h)
        store = h.manager.store_path(A).read_bytes()
        result, _ = await install(h)
        async with asyncio.TaskGroup() as group:
            group.create_task(rolled_back(h, result, before, shown))
            (await h.engine_of(count=2)).end(reason, clean=True)
        session = h.session()
        assert (session.state, session.desired) == (State.STOPPED, DesiredState.STOPPED)
        assert (session.account, session.condition) == (before.account, before.condition)
        assert h.manager.store_path(A).read_bytes() == store
        assert session.store_epoch == session.last_store_epoch == 3
        assert h.trash() == [trash]
        await h.manager.start(A)
        (await h.engine_of(count=3)).emit(Connected(account=ANN))
        assert (await h.until(State.ACTIVE)).account == ANN


async def rolled_back(h, result, before, shown, **limits):
    with pytest.raises(RestoreRolledBack) as error:
        await follow(h, result, before, **limits)
    assert error.value.metadata() == {
        "backup": str(BACKUP),
        "session": str(A),
        "condition": shown,
    }


async def test_a_session_that_never_connects_gets_back_what_it_had(tmp_path):
    """After a while; the engine that still tries is stopped."""
    async with harness(tmp_path) as h:
        before = await stopped(h)
        result, _ = await install(h)
        limit = timedelta(milliseconds=50)
        async with asyncio.TaskGroup() as group:
            group.create_task(rolled_back(h, result, before, "CONNECTING", limit=limit))
            engine = await h.engine_of(count=2)
            await engine.wait_stopped()
        assert h.session().account == ANN
        assert h.manager.store_path(A).read_bytes() == b"store of epoch 1"


async def test_the_state_that_a_session_was_in_comes_back_too(tmp_path):
    """With the reason why it was down."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.end(EndReason.CLIENT_OUTDATED, clean=True)
        before = await h.until(State.FAILED)
        result, _ = await install(h)
        async with asyncio.TaskGroup() as group:
            group.create_task(rolled_back(h, result, before, "STREAM_REPLACED"))
            (await h.engine_of(count=2)).end(EndReason.STREAM_REPLACED, clean=True)
        session = h.session()
        assert (session.state, session.condition) == (State.FAILED, before.condition)


async def test_an_empty_session_is_empty_again_when_it_is_refused(tmp_path):
    """What was restored is in trash."""
    async with harness(tmp_path) as h:
        before = await h.manager.create(session_id="a")
        result, _ = await install(h)
        async with asyncio.TaskGroup() as group:
            group.create_task(rolled_back(h, result, before, "STREAM_REPLACED"))
            (await h.engine_of()).end(EndReason.STREAM_REPLACED, clean=True)
        assert (h.session().state, h.session().is_paired) == (State.STOPPED, False)
        assert h.trash() == ["a-restore-refused"]


async def test_an_empty_session_goes_on_trying_without_a_network(tmp_path):
    """There is nothing to go back to, and nothing is wrong with the credentials."""
    async with harness(tmp_path) as h:
        before = await h.manager.create(session_id="a")
        result, _ = await install(h)
        async with asyncio.TaskGroup() as group:
            limit = timedelta(milliseconds=50)
            following = group.create_task(follow(h, result, before, limit))
            (await h.engine_of()).end(EndReason.CONNECT_FAILED)
        assert not following.result().started
        assert h.session().state is State.BACKING_OFF
        assert h.session().is_paired


async def test_somebody_may_stop_it_meanwhile(tmp_path):
    """Then it stays restored and stopped, as it would without the start."""
    async with harness(tmp_path) as h:
        await stopped(h)
        result, before = await install(h)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(h, result, before))
            await h.engine_of(count=2)
            await h.manager.stop(A)
        assert not following.result().started
        assert (h.session().state, h.session().account) == (State.STOPPED, BOB)
