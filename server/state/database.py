"""The state database as the rest of the server sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from server.core.errors import StorageUnavailable

from .engines import make_engines
from .schema import upgrade

T = TypeVar("T")
READERS = 4


class Database:
    """Transactions from a loop: SQLAlchemy blocks, so it runs in this object's own threads.

    All writes go through one thread and one connection, in the order of their calls: there is no
    contention between them and a SQLite database is never "locked". Reads run beside them, each
    in its own read-only snapshot.

    A call whose task is cancelled may still take effect.
    """

    def __init__(self, writer: Engine, reader: Engine, readers: int) -> None:
        self._writer = writer
        self._reader = reader
        self._writer_thread = ThreadPoolExecutor(1, "state-writer")
        self._reader_threads = ThreadPoolExecutor(readers, "state-reader")

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, readers: int = READERS) -> AsyncIterator[Self]:
        """Opens `sqlite:////path/file` or `postgresql://…` and brings the schema up to date.

        Raises ValueError for another kind of URL, StorageUnavailable if it cannot be reached,
        `schema.SchemaTooNew` if a newer server has used it.
        """
        database = cls(*make_engines(url, readers), readers)
        try:
            await database.write(upgrade)
            yield database
        finally:
            await database._close()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in one transaction, committed when it returns, rolled back when it raises.

        Raises StorageUnavailable when the database does not answer; whether the transaction took
        effect is then unknown if the connection broke during its commit.
        """
        return await self._run(self._writer_thread, self._writer, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction that may only read. Raises StorageUnavailable."""
        return await self._run(self._reader_threads, self._reader, work)

    async def _run(
        self, threads: ThreadPoolExecutor, engine: Engine, work: Callable[[Connection], T]
    ) -> T:
        def in_thread() -> T:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except (OperationalError, InterfaceError, PoolTimeout) as error:
                raise StorageUnavailable(storage_location="state database") from error

        return await asyncio.get_running_loop().run_in_executor(threads, in_thread)

    async def _close(self) -> None:
        """Lets calls that nobody waits for any more come to their end: they hold connections."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer_thread, self._close_in_thread)
        self._writer_thread.shutdown(wait=False)

    def _close_in_thread(self) -> None:
        self._reader_threads.shutdown(wait=True)
        self._reader.dispose()
        self._writer.dispose()
