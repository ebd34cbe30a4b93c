"""The one async face of the blocking backends: bounded threads, and a time limit for every call."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from .base import ObjectInfo, Properties, StorageBackend
from .errors import BackendClosed, BackendTimeout

T = TypeVar("T")


class AsyncStorage:
    """A backend's verbs as coroutines. Owns the backend: `async with` opens and closes it.

    Calls run in threads of their own pool, as many as `Properties.connections`; more wait in line,
    within the same time limit. A call that takes longer raises BackendTimeout, and so may a
    cancelled one end: its thread cannot be stopped, so the call may still take effect.
    """

    def __init__(
        self, backend: StorageBackend, *, timeout: timedelta = timedelta(seconds=60)
    ) -> None:
        self._backend = backend
        self._timeout = timeout.total_seconds()
        self._threads: ThreadPoolExecutor | None = None

    @property
    def name(self) -> str:
        """As in the contract."""
        return self._backend.name

    @property
    def properties(self) -> Properties:
        """As in the contract."""
        return self._backend.properties

    async def __aenter__(self) -> Self:
        self._threads = ThreadPoolExecutor(
            self.properties.connections, thread_name_prefix=f"storage-{self.name}"
        )
        try:
            await self._call("", self._backend.open)
        except BaseException:
            self._end_threads()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._call("", self._backend.close)
        finally:
            self._end_threads()

    async def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """As in the contract."""
        return await self._call(
            key, self._backend.put, key, data, if_absent=if_absent, sha256=sha256
        )

    async def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """As in the contract."""
        return await self._call(key, self._backend.get, key, offset=offset, length=length)

    async def stat(self, key: str) -> ObjectInfo:
        """As in the contract."""
        return await self._call(key, self._backend.stat, key)

    async def delete(self, key: str) -> None:
        """As in the contract."""
        await self._call(key, self._backend.delete, key)

    async def list(self, prefix: str = "") -> list[ObjectInfo]:
        """As in the contract, all at once."""
        return await self._call(prefix, lambda: [*self._backend.list(prefix)])

    async def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """As in the contract."""
        return await self._call(key, self._backend.cas, key, data, expected=expected)

    async def _call(self, key: str, call: Callable[..., T], *args: Any, **named: Any) -> T:
        if self._threads is None:
            raise BackendClosed(backend=self.name, key=key)
        run = partial(contextvars.copy_context().run, call, *args, **named)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        except TimeoutError as exc:
            raise BackendTimeout(backend=self.name, key=key) from exc

    def _end_threads(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
