"""Threads for the heavy, blocking parts of backups: copying, sealing, checking."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A few threads; that few bounds the memory of backups made at the same time."""

    def __init__(self, count: int = 2) -> None:
        self._count = count
        self._threads: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="backups")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._threads is not None
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = None

    async def run(self, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Runs `call` in a thread.

        A cancelled caller is held until a call under way has ended: it works on files that the
        caller is about to remove.
        """
        assert self._threads is not None
        context = contextvars.copy_context()
        work = self._threads.submit(partial(context.run, call, *args, **named))
        waiting = asyncio.wrap_future(work)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not work.cancel():
                await asyncio.wait([waiting])
            raise
