"""A process that dies, or a storage that stumbles, at any call while keys are worked on."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from server.vault.datakeys import DataKeys, KeyCorrupt
from server.vault.masterkeys.file import FileKey
from server.vault.workers import Workers
from storage_backends.errors import StorageError
from storage_backends.faults import Fault, Faulty
from storage_backends.layers import Checked
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.threaded import AsyncStorage

A, B, C = (FileKey(bytes([number]) * 32) for number in (1, 2, 3))
SESSIONS = ("ann", "bea")


class Dies(Exception):
    """The process ends at this call."""


class World:
    """A repository, and every data key that was ever handed out to seal something."""

    def __init__(self, stack, workers):
        self.space = MemorySpace()
        self.used = set()
        self._stack = stack
        self._workers = workers

    async def keys(self, *masters, rule=lambda _: None):
        backend = Faulty(Checked(MemoryBackend(self.space)), rule)
        storage = await self._stack.enter_async_context(AsyncStorage(backend))
        return DataKeys(storage, "ab" * 16, masters, self._workers.run)

    async def use(self, keys, session):
        self.used.add(await keys.current(session))

    async def openable(self, *masters):
        """Every key that was used opens with these master keys."""
        keys = await self.keys(*masters)
        for key in self.used:
            assert await keys.get(key.session_id, key.term) == key


@pytest.fixture
async def new_world():
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(Workers())

        async def new_world():
            world = World(stack, workers)
            keys = await world.keys(A)
            for session in SESSIONS:
                await world.use(keys, session)
            return world

        yield new_world


async def make_and_rotate(world, keys):
    """What a busy server with two master keys does."""
    await world.use(keys, "new")
    for session in SESSIONS:
        await keys.rewrap(session)
        await world.use(keys, session)
        await keys.rotate(session)
        await world.use(keys, session)


async def rewrap_all(world, keys):
    await keys.rewrap(verify=True)


async def replace_a(world, keys):
    """The second half of replacing a master key, on a server where only B is configured."""
    await keys.rewrap()
    await keys.retire(A.id)


def failing_at(number, fault):
    def rule(call):
        if call.number != number:
            return None
        if fault is None:
            raise Dies
        return fault

    return rule


def calls(keys):
    """How many calls have reached the storage."""
    return len(keys._wraps._storage._backend.calls)


@pytest.mark.parametrize(
    "fault", [None, Fault.UNAVAILABLE, Fault.TIMEOUT_AFTER_SUCCESS, Fault.FULL]
)
@pytest.mark.parametrize("work", [make_and_rotate, rewrap_all])
async def test_interrupted_at_every_call(new_world, work, fault):
    """No key that was used is lost, and the next server makes good what was left undone."""
    for number in range(1, 100):
        world = await new_world()
        keys = await world.keys(A, B, rule=failing_at(number, fault))
        try:
            await work(world, keys)
        except (Dies, StorageError):
            await world.openable(A)
        else:
            if calls(keys) < number:
                break
        after = await world.keys(A, B)
        assert not (await after.rewrap(verify=True)).unreadable
        for session in SESSIONS:
            await world.use(after, session)
        for masters in ([A], [B], [B, A]):
            await world.openable(*masters)
    assert 6 < number < 99


@pytest.mark.parametrize("fault", [None, Fault.UNAVAILABLE, Fault.TIMEOUT_AFTER_SUCCESS])
async def test_retiring_interrupted_at_every_call(new_world, fault):
    """At no moment is there a key that only the retired master key opens."""
    for number in range(1, 100):
        world = await new_world()
        both = await world.keys(A, B)
        await make_and_rotate(world, both)
        keys = await world.keys(B, rule=failing_at(number, fault))
        try:
            await replace_a(world, keys)
        except (Dies, StorageError):
            await world.openable(B)
        else:
            if calls(keys) < number:
                break
        await replace_a(world, await world.keys(B))
        assert not [name for name in world.space.objects if name.endswith(A.id)]
        await world.openable(B)
    assert 6 < number < 99


@pytest.mark.parametrize("fault", [Fault.TORN, Fault.TORN_SILENTLY, Fault.LOST_SILENTLY])
async def test_storage_that_breaks_what_it_is_given(new_world, fault):
    """A key is handed out only after it was read back; the next try makes a good one."""
    for number in range(1, 60):
        world = await new_world()
        keys = await world.keys(
            A,
            B,
            rule=lambda call, n=number: fault if (call.number, call.verb) == (n, "put") else None,
        )
        try:
            await make_and_rotate(world, keys)
        except (StorageError, KeyCorrupt):
            await world.openable(A)
        fresh = await world.keys(A, B)
        await fresh.rewrap(verify=True)
        for session in (*SESSIONS, "new"):
            await world.use(fresh, session)
        for masters in ([A], [B]):
            await world.openable(*masters)


async def test_all_at_once(new_world):
    """Servers that make, rotate, rewrap and retire at the same time lose nothing."""
    world = await new_world()
    servers = [await world.keys(A, B, C) for _ in range(3)]
    retiring = await world.keys(B, C)

    async def busy(keys):
        for _ in range(10):
            for session in SESSIONS:
                await world.use(keys, session)
                await keys.rotate(session)
                await world.use(keys, session)

    async def tidy():
        for _ in range(10):
            await retiring.rewrap(verify=True)
            await retiring.retire(A.id)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for keys in servers:
            group.create_task(busy(keys))
        group.create_task(tidy())
    assert len(world.used) > 60
    for master in (B, C):
        await world.openable(master)
