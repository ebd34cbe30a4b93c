"""The heartbeat's task, and what sessions are told while storage comes and goes."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from server.core.errors import SessionLeased, StorageUnavailable
from server.core.names import SessionName, StorageLocationName
from server.vault.fencing import Fencing, Loss
from server.vault.heartbeats import Identity
from storage_backends.base import Properties
from storage_backends.faults import Fault, Faulty
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.threaded import AsyncStorage
from tests.support.clock import FakeClock

ANN, BOB, CAT = SessionName("ann"), SessionName("bob"), SessionName("cat")
LOCATION = StorageLocationName("shared")


class World:
    """Servers on one storage and one clock."""

    def __init__(self, stack):
        self.stack = stack
        self.clock = FakeClock()
        self.space = MemorySpace()

    async def server(self, server, instance="1", place="", backend=None, **options):
        faults = Faulty(backend or MemoryBackend(self.space))
        faults.rule = options.pop("rule", lambda call: None)
        storage = await self.stack.enter_async_context(AsyncStorage(faults))
        stopped = []

        async def get():
            return storage

        async def lost(session, loss):
            stopped.append((session, loss))

        identity = Identity(server=server, instance=server + instance, place=place or server)
        fencing = Fencing(get, identity, self.clock, location=LOCATION, lost=lost, **options)
        fencing.stopped = stopped
        fencing.faults = faults
        return await self.stack.enter_async_context(fencing)

    async def pass_time(self, seconds):
        """In small steps, so that everybody who sleeps gets a turn."""
        for _ in range(int(seconds / 2)):
            self.clock.advance(2)
            await settle()


async def settle():
    for _ in range(8):
        await asyncio.sleep(0.001)


@asynccontextmanager
async def eventually():
    async with asyncio.timeout(20):
        yield


@pytest.fixture
async def world():
    async with AsyncExitStack() as stack:
        yield World(stack)


def away(call):
    return Fault.UNAVAILABLE


async def test_two_servers(world):
    """One runs it, the other does not, until it is given up."""
    a, b = await world.server("a"), await world.server("b")
    await a.enter(ANN, fresh=True)
    with pytest.raises(SessionLeased):
        await b.enter(ANN, fresh=False)
    with pytest.raises(SessionLeased):
        await b.check(ANN)
    with pytest.raises(SessionLeased):
        async with b.claiming(ANN):
            raise AssertionError
    a.left(ANN)
    async with eventually():
        while True:
            try:
                await b.check(ANN)
            except SessionLeased:
                await asyncio.sleep(0.001)
            else:
                break
    async with b.claiming(ANN):
        pass
    await b.enter(ANN, fresh=False)
    with pytest.raises(SessionLeased):
        await a.enter(ANN, fresh=False)


async def test_a_failed_restore_leaves_the_lease(world):
    """The session can be started where it was."""
    a, b = await world.server("a"), await world.server("b")
    await a.enter(ANN, fresh=True)
    a.left(ANN)
    await settle()
    with pytest.raises(ZeroDivisionError):
        async with b.claiming(ANN):
            raise ZeroDivisionError
    await a.enter(ANN, fresh=False)


async def test_a_take_over_ends_the_session_elsewhere_first(world):
    """The one that had it is told to stop it, and only then the other begins."""
    a, b = await world.server("a"), await world.server("b")
    await a.enter(ANN, fresh=True)
    await a.enter(BOB, fresh=True)
    began = []

    async def take():
        async with b.claiming(ANN, take_over=True):
            began.append(list(a.stopped))

    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take())
        for _ in range(40):
            await settle()
            if taking.done():
                break
            await world.pass_time(4)
    assert began == [[(ANN, Loss.TAKEN)]]
    assert world.clock.monotonic() < 60
    await a.enter(BOB, fresh=False)


async def test_a_clean_end_leaves_everything_at_once(world):
    """The next server does not wait."""
    async with AsyncExitStack() as stack:
        other = World(stack)
        other.clock, other.space = world.clock, world.space
        a = await other.server("a")
        await a.enter(ANN, fresh=True)
    b = await world.server("b")
    async with b.claiming(ANN):
        pass
    assert world.clock.monotonic() == 0


async def test_lenient_goes_on_without_storage(world):
    """Sessions run and start; nobody is asked to stop."""
    a = await world.server("a")
    await a.enter(ANN, fresh=True)
    a.faults.rule = away
    await world.pass_time(300)
    await a.enter(BOB, fresh=False)
    await a.enter(ANN, fresh=False)
    assert a.stopped == []
    a.faults.rule = lambda call: None
    await world.pass_time(30)
    assert a.stopped == []
    assert {"leases/ann", "leases/bob"} <= world.space.objects.keys()


async def test_lenient_starts_without_storage(world):
    """At once; what turns out to be another server's is stopped when the storage is back."""
    b = await world.server("b")
    await b.enter(ANN, fresh=True)
    a = await world.server("a", rule=away)
    await a.enter(ANN, fresh=False)
    await a.enter(BOB, fresh=False)
    with pytest.raises(StorageUnavailable):
        async with a.claiming(CAT):
            raise AssertionError
    a.faults.rule = lambda call: None
    await world.pass_time(30)
    assert a.stopped == [(ANN, Loss.TAKEN)]


async def test_lenient_restores_without_storage_what_it_had(world):
    """From another location, while the primary is away; nothing that it never had."""
    a = await world.server("a")
    await a.enter(ANN, fresh=True)
    a.left(ANN)
    await settle()
    a.faults.rule = away
    for _ in range(2):  # before and after it has noticed
        await a.check(ANN)
        async with a.claiming(ANN):
            pass
        with pytest.raises(StorageUnavailable):
            await a.check(BOB)
        await world.pass_time(30)
    a.faults.rule = lambda call: None
    await world.pass_time(30)
    assert a.stopped == []
    assert b'"owner":"a"' in world.space.objects["leases/ann"][0]


async def test_what_was_taken_over_without_storage_is_taken_when_it_is_back(world):
    """The other server stops it then."""
    b = await world.server("b")
    await b.enter(ANN, fresh=True)
    a = await world.server("a", rule=away)
    async with a.claiming(ANN, take_over=True):
        pass
    await a.enter(ANN, fresh=False)
    a.faults.rule = lambda call: None
    await world.pass_time(60)
    assert (a.stopped, b.stopped) == ([], [(ANN, Loss.TAKEN)])
    assert b'"owner":"a"' in world.space.objects["leases/ann"][0]


async def test_strict_stops_in_time(world):
    """Before others may take over; and comes back with the storage."""
    a = await world.server("a", strict=True)
    await a.enter(ANN, fresh=True)
    await world.pass_time(60)
    assert a.stopped == []
    a.faults.rule = away
    await world.pass_time(36)
    assert a.stopped == []
    await world.pass_time(26)
    assert a.stopped == [(ANN, Loss.AWAY)]
    with pytest.raises(StorageUnavailable):
        await a.enter(ANN, fresh=False)
    with pytest.raises(StorageUnavailable):
        async with a.claiming(ANN, take_over=True):
            raise AssertionError
    a.faults.rule = lambda call: None
    await world.pass_time(30)
    await a.enter(ANN, fresh=False)
    assert len(a.stopped) == 1


async def test_strict_starts_nothing_without_storage(world):
    """It cannot know."""
    a = await world.server("a", strict=True, rule=away)
    with pytest.raises(StorageUnavailable):
        await a.enter(ANN, fresh=False)


async def test_a_silent_server_learns_what_it_has_lost(world):
    """It was cut off, another took over, and it comes back."""
    a, b = await world.server("a"), await world.server("b")
    await a.enter(ANN, fresh=True)
    with pytest.raises(SessionLeased):
        await b.check(ANN)
    a.faults.rule = away
    await world.pass_time(80)
    async with b.claiming(ANN):
        pass
    a.faults.rule = lambda call: None
    await world.pass_time(30)
    assert a.stopped == [(ANN, Loss.TAKEN)]
    with pytest.raises(SessionLeased):
        await a.enter(ANN, fresh=False)


async def test_a_copied_data_directory(world):
    """The copy runs nothing while the original lives."""
    a = await world.server("a")
    await a.enter(ANN, fresh=True)
    twin = await world.server("a", instance="2", place="copy")
    async with asyncio.TaskGroup() as tasks:
        entering = tasks.create_task(refused(twin, ANN))
        await world.pass_time(40)
        assert entering.done()
    assert a.stopped == []
    with pytest.raises(SessionLeased):
        await twin.enter(BOB, fresh=True)


async def refused(fencing, session):
    with pytest.raises(SessionLeased):
        await fencing.enter(session, fresh=False)


async def test_a_moved_data_directory_waits_for_its_past(world):
    """And the original, should it wake up again, stops everything."""
    a = await world.server("a")
    await a.enter(ANN, fresh=True)
    a.faults.rule = away
    moved = await world.server("a", instance="2", place="elsewhere")
    async with asyncio.TaskGroup() as tasks:
        entering = tasks.create_task(moved.enter(ANN, fresh=False))
        await world.pass_time(50)
        assert not entering.done()
        await world.pass_time(50)
        assert entering.done()
    a.faults.rule = lambda call: None
    await world.pass_time(40)
    assert a.stopped == [(ANN, Loss.TAKEN)]
    with pytest.raises(SessionLeased):
        await a.enter(ANN, fresh=False)


class NoSwap(MemoryBackend):
    @property
    def properties(self):
        return Properties(connections=1, compare_and_swap=False)


async def test_a_storage_that_cannot_swap_has_no_leases(world):
    """Said once; everything is permitted."""
    a = await world.server("a", backend=NoSwap())
    await a.enter(ANN, fresh=False)
    await a.check(ANN)
    async with a.claiming(ANN):
        pass
    a.left(ANN)
    await world.pass_time(100)
    assert [call.verb for call in a.faults.calls if call.verb == "cas"] == []


async def test_two_hundred_sessions_start_side_by_side(world):
    """Bounded by the storage's own number of calls at once, not one after the other."""
    a = await world.server("a")
    assert a.faults.properties.connections == 4
    names = [SessionName(f"s{number}") for number in range(200)]
    async with eventually(), asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(a.enter(name, fresh=False))
    # One look and one swap each (a missing object is one call), and the heartbeat's few.
    assert len(a.faults.calls) <= 2 * 200 + 4
