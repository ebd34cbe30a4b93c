"""Requests that are repeated under one request_id."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from roost.v1.message_service_pb2 import SendMessageRequest, SendMessageResponse

from server.core.errors import (
    EngineUnavailable,
    RequestIdReused,
    ServerDraining,
    SessionNotPaired,
)
from server.rpc.idempotency import Attempt, Idempotency
from server.state import Database

ID = "0f2ac8f0-53a5-4c3b-9f6b-5b6f0c2b1a11"


class HandClock:
    """A clock that a test moves."""

    def __init__(self):
        self.time = datetime(2026, 11, 22, tzinfo=UTC)

    def now(self):
        return self.time

    def monotonic(self):
        return self.time.timestamp()


class Work:
    """Counts its runs; waits and fails when told."""

    def __init__(self):
        self.runs = []
        self.error = None
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, attempt):
        self.runs.append(attempt)
        number = len(self.runs)
        await self.go.wait()
        if self.error:
            raise self.error
        return SendMessageResponse(message_id=f"m{number}")


def request(text="hi", request_id=ID):
    return SendMessageRequest(session="sessions/a", text={"body": text}, request_id=request_id)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
async def database(database_url):
    async with Database.open(database_url) as opened:
        yield opened


@pytest.fixture
async def once(database, clock):
    async with Idempotency(database, clock) as running:

        def call(work, asked=None):
            return running.once(asked or request(), SendMessageResponse, work)

        yield call


async def test_without_a_request_id_every_call_works(once):
    """Nothing is kept."""
    work = Work()
    for expected in ("m1", "m2"):
        assert (await once(work, request(request_id=""))).message_id == expected


async def test_a_repeat_gets_the_first_response(once):
    """The work runs once; the id's case does not matter."""
    work = Work()
    for asked in (request(), request(), request(request_id=ID.upper())):
        assert (await once(work, asked)).message_id == "m1"
    assert work.runs == [Attempt.FIRST]


async def test_it_is_remembered_across_a_restart_for_a_day(database, clock):
    """And forgotten after that."""
    work = Work()
    for expected, pause in (("m1", 0), ("m1", 23), ("m2", 2)):
        clock.time += timedelta(hours=pause)
        async with Idempotency(database, clock) as fresh:
            response = await fresh.once(request(), SendMessageResponse, work)
        assert response.message_id == expected


async def test_another_request_under_the_same_id_is_refused(once):
    """While the first one runs, and afterwards."""
    work = Work()
    work.go.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(once(work))
        await asyncio.sleep(0)
        with pytest.raises(RequestIdReused):
            await once(work, request("other"))
        work.go.set()
    with pytest.raises(RequestIdReused):
        await once(work, request("other"))
    assert first.result().message_id == "m1"
    assert (await once(work)).message_id == "m1"


async def test_simultaneous_repeats_share_one_run(once):
    """A client that retries before the answer is there."""
    work = Work()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(once(work)) for _ in range(20)]
    assert {call.result().message_id for call in calls} == {"m1"}
    assert work.runs == [Attempt.FIRST]


async def test_a_caller_that_leaves_does_not_stop_the_work(once):
    """It finds the result when it asks again."""
    work = Work()
    work.go.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await once(work)
    work.go.set()
    assert (await once(work)).message_id == "m1"
    assert work.runs == [Attempt.FIRST]


async def test_a_failure_is_told_to_all_who_wait_and_then_forgotten(once):
    """The next repeat tries again, and may say something else."""
    work = Work()
    work.error = SessionNotPaired(session="sessions/a")
    work.go.clear()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(outcome(once(work))) for _ in range(3)]
        await asyncio.sleep(0.05)
        work.go.set()
    assert {type(call.result()) for call in calls} == {SessionNotPaired}
    work.error = None
    assert (await once(work, request("other"))).message_id == "m2"
    assert work.runs == [Attempt.FIRST, Attempt.FIRST]


async def outcome(call):
    try:
        return await call
    except Exception as error:  # noqa: BLE001
        return error


async def test_a_failure_that_may_have_taken_effect_makes_the_next_run_a_repeat(once):
    """The work is told to find out first."""
    work = Work()
    work.error = EngineUnavailable(session="sessions/a")
    with pytest.raises(EngineUnavailable):
        await once(work)
    work.error = None
    with pytest.raises(RequestIdReused):
        await once(work, request("other"))
    assert (await once(work)).message_id == "m2"
    assert work.runs == [Attempt.FIRST, Attempt.AGAIN]


async def test_work_that_the_end_of_the_server_cut_short_is_told_so(database, clock):
    """Its caller hears SERVER_DRAINING; the next server's run is a repeat."""
    work = Work()
    work.go.clear()
    async with asyncio.TaskGroup() as group, Idempotency(database, clock) as first:
        call = group.create_task(outcome(first.once(request(), SendMessageResponse, work)))
        while not work.runs:
            await asyncio.sleep(0.01)
    assert isinstance(call.result(), ServerDraining)
    work.go.set()
    async with Idempotency(database, clock) as second:
        assert (await second.once(request(), SendMessageResponse, work)).message_id == "m2"
    assert work.runs == [Attempt.FIRST, Attempt.AGAIN]
