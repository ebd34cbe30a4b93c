"""The async face."""

import asyncio
import contextvars
import threading
from datetime import timedelta

import pytest

from storage_backends.errors import (
    AccessDenied,
    BackendClosed,
    BackendTimeout,
    ObjectChanged,
    ObjectNotFound,
)
from storage_backends.layers import Checked, Layer
from storage_backends.memory import MemoryBackend
from storage_backends.threaded import AsyncStorage

REQUEST = contextvars.ContextVar("REQUEST")


class Stuck(Layer):
    """Reads wait until the test lets them go."""

    def __init__(self, inner):
        super().__init__(inner)
        self.release = threading.Event()

    def get(self, key, *, offset=0, length=None):
        assert self.release.wait(timeout=30)
        return super().get(key, offset=offset, length=length)


async def test_verbs():
    """Every verb does in a thread what the backend does."""
    async with AsyncStorage(Checked(MemoryBackend())) as storage:
        info = await storage.put("a/b", b"12345")
        assert await storage.stat("a/b") == info
        assert await storage.get("a/b") == b"12345"
        assert await storage.get("a/b", offset=1, length=2) == b"23"
        assert [found.key for found in await storage.list("a")] == ["a/b"]
        info = await storage.cas("a/b", b"6", expected=info.etag)
        with pytest.raises(ObjectChanged):
            await storage.cas("a/b", b"7", expected=None)
        await storage.delete("a/b")
        with pytest.raises(ObjectNotFound):
            await storage.get("a/b")
        assert storage.name == "memory:default"
        assert storage.properties.connections == 4


async def test_time_limit():
    """A call that hangs raises BackendTimeout in time, and others go on."""
    stuck = Stuck(Checked(MemoryBackend()))
    storage = AsyncStorage(stuck, timeout=timedelta(seconds=0.1))
    try:
        async with storage:
            await storage.put("a", b"x")
            with pytest.raises(BackendTimeout) as caught:
                await storage.get("a")
            assert caught.value.key == "a"
            assert [info.key for info in await storage.list()] == ["a"]
    finally:
        stuck.release.set()


async def test_waiting_for_a_thread_counts():
    """When all threads hang, callers in line are not kept for ever either."""
    stuck = Stuck(Checked(MemoryBackend()))
    try:
        with pytest.raises(BackendTimeout):
            async with AsyncStorage(stuck, timeout=timedelta(seconds=0.1)) as storage:
                async with asyncio.TaskGroup() as group:
                    for _ in range(4):
                        group.create_task(expect_timeout(storage.get("a")))
                await expect_timeout(storage.stat("a"))
    finally:
        stuck.release.set()


async def expect_timeout(call):
    with pytest.raises(BackendTimeout):
        await call


async def test_loop_is_not_blocked():
    """The loop runs while a backend hangs."""
    stuck = Stuck(Checked(MemoryBackend()))
    async with AsyncStorage(stuck) as storage:
        await storage.put("a", b"x")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(storage.get("a"))
            await asyncio.sleep(0)
            assert not reading.done()
            stuck.release.set()
        assert reading.result() == b"x"


async def test_context_is_carried():
    """Log context of the caller is there in the thread."""

    class Context(Layer):
        def stat(self, key):
            seen.append((REQUEST.get(), threading.current_thread() is threading.main_thread()))
            return super().stat(key)

    seen = []
    REQUEST.set("r1")
    async with AsyncStorage(Context(Checked(MemoryBackend()))) as storage:
        await storage.put("a", b"")
        await storage.stat("a")
    assert seen == [("r1", False)]


async def test_not_open():
    """Before and after the context every verb raises BackendClosed."""
    storage = AsyncStorage(Checked(MemoryBackend()))
    with pytest.raises(BackendClosed):
        await storage.get("a")
    async with storage:
        pass
    with pytest.raises(BackendClosed):
        await storage.list()


async def test_open_fails():
    """A backend that cannot be opened leaves nothing running."""

    class Refusing(Layer):
        def open(self):
            raise AccessDenied(backend=self.name)

    storage = AsyncStorage(Refusing(MemoryBackend()))
    with pytest.raises(AccessDenied):
        await storage.__aenter__()
    with pytest.raises(BackendClosed):
        await storage.get("a")
