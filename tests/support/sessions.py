"""A session manager on fakes: engine, clock and journal are the test's."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from server.core.names import SessionName
from server.core.wakeup import Wakeup
from server.engine.base import Account, Connected, Paired, QrCode
from server.engine.fake import FakeEngine, FakeSession
from server.sessions.journal import EventBody
from server.sessions.manager import SessionManager
from server.sessions.model import Session, SessionChanged, State
from server.sessions.registry import SessionRecord, SessionRegistry

from .builders import ANN
from .clock import FakeClock

DEADLINE_SECONDS = 20
QR_SECONDS = 60


class MemoryJournal:
    """Records at once, in memory. `delay` lets a test hold records back."""

    def __init__(self, registry: SessionRegistry) -> None:
        self.registry = registry
        self.events: list[tuple[SessionName, EventBody]] = []
        self.recorded = Wakeup()
        self.error: Exception | None = None

    async def record(
        self, session: Session, events: Sequence[EventBody] = (), *, spool_acked: int | None = None
    ) -> None:
        """As `Journal.record`."""
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        before = self.registry.record(session.name)
        acked = before.spool_acked if before else 0
        self.registry.apply(
            [
                SessionRecord(
                    session=session, spool_acked=acked if spool_acked is None else spool_acked
                )
            ]
        )
        self.events += [(session.name, event) for event in events]
        self.recorded.wake()

    def history(self, name: SessionName) -> list[Session]:
        """The session's published states, in order."""
        return [
            event.session
            for of, event in self.events
            if of == name and isinstance(event, SessionChanged)
        ]


class Harness:
    """A running manager with what surrounds it."""

    def __init__(self, data_dir: Path, sessions: Sequence[Session] = (), **options: Any) -> None:
        self.data_dir = data_dir
        self._devices = itertools.count(2)
        self.clock = options.pop("clock", None) or FakeClock()
        self.engine = options.pop("engine", None) or FakeEngine()
        self.registry = SessionRegistry()
        self.registry.apply(SessionRecord(session=session) for session in sessions)
        self.journal = MemoryJournal(self.registry)
        self.paired: list[SessionName] = []
        options.setdefault("on_paired", self._on_paired)
        options.setdefault("uniform", lambda: 0.5)
        self.manager = SessionManager(
            journal=self.journal,
            registry=self.registry,
            engine=self.engine,
            clock=self.clock,
            data_dir=data_dir,
            **options,
        )

    async def _on_paired(self, name: SessionName) -> None:
        self.paired.append(name)

    def session(self, session_id: str = "a") -> Session:
        """As committed."""
        return self.registry.get(SessionName(session_id))

    async def until(self, state: State, session_id: str = "a") -> Session:
        """Waits for a session's state."""
        return await self.until_true(
            lambda: self.session(session_id).state is state and self.session(session_id)
        )

    async def until_true(self, condition: Any) -> Any:
        """Waits until a record makes `condition` true; its value."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (value := condition()):
                await self.journal.recorded.wait()
            return value

    def states(self, session_id: str = "a") -> list[State]:
        """The states that subscribers have seen, without repeats."""
        history = self.journal.history(SessionName(session_id))
        return [
            session.state
            for index, session in enumerate(history)
            if index == 0 or history[index - 1].state is not session.state
        ]

    async def engine_of(self, session_id: str = "a", count: int = 1) -> FakeSession:
        """The `count`-th engine of a session."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.engine.started(session_id, count)

    async def active(self, session_id: str = "a", account: Account | None = None) -> FakeSession:
        """Creates, pairs and connects a session; "a" has the account ANN, others devices of it."""
        name = SessionName(session_id)
        if account is None:
            account = ANN if session_id == "a" else replace(ANN, device=next(self._devices))
        await self.manager.create(session_id=session_id)
        steps = self.manager.pair(name)
        async with asyncio.TaskGroup() as group:
            done = group.create_task(collect(steps))
            engine = await self.engine_of(session_id)
            play_pairing(engine, account)
            await done
        await self.until(State.ACTIVE, session_id)
        return engine

    async def elapse(self, seconds: float) -> None:
        """Waits until somebody sleeps for so long, then lets the time pass."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.clock.sleeping(seconds)
        self.clock.advance(seconds)

    def trash(self) -> list[str]:
        """What is in trash, without the time."""
        folder = self.data_dir / "trash"
        names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
        return sorted(name.partition("-")[2] for name in names)

    async def until_trash(self, *names: str) -> None:
        """Waits for what a test expects in trash."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while self.trash() != sorted(names):
                await asyncio.sleep(0.001)


def play_pairing(engine: FakeSession, account: Account = ANN) -> None:
    """The phone scans the first QR code. The engine's store appears."""
    make_store(engine)
    engine.emit(qr_code(1))
    engine.emit(Paired(account=account))
    engine.emit(Connected(account=account))


def make_store(engine: FakeSession) -> None:
    """What a host does when it starts."""
    engine.spec.store.parent.mkdir(parents=True, exist_ok=True)
    engine.spec.store.write_bytes(b"store of epoch %d" % engine.spec.connect_epoch)


def qr_code(number: int) -> QrCode:
    """The n-th QR code."""
    return QrCode(payload=f"qr {number}", lifetime=timedelta(seconds=QR_SECONDS))


async def collect(steps: AsyncIterator[Any]) -> list[Any]:
    """All of a stream."""
    return [step async for step in steps]


@asynccontextmanager
async def harness(
    data_dir: Path, sessions: Sequence[Session] = (), **options: Any
) -> AsyncIterator[Harness]:
    """A manager that runs while the body does."""
    one = Harness(data_dir, sessions, **options)
    async with one.manager:
        yield one
