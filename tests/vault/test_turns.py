"""Turns: one holder at a time, none for ever."""

from datetime import timedelta

import pytest

from server.vault.turns import TIME_TO_LIVE, TURN, Turns, TurnTaken
from storage_backends.memory import MemoryBackend
from storage_backends.threaded import AsyncStorage
from tests.support.clock import FakeClock


@pytest.fixture
async def storage():
    async with AsyncStorage(MemoryBackend()) as storage:
        yield storage


class Rushing(FakeClock):
    """Sleeping takes no time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


async def test_one_after_the_other(storage):
    """A turn that has ended can be taken at once."""
    clock = FakeClock()
    for owner in ("a", "b", "a"):
        async with Turns(storage, clock, owner).take() as turn:
            await turn.check()


async def test_a_second_one_is_refused_after_a_while(storage):
    """While the first one shows that it lives."""
    clock = Rushing()
    async with Turns(storage, clock, "a").take():
        with pytest.raises(TurnTaken):
            async with Turns(storage, clock, "b").take(timedelta(seconds=5)):
                raise AssertionError


async def test_a_holder_that_is_gone_is_waited_for(storage):
    """For its time to live, by the waiter's own clock; then it notices at its next step."""
    clock = Rushing()
    first, second = Turns(storage, clock, "a"), Turns(storage, clock, "b")
    async with first.take() as lost, second.take(2 * TIME_TO_LIVE):
        assert clock.monotonic() > TIME_TO_LIVE.total_seconds()
        with pytest.raises(TurnTaken):
            await lost.check()


async def test_a_holder_that_goes_on_keeps_its_turn(storage):
    """Each check renews it, so that a waiting one starts to count anew."""
    clock = Rushing()
    async with Turns(storage, clock, "a").take() as turn:
        before = (await storage.stat(TURN)).etag
        clock.advance(20)
        await turn.check()
        assert (await storage.stat(TURN)).etag != before


async def test_the_next_process_of_the_same_server_need_not_wait(storage):
    """The one before it is gone for certain."""
    clock = FakeClock()
    async with Turns(storage, clock, "a").take() as lost, Turns(storage, clock, "a").take():
        clock.advance(TIME_TO_LIVE.total_seconds())
        with pytest.raises(TurnTaken):
            await lost.check()


async def test_a_damaged_turn_is_taken_in_the_end(storage):
    """It blocks for one time to live."""
    await storage.put(TURN, b"{")
    clock = Rushing()
    async with Turns(storage, clock, "a").take(2 * TIME_TO_LIVE):
        assert clock.monotonic() > TIME_TO_LIVE.total_seconds()


async def test_it_tells_the_storages_time(storage):
    """Whatever this server's clock says."""
    clock = FakeClock()
    async with Turns(storage, clock, "a").take() as turn:
        written = (await storage.stat(TURN)).modify_time
        assert turn.storage_now == written
        clock.advance(5)
        assert turn.storage_now == written + timedelta(seconds=5)
