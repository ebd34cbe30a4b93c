"""An event loop on a thread of its own, and asyncio methods called through it.

The blocking client is the asyncio client seen through these descriptors, so that nothing is
written twice and both have the same signatures for type checkers.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from .group import AsyncGroup

P = ParamSpec("P")
T = TypeVar("T")


class Portal:
    """Runs coroutines in the background loop; usable from any thread until `close`."""

    def __init__(self) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._serve(started),), name="roost-client", daemon=True
        )
        self._thread.start()
        self._loop = started.result()

    async def _serve(self, started: "Future[asyncio.AbstractEventLoop]") -> None:
        self._stop = asyncio.Event()
        started.set_result(asyncio.get_running_loop())
        await self._stop.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` to its end; Ctrl-C here cancels it there."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """Iterates in the caller's thread; leaving early ends the generator there."""

        async def step() -> tuple[T] | None:
            async for item in items:
                return (item,)
            return None

        try:
            while found := self.run(step()):
                yield found[0]
        finally:
            if self.is_open:  # else closing the client has ended the generator
                self.run(items.aclose())

    @property
    def is_open(self) -> bool:
        """The loop still takes work."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Ends the loop and its thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


class Group:
    """The blocking face of one group of methods; made by `Client`."""

    def __init__(self, group: AsyncGroup, portal: Portal) -> None:
        self.group = group
        self.portal = portal


class Blocking(Generic[P, T]):
    """A method that waits for the result of the group's asyncio method."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, owner: Group, _: type[Group] | None = None) -> Callable[P, T]:
        """Bound to `owner`."""

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return owner.portal.run(self._method(owner.group, *args, **kwargs))

        return call


class Iterating(Generic[P, T]):
    """A method that iterates over the group's asynchronous generator."""

    def __init__(self, method: Callable[Concatenate[Any, P], AsyncGenerator[T, None]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, owner: Group, _: type[Group] | None = None) -> Callable[P, Iterator[T]]:
        """Bound to `owner`."""

        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return owner.portal.iterate(self._method(owner.group, *args, **kwargs))

        return call
