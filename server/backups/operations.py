"""Operations: work that outlives the call that asked for it, and the client's connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

import msgspec
import structlog
from sqlalchemy import Connection, delete, insert, select, update

from server.core.clock import Clock
from server.core.errors import (
    DomainError,
    OperationCancelled,
    OperationInProgress,
    OperationInterrupted,
    OperationNotFound,
    ServerDraining,
    StorageUnavailable,
)
from server.core.ids import time_ordered_id
from server.core.names import OperationName, SessionName
from server.core.wakeup import Wakeup
from server.state.database import Database
from server.state.tables import operations

from .operation import FIELDS, Operation, OperationFailure, Progress, Result

logger = structlog.get_logger(__name__)

KEPT = timedelta(hours=24)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Operation).decode


class Report(Protocol):
    """Tells how far an operation is."""

    @property
    def operation(self) -> OperationName:
        """Which operation."""
        ...

    def __call__(self, phase: str, bytes_done: int = 0, bytes_total: int = 0) -> None:
        """Called from the loop, as often as one likes."""
        ...


Work = Callable[[Report], Awaitable[Result]]


class _Running:
    """An operation under way; for its work it is the `Report`."""

    def __init__(self, operation: Operation) -> None:
        self.state = operation
        self.changed = Wakeup()
        self.task: asyncio.Task[None] | None = None
        self.is_cancel_wanted = False

    @property
    def operation(self) -> OperationName:
        return self.state.name

    def show(self, operation: Operation) -> None:
        self.state = operation
        self.changed.wake()

    def __call__(self, phase: str, bytes_done: int = 0, bytes_total: int = 0) -> None:
        progress = Progress(phase=phase, bytes_done=bytes_done, bytes_total=bytes_total)
        self.show(replace(self.state, progress=progress))


class Operations:
    """Runs operations, one per session at a time, and remembers them for `KEPT` after their end.

    What an ended server left unfinished shows as OPERATION_INTERRUPTED from the next start on.
    Leaving the context cancels what still runs; it ends the same way.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._tasks = asyncio.TaskGroup()
        self._running: dict[OperationName, _Running] = {}
        self._by_session: dict[SessionName, OperationName] = {}
        self._is_closing = True

    async def __aenter__(self) -> Self:
        now = self._clock.now()
        await self._database.write(lambda connection: _interrupt_unfinished(connection, now))
        await self._tasks.__aenter__()
        self._is_closing = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
        await self._tasks.__aexit__(kind, error, traceback)

    async def close(self) -> None:
        """Refuses new operations and ends the running ones as interrupted. Idempotent."""
        self._is_closing = True
        ending = [each.task for each in self._running.values() if each.task is not None]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    async def start(self, *, target: str, session: SessionName | None, work: Work) -> Operation:
        """Accepts `work` on a session and begins it; on None: on something else.

        Raises OperationInProgress, ServerDraining.
        """
        self._refuse_when_closing()
        if session is not None and (busy := self._by_session.get(session)) is not None:
            raise OperationInProgress(session=str(session), operation=str(busy))
        operation = Operation(
            name=OperationName(time_ordered_id()), target=target, create_time=self._clock.now()
        )
        running = self._running[operation.name] = _Running(operation)
        if session is not None:
            self._by_session[session] = operation.name
        try:
            await self._database.write(lambda connection: _add(connection, operation))
            self._refuse_when_closing()  # meanwhile; the next server marks it interrupted
        except BaseException:
            self._forget(running, session)
            raise
        running.task = self._tasks.create_task(
            self._run(running, session, work), name=str(operation.name)
        )
        return operation

    async def get(self, name: OperationName) -> Operation:
        """The operation as it is now; raises OperationNotFound."""
        if (running := self._running.get(name)) is not None:
            return running.state
        found = await self._database.read(lambda connection: _find(connection, name))
        if found is None:
            raise OperationNotFound(name=str(name))
        return found

    async def list(self, *, target: str = "", after: str = "", limit: int = 50) -> list[Operation]:
        """Newest first, those before the operation id `after`; `target` empty: all."""
        found = await self._database.read(
            lambda connection: _list(connection, target, after, limit)
        )
        return [
            running.state if (running := self._running.get(stored.name)) else stored
            for stored in found
        ]

    async def watch(self, name: OperationName) -> AsyncIterator[Operation]:
        """The operation now, then after each change; ends when it is done."""
        running = self._running.get(name)
        if running is None:
            yield await self.get(name)
            return
        while True:
            operation = running.state
            yield operation
            if operation.done:
                return
            if running.state is operation:
                await running.changed.wait()

    async def cancel(self, name: OperationName) -> None:
        """Asks for cancellation; nothing if it is done. Raises OperationNotFound."""
        running = self._running.get(name)
        if running is None:
            await self.get(name)
        elif running.task is not None:
            running.is_cancel_wanted = True
            running.task.cancel()

    async def _run(self, running: _Running, session: SessionName | None, work: Work) -> None:
        operation = running.state
        changes: dict[str, object]
        try:
            result = await work(running)
            changes = {FIELDS[type(result)]: result}
        except asyncio.CancelledError:
            ended = OperationCancelled if running.is_cancel_wanted else OperationInterrupted
            changes = {"failure": _failure(ended(operation=str(operation.name)))}
        except DomainError as error:
            logger.warning("operation.failed", operation=str(operation.name), reason=error.reason)
            changes = {"failure": _failure(error)}
        except Exception:
            logger.exception("operation.failed", operation=str(operation.name), reason="INTERNAL")
            changes = {"failure": OperationFailure(reason="INTERNAL", message="internal error")}
        done = replace(running.state, end_time=self._clock.now(), **changes)  # type: ignore[arg-type]
        try:
            await asyncio.shield(self._database.write(lambda connection: _end(connection, done)))
        except StorageUnavailable:  # shown all the same; after a restart it counts as interrupted
            logger.exception("operation.not_saved", operation=str(operation.name))
        finally:
            running.show(done)
            self._forget(running, session)

    def _refuse_when_closing(self) -> None:
        if self._is_closing:
            raise ServerDraining

    def _forget(self, running: _Running, session: SessionName | None) -> None:
        del self._running[running.operation]
        if session is not None:
            del self._by_session[session]


def _failure(error: DomainError) -> OperationFailure:
    return OperationFailure(reason=error.reason, message=error.message, metadata=error.metadata())


def _add(connection: Connection, operation: Operation) -> None:
    old = operation.create_time - KEPT
    connection.execute(delete(operations).where(operations.c.end_time < old))
    connection.execute(
        insert(operations).values(
            operation_id=operation.name.operation_id,
            target=operation.target,
            create_time=operation.create_time,
            body=_encode(operation).decode(),
        )
    )


def _end(connection: Connection, operation: Operation) -> None:
    connection.execute(
        update(operations)
        .where(operations.c.operation_id == operation.name.operation_id)
        .values(end_time=operation.end_time, body=_encode(operation).decode())
    )


def _interrupt_unfinished(connection: Connection, now: datetime) -> None:
    unfinished = select(operations.c.body).where(operations.c.end_time.is_(None))
    for body in connection.scalars(unfinished).all():
        operation = _decode(body)
        failure = _failure(OperationInterrupted(operation=str(operation.name)))
        _end(connection, replace(operation, end_time=now, failure=failure))


def _find(connection: Connection, name: OperationName) -> Operation | None:
    wanted = select(operations.c.body).where(operations.c.operation_id == name.operation_id)
    body = connection.scalar(wanted)
    return None if body is None else _decode(body)


def _list(connection: Connection, target: str, after: str, limit: int) -> list[Operation]:
    wanted = select(operations.c.body).order_by(operations.c.operation_id.desc()).limit(limit)
    if target:
        wanted = wanted.where(operations.c.target == target)
    if after:
        wanted = wanted.where(operations.c.operation_id < after)
    return [_decode(body) for body in connection.scalars(wanted)]
