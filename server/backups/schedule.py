"""Makes backups by itself: after changes, from time to time, and when a session has stopped."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import structlog

from server.core.clock import Clock
from server.core.errors import DomainError, ServerDraining, SessionNotFound, SessionNotPaired
from server.core.names import SessionName
from server.sessions.model import Session

from . import timing
from .timing import Marks, Timing, Watch

logger = structlog.get_logger(__name__)

AT_ONCE = 2
LONGEST_LOOK = 5.0  # seconds between two looks at the stores
LOOKS_PER_DEBOUNCE = 4
FAILURES_SHOWN = 3  # after so many in a row the session says so


class Urgency(IntEnum):
    """Who goes first."""

    STOPPED = 0
    DUE = 1


class Sessions(Protocol):
    """What the schedule needs of the sessions; `sessions.manager.SessionManager` is it."""

    def list(self) -> list[Session]:
        """All that are not deleted."""
        ...

    def get(self, name: SessionName) -> Session:
        """As recorded; raises SessionNotFound."""
        ...

    def store_path(self, name: SessionName) -> Path | None:
        """The store of a session that has credentials; raises SessionNotFound."""
        ...


class Backups(Protocol):
    """What the schedule needs of the backups."""

    async def back_up(self, name: SessionName) -> None:
        """Makes one backup; raises DomainError."""
        ...

    async def newest(self, name: SessionName) -> datetime | None:
        """When the newest good backup was taken; raises DomainError."""
        ...

    async def failing(self, name: SessionName, error: Exception) -> None:
        """Shows that backups of a session have failed several times in a row."""
        ...


class Schedule:
    """`async with` while the sessions run.

    Stores are only ever looked at by `stat`, in a thread; what is due waits in a queue for one of
    a few workers. A session's engine is never waited for and never waits.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        backups: Backups,
        timing_of: Callable[[SessionName], Timing],
        clock: Clock,
        uniform: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._backups = backups
        self._timing_of = timing_of
        self._clock = clock
        self._uniform = uniform
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []
        self._thread = ThreadPoolExecutor(1, "backup-schedule")
        self._watches: dict[SessionName, Watch] = {}
        self._wanted: dict[SessionName, Urgency] = {}
        self._queue: asyncio.PriorityQueue[tuple[Urgency, int, SessionName]]
        self._queue = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._working: Counter[SessionName] = Counter()
        self._is_finishing = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        work = [("watch", self._watch_forever())]
        work += [(f"worker-{number}", self._work_forever()) for number in range(AT_ONCE)]
        for name, each in work:
            self._running.append(self._tasks.create_task(each, name=f"backups/{name}"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(kind, error, traceback)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def stopped(self, name: SessionName) -> None:
        """A session's engine has ended: its last state is copied as soon as possible."""
        self._want(name, Urgency.STOPPED)

    async def finish(self, limit: timedelta) -> None:
        """Copies what has stopped, as far as `limit` allows, and nothing else from now on."""
        self._is_finishing = True
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._queue.join()
        except TimeoutError:
            left = [name.session_id for name in self._wanted]
            logger.warning("backup.not_finished", sessions=left)

    # --- looking

    async def _watch_forever(self) -> None:
        while not self._is_finishing:
            await self._look()
            await self._clock.sleep(self._pause())

    async def _look(self) -> None:
        stores = {}
        for session in self._sessions.list():
            if (store := self._sessions.store_path(session.name)) is not None:
                stores[session.name] = store
        found = await self._stat(stores)
        now = self._clock.monotonic()
        self._watches = {
            name: self._looked(name, marks, now)
            for name, marks in found.items()
            if marks is not None
        }
        for name, watch in self._watches.items():
            if timing.due_at(watch, self._timing_of(name)) <= now:
                self._want(name, Urgency.DUE)

    def _looked(self, name: SessionName, marks: Marks, now: float) -> Watch:
        watch = self._watches.get(name)
        return timing.looked(watch, marks, now) if watch else timing.first_look(marks, now)

    def _pause(self) -> float:
        debounces = [self._timing_of(name).debounce.total_seconds() for name in self._watches]
        return min([LONGEST_LOOK, *(each / LOOKS_PER_DEBOUNCE for each in debounces)])

    async def _stat(self, stores: Mapping[SessionName, Path]) -> dict[SessionName, Marks | None]:
        def stat() -> dict[SessionName, Marks | None]:
            return {name: marks_of(store) for name, store in stores.items()}

        return await asyncio.get_running_loop().run_in_executor(self._thread, stat)

    async def _marks(self, name: SessionName) -> Marks | None:
        store = self._sessions.store_path(name)
        return None if store is None else (await self._stat({name: store}))[name]

    # --- copying

    def _want(self, name: SessionName, urgency: Urgency) -> None:
        known = self._wanted.get(name)
        if urgency is Urgency.DUE and (name in self._working or self._is_finishing):
            return
        if known is None or urgency < known:
            self._wanted[name] = urgency
            self._queue.put_nowait((urgency, next(self._numbers), name))

    async def _work_forever(self) -> None:
        while True:
            urgency, _, name = await self._queue.get()
            try:
                if self._wanted.get(name) is urgency:
                    del self._wanted[name]
                    if urgency is Urgency.STOPPED or not self._is_finishing:
                        await self._work(name, urgency)
            finally:
                self._queue.task_done()

    async def _work(self, name: SessionName, urgency: Urgency) -> None:
        """Whatever goes wrong is this session's failure, and is tried again."""
        self._working[name] += 1
        try:
            await self._back_up(name, urgency)
        except (SessionNotFound, SessionNotPaired, ServerDraining):
            self._watches.pop(name, None)
        except DomainError as error:
            logger.warning("backup.failed", session=name.session_id, reason=error.reason)
            await self._failed(name, error)
        except Exception as error:
            logger.exception("backup.failed", session=name.session_id, reason="INTERNAL")
            await self._failed(name, error)
        finally:
            self._working -= Counter([name])

    async def _back_up(self, name: SessionName, urgency: Urgency) -> None:
        before = await self._marks(name)
        if before is None:
            raise SessionNotPaired(session=str(name))
        now, was = self._clock.monotonic(), self._sessions.get(name)
        watch = self._watches.setdefault(name, timing.first_look(before, now))
        if watch.saved_at is None and urgency is Urgency.DUE:
            newest = await self._backups.newest(name)
            if newest is not None and _changed(before) < newest:
                age = (self._clock.now() - newest).total_seconds()
                self._saved(name, before, before, now - age)
                return
        await self._backups.back_up(name)
        after = await self._marks(name)
        if after is not None:
            # Nobody but the copying itself can have touched a store at rest.
            is_at_rest = _is_at_rest(was) and _epochs(was) == _epochs(self._sessions.get(name))
            self._saved(name, after if is_at_rest else before, after, now)

    def _saved(self, name: SessionName, marks: Marks, seen: Marks, at: float) -> None:
        if (watch := self._watches.get(name)) is not None:
            spread = 2 * self._uniform() - 1
            now = self._clock.monotonic()
            self._watches[name] = timing.saved(watch, marks, at, seen=seen, now=now, spread=spread)

    async def _failed(self, name: SessionName, error: Exception) -> None:
        watch = self._watches.get(name)
        if watch is None:
            return
        watch = timing.failed(watch, self._clock.monotonic(), self._uniform)
        self._watches[name] = watch
        if watch.failures >= FAILURES_SHOWN:
            with contextlib.suppress(SessionNotFound, ServerDraining):
                await self._backups.failing(name, error)


def marks_of(store: Path) -> Marks | None:
    """What `stat` says of the database and its log; None if there is no database."""
    try:
        marks = [_mark(store)]
    except FileNotFoundError:
        return None
    try:
        marks.append(_mark(store.with_name(f"{store.name}-wal")))
    except FileNotFoundError:
        marks.append((0, 0))
    return tuple(marks)


def _mark(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def _changed(marks: Marks) -> datetime:
    """When the store was last written to."""
    newest = max(modified for modified, _ in marks)
    return datetime.fromtimestamp(newest / 1e9, UTC)


def _epochs(session: Session) -> tuple[int, int, int]:
    return session.store_epoch, session.connect_epoch, session.clean_epoch


def _is_at_rest(session: Session) -> bool:
    return session.connect_epoch == session.clean_epoch
