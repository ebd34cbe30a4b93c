"""Who may run a session, agreed in a shared storage."""

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from server.core.errors import SessionLeased
from server.core.names import SessionName
from server.vault.heartbeats import Identity
from server.vault.leases import IdentityBusy, IdentityTaken, Leases
from storage_backends.errors import BackendUnavailable
from storage_backends.faults import Fault, Faulty
from storage_backends.layers import Layer
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.registry import Registry
from storage_backends.registry import stack as wrapped
from storage_backends.threaded import AsyncStorage
from tests.support.clock import FakeClock
from tests.support.s3 import ACCESS_KEY, BUCKET, SECRET_KEY

TTL = 60.0
PATIENCE = 66.0  # the ttl, clock drift, and the time to stop
ANN, BOB = SessionName("ann"), SessionName("bob")


class Dated(Layer):
    """A storage whose own clock is the test's."""

    def __init__(self, inner, world):
        super().__init__(inner)
        self.world = world

    def cas(self, key, data, *, expected):
        info = self._inner.cas(key, data, expected=expected)
        self.world.written[key] = self.world.storage_time()
        return info

    def stat(self, key):
        return replace(self._inner.stat(key), modify_time=self.world.written[key])


class World:
    """One storage, one time, several servers."""

    def __init__(self):
        self.clock = FakeClock()
        self.space = MemorySpace()
        self.written = {}
        self.storage_jump = timedelta()

    def storage_time(self):
        return self.clock.now() + self.storage_jump

    @asynccontextmanager
    async def server(self, server, instance="", place="", **options):
        """A server on the storage; its faults are at `leases.faults`."""
        faults = Faulty(Dated(MemoryBackend(self.space), self))
        async with AsyncStorage(faults) as storage:

            async def get():
                return storage

            identity = Identity(
                server=server, instance=instance or f"{server}1", place=place or server
            )
            leases = Leases(get, identity, self.clock, **options)
            leases.faults = faults
            leases.storage = storage
            yield leases


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def a(world):
    async with world.server("a") as leases:
        await leases.beat()
        yield leases


@pytest.fixture
async def b(world):
    async with world.server("b") as leases:
        await leases.beat()
        yield leases


async def live(world, seconds, *servers):
    """Time passes; these servers go on beating."""
    for _ in range(int(seconds / 20)):
        world.clock.advance(20)
        for leases in servers:
            await leases.beat()


async def learn_of_a_loss(leases):
    """Beats until another server has taken something."""
    async with asyncio.timeout(20):
        while not leases.take_lost():
            await asyncio.sleep(0.01)
            await leases.beat()


async def finish(world, task, *servers):
    """Lets time pass, with these servers alive, until a task has ended."""
    for _ in range(200):
        for _ in range(20):
            await asyncio.sleep(0.0005)
            if task.done():
                return await task
        world.clock.advance(2)
        for leases in servers:
            await leases.beat()
            for session in leases.take_lost():
                leases.stopped(session)
    raise AssertionError("it does not end")


async def test_a_session_is_for_one_server(a, b):
    """The first one has it; the other is told whose it is."""
    await a.resume(ANN)
    assert a.held == {ANN}
    for refused in (b.resume(ANN), b.claim(ANN)):
        with pytest.raises(SessionLeased) as error:
            await refused
        assert error.value.metadata() == {"session": "sessions/ann", "server": "a"}
    assert not b.held
    await b.resume(BOB)


async def test_what_is_held_costs_nothing(a):
    """A session that is started again asks no storage."""
    await a.resume(ANN)
    before = len(a.faults.calls)
    await a.resume(ANN)
    assert len(a.faults.calls) == before


async def test_a_thousand_sessions_beat_like_one(a):
    """The heartbeat's cost does not grow with what is held."""
    for number in range(30):
        await a.resume(SessionName(f"s{number}"))
    before = len(a.faults.calls)
    await a.beat()
    assert len(a.faults.calls) == before + 1


async def test_a_killed_server_goes_on_at_once(world, a):
    """In the same data directory its own leases are its own, alive or not."""
    await a.resume(ANN)
    async with world.server("a", instance="a2") as again:
        await again.resume(ANN)
        assert again.held == {ANN}
        assert world.clock.monotonic() == 0


async def test_a_silent_server_is_gone_after_a_while(world, a, b):
    """Judged by not changing, on the watcher's own clock."""
    await a.resume(ANN)
    with pytest.raises(SessionLeased):
        await b.claim(ANN)
    world.storage_jump = -timedelta(days=1)  # the storage's own time is of no help
    await live(world, 60, b)
    with pytest.raises(SessionLeased):
        await b.claim(ANN)
    await live(world, 20, b)
    await b.claim(ANN)
    assert b.held == {ANN}


async def test_the_owner_ends_before_anybody_takes_over(world, a, b):
    """By its own clock its right ends earlier than others believe, also with slow clocks."""
    await a.resume(ANN)
    with pytest.raises(SessionLeased):
        await b.claim(ANN)
    world.clock.advance(TTL)
    assert a.seconds_left <= 0
    assert PATIENCE - TTL >= 3 + 0.05 * TTL
    await b.beat()
    with pytest.raises(SessionLeased):
        await b.claim(ANN)


async def test_a_server_that_beats_is_never_gone(world, a, b):
    """However long it takes."""
    await a.resume(ANN)
    for _ in range(20):
        await live(world, 60, a, b)
        with pytest.raises(SessionLeased):
            await b.claim(ANN)


async def test_a_fresh_server_sees_that_another_died_long_ago(world, a):
    """By the storage's clock alone; it has nothing to compare with."""
    await a.resume(ANN)
    world.clock.advance(PATIENCE + 60 + 1)
    async with world.server("b") as b:
        await b.claim(ANN)
        assert b.held == {ANN}


async def test_all_that_a_dead_server_had_is_taken_at_once(world, a):
    """What the taker writes into its heartbeat is no sign of life, seen or dated."""
    names = [SessionName(f"s{number}") for number in range(6)]
    for name in names:
        await a.resume(name)
    async with world.server("b") as b:
        with pytest.raises(SessionLeased):
            await b.claim(names[0])
        await live(world, 80, b)
        for name in names[:3]:
            await b.claim(name)
    world.clock.advance(PATIENCE + 60 + 1)
    async with world.server("c") as c:
        for name in names[3:]:
            await c.claim(name)
    await a.beat()
    assert a.take_lost() == set(names)


async def test_a_dead_servers_sessions_are_taken_over_in_one_wait(world, a, b):
    """However many they are."""
    names = [SessionName(f"s{number}") for number in range(6)]
    for name in names:
        await a.resume(name)

    async def take():
        for name in names:
            await b.claim(name, take_over=True)

    async with asyncio.TaskGroup() as tasks:
        await finish(world, tasks.create_task(take()), b)
    assert b.held == set(names)
    assert world.clock.monotonic() < PATIENCE + 20


async def test_a_clock_that_jumps_deceives_nobody(world, a):
    """The storage's clock jumps by less than the bound; wall clocks of servers are never asked."""
    await a.resume(ANN)
    world.clock.advance(20)
    await a.beat()
    world.storage_jump = timedelta(seconds=PATIENCE + 60 - 21)
    async with world.server("b") as b:
        with pytest.raises(SessionLeased):
            await b.claim(ANN)


async def test_a_clean_stop_leaves_everything_to_others(world, a, b):
    """Nobody waits."""
    await a.resume(ANN)
    await a.stop()
    await b.claim(ANN)
    assert world.clock.monotonic() == 0


async def test_a_stopped_session_can_be_taken_but_not_resumed(a, b):
    """Its keys here would be behind, once another server has run it."""
    await a.resume(ANN)
    await a.release(ANN)
    assert not a.held
    with pytest.raises(SessionLeased):
        await b.resume(ANN)  # what B has of it is not what A left
    await b.claim(ANN)
    await b.release(ANN)
    with pytest.raises(SessionLeased):
        await a.resume(ANN)
    await a.claim(ANN)
    await a.release(ANN)
    await a.resume(ANN)


async def test_a_session_is_taken_from_a_server_that_lives(world, a, b):
    """Which learns of it with its next beat; only after that the new owner begins."""
    await a.resume(ANN)
    await a.resume(BOB)
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(b.claim(ANN, take_over=True))
        await learn_of_a_loss(a)
        assert a.held == {BOB}
        await a.beat()
        assert not a.take_lost()
        with pytest.raises(SessionLeased):
            await a.resume(ANN)
        world.clock.advance(10)
        await asyncio.sleep(0.05)
        assert not taking.done()
        a.stopped(ANN)
        await finish(world, taking, a, b)
    assert b.held == {ANN}
    await a.beat()
    assert a.held == {BOB}


async def test_a_session_is_taken_from_a_server_that_has_just_died(world, a, b):
    """The new owner waits until the old one cannot be running any more."""
    await a.resume(ANN)
    async with asyncio.TaskGroup() as tasks:
        await finish(world, tasks.create_task(b.claim(ANN, take_over=True)), b)
    assert world.clock.monotonic() >= PATIENCE
    assert b.held == {ANN}


async def test_a_taker_that_is_killed_while_it_waits_waits_again(world, a, b):
    """The lease is its own already, but the other may still be running."""
    await a.resume(ANN)
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(b.claim(ANN, take_over=True))
        await learn_of_a_loss(a)
        b.faults.rule = lambda call: Fault.UNAVAILABLE  # it cannot put anything back
        taking.cancel()
    async with world.server("b", instance="b2") as again:
        async with asyncio.TaskGroup() as tasks:
            resuming = tasks.create_task(again.resume(ANN))
            await asyncio.sleep(0.05)
            assert not resuming.done()
            a.stopped(ANN)
            await finish(world, resuming, a, again)
        assert again.held == {ANN}


async def test_a_take_over_that_is_called_off_gives_the_lease_back(world, a, b):
    """Nothing was put in place, so nothing has changed."""
    await a.resume(ANN)
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(b.claim(ANN, take_over=True))
        await learn_of_a_loss(a)
        taking.cancel()
    a.stopped(ANN)
    await a.beat()
    await a.resume(ANN)
    assert a.held == {ANN}


async def test_a_claim_that_came_to_nothing_is_undone(world, a, b):
    """A failed restore leaves the lease as it was."""
    claim = await b.claim(BOB)
    await claim.undo()
    await a.resume(BOB)  # nobody has run it
    await a.release(BOB)
    claim = await b.claim(BOB)
    await claim.undo()
    assert not b.held
    await a.resume(BOB)
    own = await a.claim(BOB)
    await own.undo()
    assert a.held == {BOB}


async def test_a_server_that_comes_back_finds_its_sessions_taken(world, a, b):
    """It was silent for long, and another has taken over: it must not go on."""
    await a.resume(ANN)
    with pytest.raises(SessionLeased):
        await b.claim(ANN)
    await live(world, 80, b)
    await b.claim(ANN)
    await a.beat()
    assert a.take_lost() == {ANN}
    a.stopped(ANN)
    await a.beat()
    with pytest.raises(SessionLeased):
        await a.resume(ANN)
    async with world.server("a", instance="a2") as again:
        with pytest.raises(SessionLeased):
            await again.resume(ANN)


async def test_a_copied_data_directory_is_noticed(world, a):
    """Two servers with one id: the older one wins while it lives."""
    await a.resume(ANN)
    async with world.server("a", instance="twin", place="elsewhere") as twin:
        with pytest.raises(IdentityBusy):
            await twin.resume(ANN)
        await live(world, 20, a)
        with pytest.raises(IdentityTaken):
            await twin.beat()
    assert sorted(world.space.objects) == ["leases/ann", "servers/a"]


async def test_a_data_directory_that_has_moved_waits_for_its_past(world, a):
    """Its machine may have crashed, or may still be running: a while without a beat tells."""
    await a.resume(ANN)
    async with world.server("a", instance="a2", place="elsewhere") as moved:
        with pytest.raises(IdentityBusy):
            await moved.beat()
        world.clock.advance(PATIENCE)
        await moved.resume(ANN)
        with pytest.raises(IdentityTaken):
            await a.beat()


async def test_a_machine_that_was_off_for_long_waits_for_nobody(world, a):
    """The storage's clock tells."""
    await a.resume(ANN)
    world.clock.advance(PATIENCE + 61)
    async with world.server("a", instance="a2", place="elsewhere") as moved:
        await moved.resume(ANN)
    assert sorted(world.space.objects) == ["leases/ann", "servers/a"]


async def test_storage_away_and_back(world, a, b):
    """A server that cannot beat loses its right in time, and gets it back if nobody took it."""
    await a.resume(ANN)
    a.faults.rule = lambda call: Fault.UNAVAILABLE
    world.clock.advance(TTL)
    with pytest.raises(BackendUnavailable):
        await a.beat()
    assert a.seconds_left <= 0
    assert a.lose_all() == {ANN}
    with pytest.raises(BackendUnavailable):
        await a.resume(ANN)
    a.faults.rule = lambda call: None
    await a.resume(ANN)
    assert a.held == {ANN}
    assert a.seconds_left == TTL


@pytest.mark.parametrize("verb", ["cas", "get", "stat"])
async def test_answers_that_are_lost(world, verb):
    """Each call is done, but its answer is lost, the first time it is made."""
    async with world.server("a") as a, world.server("b") as b:
        done = set()

        def lose(call):
            if call.verb == verb and call.key not in done:
                done.add(call.key)
                return Fault.TIMEOUT_AFTER_SUCCESS
            return None

        a.faults.rule = lose
        for _ in range(4):
            try:
                await a.resume(ANN)
            except BackendUnavailable:
                continue
            break
        assert a.held == {ANN}
        with pytest.raises(SessionLeased):
            await b.claim(ANN)


async def test_damaged_objects(world, a, b):
    """A lease that nobody understands is held by somebody; a heartbeat is simply written anew."""
    await a.resume(ANN)
    storage = b.storage
    for key in ("leases/ann", "servers/a"):
        await storage.cas(key, b"{rubbish", expected=(await storage.stat(key)).etag)
    with pytest.raises(SessionLeased):
        await b.claim(ANN)
    with pytest.raises(SessionLeased):
        await b.resume(ANN)
    await a.beat()
    await a.beat()
    await b.claim(ANN, take_over=True)
    assert b.held == {ANN}


async def test_objects_removed_by_hand(world, a, b):
    """A heartbeat comes back; a lease that is missing is free."""
    await a.resume(ANN)
    await b.storage.delete("servers/a")
    await a.beat()
    with pytest.raises(SessionLeased):
        await b.claim(ANN)
    await b.storage.delete("leases/ann")
    await b.claim(ANN)


async def test_two_servers_at_the_same_moment(world):
    """Of any number of claims exactly one wins."""
    async with world.server("a") as a, world.server("b") as b, world.server("c") as c:

        async def take(leases):
            try:
                await leases.resume(ANN)
            except SessionLeased:
                return False
            return True

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(take(each)) for each in (a, b, c)]
        assert sum(task.result() for task in running) == 1


@pytest.fixture(params=["file", "postgresql", "s3"])
def url(request, tmp_path, monkeypatch):
    """Where servers really meet."""
    if request.param == "file":
        return tmp_path.as_uri()
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").create_database()
    s3 = request.getfixturevalue("s3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    return f"s3://{BUCKET}/{s3.fresh_prefix()}?endpoint={s3.endpoint}&region=us-east-1"


async def test_it_works_where_servers_really_meet(url):
    """Each with a connection of its own; of those who come at the same moment one wins."""
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        servers = []
        for name in "abc":
            backend = wrapped(Registry.with_plugins().create(url))
            storage = await stack.enter_async_context(AsyncStorage(backend))
            identity = Identity(server=name, instance=f"{name}1", place=name)
            servers.append(Leases(given(storage), identity, clock))
        for number in range(5):
            wins = []
            async with asyncio.TaskGroup() as tasks:
                for leases in servers:
                    tasks.create_task(attempt(leases, SessionName(f"s{number}"), wins))
            assert len(wins) == 1
        a, b, _ = servers
        await a.resume(ANN)
        with pytest.raises(SessionLeased):
            await b.claim(ANN)
        clock.advance(PATIENCE)
        await b.claim(ANN)
        await a.beat()
        assert ANN in a.take_lost()


def given(storage):
    async def get():
        return storage

    return get


async def attempt(leases, session, wins):
    with suppress(SessionLeased):
        await leases.resume(session)
        wins.append(leases)


async def test_a_server_that_comes_back_while_it_is_being_replaced(world, a, b):
    """It was gone, was marked, and beats before the lease is swapped: it has to stop first."""
    await a.resume(ANN)
    with pytest.raises(SessionLeased):
        await b.claim(ANN)
    await live(world, 80, b)
    held_up, go_on = threading.Event(), threading.Event()

    def hold_up(call):
        if (call.verb, call.key) == ("cas", "leases/ann"):
            held_up.set()
            assert go_on.wait(20)

    b.faults.rule = hold_up
    async with asyncio.TaskGroup() as tasks:
        claiming = tasks.create_task(b.claim(ANN))
        await asyncio.to_thread(held_up.wait, 20)
        await a.beat()
        assert a.take_lost() == {ANN}
        b.faults.rule = lambda call: None
        go_on.set()
        await asyncio.sleep(0.05)
        assert not claiming.done()
        a.stopped(ANN)
        await finish(world, claiming, a, b)
    assert b.held == {ANN}
