"""Operations: one per session, watched, cancelled, remembered."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.backups.model import RestoreMode, RestorePlan, RestoreResult
from server.backups.operation import Operation
from server.backups.operations import Operations
from server.core.clock import SystemClock
from server.core.errors import BackupCorrupt, OperationInProgress, OperationNotFound
from server.core.names import BackupName, OperationName, SessionName
from server.state.database import Database

ANN, EVE = SessionName("ann"), SessionName("eve")
RESULT = RestoreResult(
    plan=RestorePlan(
        backup=BackupName(ANN, "b1"),
        target=ANN,
        mode=RestoreMode.REKEY,
        reasons=("hot copy",),
        losses=(),
        replaces_credentials=False,
        age=timedelta(minutes=3),
    ),
    trash="",
)


@pytest.fixture
async def database(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path / 'roost.db'}") as opened:
        yield opened


@pytest.fixture
async def operations(database):
    async with Operations(database, SystemClock()) as running:
        yield running


async def last(operations: Operations, name: OperationName) -> Operation:
    """The operation once it is done."""
    async with asyncio.timeout(10):
        return [update async for update in operations.watch(name)][-1]


async def test_progress_and_result_reach_a_watcher_and_stay(operations):
    """Each change is seen, the stream ends after done, and the result can be read later."""
    go = asyncio.Event()

    async def work(report):
        report("COPYING", 1, 2)
        await go.wait()
        report("SEALING", 2, 2)
        await asyncio.sleep(0)
        return RESULT

    started = await operations.start(target=str(ANN), session=ANN, work=work)
    phases = []
    async with asyncio.timeout(10):
        async for update in operations.watch(started.name):
            phases.append(update.progress.phase)
            if update.progress.phase == "COPYING":
                go.set()
            final = update
    assert final.done
    assert final.restore == RESULT
    assert "COPYING" in phases
    assert phases[-1] == "SEALING"
    assert await operations.get(started.name) == final
    assert await last(operations, started.name) == final
    assert await operations.list(target=str(ANN)) == [final]
    assert await operations.list(target=str(EVE)) == []


async def test_a_session_has_one_operation_at_a_time(operations):
    """A second one is told which is under way; another session is free."""

    async def forever(report):
        await asyncio.Event().wait()

    async def quick(report):
        return RESULT

    first = await operations.start(target=str(ANN), session=ANN, work=forever)
    with pytest.raises(OperationInProgress) as error:
        await operations.start(target=str(ANN), session=ANN, work=quick)
    assert error.value.operation == str(first.name)
    other = await operations.start(target=str(EVE), session=EVE, work=quick)
    assert (await last(operations, other.name)).restore == RESULT
    await operations.cancel(first.name)
    assert (await last(operations, first.name)).failure.reason == "OPERATION_CANCELLED"
    again = await operations.start(target=str(ANN), session=ANN, work=quick)
    assert (await last(operations, again.name)).failure is None


async def test_failures_keep_their_reason_and_bugs_say_nothing(operations):
    """A domain error is passed on; any other becomes INTERNAL without its text."""

    async def corrupt(report):
        raise BackupCorrupt(backup="sessions/ann/backups/b1", problem="manifest")

    async def bug(report):
        raise RuntimeError("secret")

    failed = await operations.start(target=str(ANN), session=ANN, work=corrupt)
    failure = (await last(operations, failed.name)).failure
    assert failure.reason == "BACKUP_CORRUPT"
    assert failure.metadata == {"backup": "sessions/ann/backups/b1"}
    broken = await operations.start(target=str(ANN), session=ANN, work=bug)
    failure = (await last(operations, broken.name)).failure
    assert (failure.reason, failure.message) == ("INTERNAL", "internal error")


async def test_what_an_ended_server_left_shows_as_interrupted(database):
    """Leaving the context cancels; what was never ended is found at the next start."""

    async def forever(report):
        await asyncio.Event().wait()

    async with Operations(database, SystemClock()) as first:
        orderly = await first.start(target=str(ANN), session=ANN, work=forever)
    async with Operations(database, SystemClock()) as second:
        found = await second.get(orderly.name)
        assert found.done
        assert found.failure.reason == "OPERATION_INTERRUPTED"
        crashed = await second.start(target=str(ANN), session=ANN, work=forever)
        async with Operations(database, SystemClock()) as third:
            found = await third.get(crashed.name)
            assert found.failure.reason == "OPERATION_INTERRUPTED"


async def test_ended_operations_are_forgotten_after_a_day(database):
    """They go when another one starts a day later; unknown names are NOT_FOUND."""

    class Later(SystemClock):
        def now(self):
            return datetime.now(UTC) + timedelta(hours=25)

    async def quick(report):
        return RESULT

    async with Operations(database, SystemClock()) as today:
        old = await today.start(target=str(ANN), session=ANN, work=quick)
        await last(today, old.name)
    async with Operations(database, Later()) as tomorrow:
        assert (await tomorrow.get(old.name)).done
        new = await tomorrow.start(target=str(ANN), session=ANN, work=quick)
        await last(tomorrow, new.name)
        with pytest.raises(OperationNotFound):
            await tomorrow.get(old.name)
