"""Any order of anything: a session never runs on two servers.

Servers resume, claim, take over, give up, are killed and fall silent, while every call to the
storage may be held up before and after it is done. A server of this model stops its sessions when
its own right ends, as `ROOST_BACKUP__FENCING=strict` does.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.errors import SessionLeased
from server.core.names import SessionName
from server.vault.heartbeats import Identity
from server.vault.leases import IdentityBusy, IdentityTaken, Leases
from storage_backends.memory import MemoryBackend
from tests.support.clock import FakeClock

SESSION = SessionName("ann")
SERVERS = 3
REFUSED = (SessionLeased, IdentityBusy, IdentityTaken)
server = st.integers(0, SERVERS - 1)
step = st.one_of(
    st.tuples(st.just("go"), st.integers(0, 30)),
    st.tuples(st.just("go"), st.integers(0, 30)),
    st.tuples(st.sampled_from(["beat", "resume", "claim", "take_over"]), server),
    st.tuples(st.sampled_from(["release", "stopped", "kill", "everything"]), server),
    st.tuples(st.just("time"), st.integers(1, 70)),
    st.tuples(st.just("jump"), st.integers(-30, 30)),
)


class Gates:
    """Holds every call until the test lets it go on."""

    def __init__(self):
        self.waiting = []

    async def wait(self):
        gate = asyncio.get_running_loop().create_future()
        self.waiting.append(gate)
        try:
            await gate
        finally:
            self.waiting.remove(gate)

    async def open(self, number):
        if self.waiting:
            gate = self.waiting[number % len(self.waiting)]
            if not gate.done():
                gate.set_result(None)
        for _ in range(6):
            await asyncio.sleep(0)


class Place:
    """Where the objects are, dated by a clock of its own."""

    def __init__(self, clock):
        self.backend = MemoryBackend()
        self.clock = clock
        self.gates = Gates()
        self.jump = timedelta()
        self.written = {}

    def stat(self, key):
        return replace(self.backend.stat(key), modify_time=self.written[key])

    def cas(self, key, data, expected):
        info = self.backend.cas(key, data, expected=expected)
        self.written[key] = self.clock.now() + self.jump
        return info


class Storage:
    """The part of AsyncStorage that leases use, as one process has it."""

    def __init__(self, place):
        self.place = place
        self.is_cut = False

    async def _gated(self, call):
        await self._wait()
        try:
            return call()
        finally:
            await self._wait()

    async def _wait(self):
        if self.is_cut:  # the process has been killed
            raise asyncio.CancelledError
        await self.place.gates.wait()

    async def stat(self, key):
        return await self._gated(partial(self.place.stat, key))

    async def get(self, key):
        return await self._gated(partial(self.place.backend.get, key))

    async def delete(self, key):
        return await self._gated(partial(self.place.backend.delete, key))

    async def cas(self, key, data, *, expected):
        return await self._gated(partial(self.place.cas, key, data, expected))


class Server:
    def __init__(self, number, world):
        self.number = number
        self.world = world
        self.lives = 0
        self.tasks, self.beats = set(), set()
        self.storage = Storage(world.place)
        self.begin()

    def begin(self):
        """A new process in the same data directory."""
        self.storage.is_cut = True
        self.storage = Storage(self.world.place)
        for task in self.tasks | self.beats:
            task.cancel()
        self.tasks, self.beats = set(), set()
        self.lives += 1
        self.is_running = False
        self.is_losing = False
        identity = Identity(
            server=f"s{self.number}",
            instance=f"s{self.number}-{self.lives}",
            place=f"p{self.number}",
        )

        storage = self.storage

        async def get():
            return storage

        self.leases = Leases(get, identity, self.world.clock)

    @property
    def is_busy(self):
        return any(not task.done() for task in self.tasks)

    def do(self, what):
        self.tasks.add(self.begun(what))

    async def _try(self, what, life):
        try:
            await what
        except REFUSED:
            return
        if life == self.lives and SESSION in self.leases.held and self.leases.seconds_left > 0:
            self.is_running = True
            self.world.successes += 1

    def begun(self, what):
        return self.world.group.create_task(self._try(what, self.lives))

    def resume(self):
        """As its supervisor does: one thing at a time with the session."""
        if not self.is_busy:
            self.do(self.leases.resume(SESSION))

    def claim(self):
        if not self.is_busy:
            self.do(self.leases.claim(SESSION))

    def take_over(self):
        if not self.is_busy:
            self.do(self.leases.claim(SESSION, take_over=True))

    def release(self):
        if not self.is_busy and not self.is_losing:
            self.is_running = False
            self.do(self.leases.release(SESSION))

    def beat(self):
        self.beats.add(self.begun(self._beat()))

    def kill(self):
        self.begin()

    async def _beat(self):
        leases = self.leases
        try:
            await leases.beat()
        finally:
            if leases is self.leases and leases.take_lost():
                self.is_losing = True

    def stopped(self):
        if self.is_losing:
            self.is_running = self.is_losing = False
            self.leases.stopped(SESSION)

    def obey(self):
        """What strict fencing does at the deadline."""
        if self.leases.seconds_left <= 0:
            self.leases.lose_all()
            self.is_running = False


class World:
    def __init__(self, group):
        self.group = group
        self.clock = FakeClock()
        self.place = Place(self.clock)
        self.successes = 0
        self.servers = [Server(number, self) for number in range(SERVERS)]

    async def play(self, kind, number):
        each = self.servers[number % SERVERS]
        if kind == "go":
            await self.place.gates.open(number)
        elif kind == "everything":
            for _ in range(60):
                await self.place.gates.open(0)
        elif kind == "time":
            self.clock.advance(number)
        elif kind == "jump":
            self.place.jump = timedelta(seconds=number)
        else:
            getattr(each, kind)()
        for server in self.servers:
            server.obey()
        for _ in range(3):
            await asyncio.sleep(0)
        running = [server.number for server in self.servers if server.is_running]
        assert len(running) <= 1, f"the session runs on {running}"


async def run(steps):
    async with asyncio.TaskGroup() as group:
        world = World(group)
        try:
            for kind, number in steps:
                await world.play(kind, number)
        finally:
            for server in world.servers:
                server.begin()  # ends what is under way
        return world.successes


@settings(max_examples=150, deadline=None)
@given(st.lists(step, min_size=20, max_size=120))
def test_a_session_never_runs_twice(steps):
    """The invariant of the whole protocol."""
    asyncio.run(run(steps))


def test_the_model_does_run_sessions():
    """So that the test above is about something: each server has the session once."""
    steps = []
    for number in range(SERVERS):
        steps += [("take_over", number), ("everything", 0)]
        for _ in range(8):
            steps += [("time", 9), ("everything", 0), ("beat", number), ("everything", 0)]
    assert asyncio.run(run(steps)) >= SERVERS
