"""Repeats of a request with the same request_id run once and get the same response for 24 hours."""

import asyncio
import hashlib
from asyncio import Task, TaskGroup
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog
from google.protobuf.message import Message
from sqlalchemy import Connection, delete, insert, select, update

from server.core.clock import Clock
from server.core.errors import (
    DomainError,
    RequestIdReused,
    ServerDraining,
    StorageUnavailable,
    Unavailable,
)
from server.state.database import Database
from server.state.tables import idempotency

R = TypeVar("R", bound=Message)
KEPT = timedelta(hours=24)
_UNFINISHED = b""

log = structlog.get_logger(__name__)


class Attempt(Enum):
    """Whether work may find traces of itself."""

    FIRST = "first"
    AGAIN = "again"  # an earlier run was cut off; how far it had come is unknown


@dataclass(eq=False, slots=True)
class _Run:
    """One request being worked on, and everybody who waits for it."""

    method: str
    digest: bytes
    waiting: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    response: bytes = _UNFINISHED
    error: Exception | None = None


class Idempotency:
    """Owns the work of requests that carry a request_id.

    Such work belongs to this object and not to the call: a client that leaves does not stop it,
    and finds its result when it asks again. Failures are not kept: a repeat tries again.

    The request_id is recorded before the work begins. If the server dies within, the next repeat
    is told so (`Attempt.AGAIN`), and the work must find out how far the first run had come.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._tasks: set[Task[None]] = set()
        self._group = TaskGroup()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._group)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancels what still runs; its waiters are told that the server is draining."""
        for task in tuple(self._tasks):
            task.cancel()
        await self._stack.aclose()

    async def once(
        self, request: Message, response: type[R], work: Callable[[Attempt], Awaitable[R]]
    ) -> R:
        """Runs `work` unless this request was answered before.

        Args:
            request: has a valid `request_id`; without one the work simply runs.
            response: what `work` returns.
            work: makes the response.

        Raises:
            RequestIdReused: the same request_id came with another request.
        """
        request_id: str = request.request_id.lower()  # type: ignore[attr-defined]
        if not request_id:
            return await work(Attempt.FIRST)
        run = _Run(request.DESCRIPTOR.full_name, _digest(request))
        known = self._runs.get(request_id)
        if known is None:
            self._runs[request_id] = known = run
            name = f"idempotency/{request_id}"
            task = self._group.create_task(self._carry_out(request_id, run, work), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (known.method, known.digest) != (run.method, run.digest):
            raise RequestIdReused(request_id=request_id)
        return response.FromString(await _outcome(known))

    async def _carry_out(
        self, request_id: str, run: _Run, work: Callable[[Attempt], Awaitable[Message]]
    ) -> None:
        try:
            run.response = await self._answer(request_id, run, work)
        except asyncio.CancelledError:
            run.error = ServerDraining()
            raise
        except Exception as error:
            run.error = error
            if not run.waiting and not isinstance(error, DomainError):
                log.exception("request.failed")
        finally:
            del self._runs[request_id]
            run.done.set()

    async def _answer(
        self, request_id: str, run: _Run, work: Callable[[Attempt], Awaitable[Message]]
    ) -> bytes:
        before = await self._database.write(partial(self._claim, request_id, run))
        if before:
            return before
        try:
            attempt = Attempt.FIRST if before is None else Attempt.AGAIN
            response = (await work(attempt)).SerializeToString()
        except Unavailable:
            raise  # it may have taken effect: the claim stays
        except DomainError:
            await self._note(partial(_forget, request_id))
            raise
        await self._note(partial(_keep, request_id, response))
        return response

    async def _note(self, change: Callable[[Connection], None]) -> None:
        """Changes the record of work that is over; its outcome counts even if this fails."""
        try:
            await self._database.write(change)
        except StorageUnavailable:
            log.warning("request.not_recorded")

    def _claim(self, request_id: str, run: _Run, database: Connection) -> bytes | None:
        """The stored response; empty when an earlier run never ended; None when there was none."""
        now = self._clock.now()
        database.execute(delete(idempotency).where(idempotency.c.expire_time <= now))
        query = select(idempotency).where(idempotency.c.request_id == request_id)
        row: Any = database.execute(query).one_or_none()
        if row is None:
            database.execute(
                insert(idempotency).values(
                    request_id=request_id,
                    method=run.method,
                    digest=run.digest,
                    response=_UNFINISHED,
                    expire_time=now + KEPT,
                )
            )
            return None
        if (row.method, bytes(row.digest)) != (run.method, run.digest):
            raise RequestIdReused(request_id=request_id)
        return bytes(row.response)


async def _outcome(run: _Run) -> bytes:
    run.waiting += 1
    try:
        await run.done.wait()
    finally:
        run.waiting -= 1
    if run.error is not None:
        raise run.error
    return run.response


def _keep(request_id: str, response: bytes, database: Connection) -> None:
    row = update(idempotency).where(idempotency.c.request_id == request_id)
    database.execute(row.values(response=response))


def _forget(request_id: str, database: Connection) -> None:
    database.execute(delete(idempotency).where(idempotency.c.request_id == request_id))


def _digest(request: Message) -> bytes:
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("request_id")
    return hashlib.sha256(body.SerializeToString(deterministic=True)).digest()
