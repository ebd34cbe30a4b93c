"""The real engine on a simulator, as a supervisor would use it."""

import asyncio
import dataclasses
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import TypeVar

import pytest

from server.engine import lock
from server.engine.base import (
    Connected,
    DurableEvent,
    Ended,
    EngineEvent,
    EngineSession,
    MessageReceived,
    QrCode,
    RawEvent,
    ReceiptReceived,
    StartSpec,
)
from server.engine.link import LinkConfig
from server.engine.zygote_engine import EngineConfig, SimulatorConfig, ZygoteEngine
from simulator import Phone, Simulator

SECONDS = 30.0
GRACE = timedelta(seconds=15)
Wanted = TypeVar("Wanted", bound=EngineEvent)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start() as running:
        yield running
        assert running.unknown_stanzas() == []
        assert running.refused_hosts() == []


@pytest.fixture
def new_phone(request: pytest.FixtureRequest, simulator: Simulator) -> Callable[[], Phone]:
    numbers = request.session.stash.setdefault(_NUMBERS, iter(range(15560000001, 15569999999)))
    return lambda: simulator.create_account(str(next(numbers)), "Ann")


_NUMBERS = pytest.StashKey[Iterator[int]]()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled by the first engine, so that the others start faster."""
    return tmp_path_factory.mktemp("templates")


@pytest.fixture
def config(simulator: Simulator, tmp_path: Path, templates: Path) -> EngineConfig:
    shutil.copytree(templates, tmp_path / "engine")
    return EngineConfig(
        data_dir=tmp_path,
        simulator=SimulatorConfig(
            proxy_url=simulator.proxy_url,
            ca_file=Path(simulator.ca_file),
            root_key=bytes.fromhex(simulator.root_key_hex),
        ),
        link=LinkConfig(send=timedelta(seconds=5)),
        paired_deadline=timedelta(seconds=5),
    )


class Watched:
    """A session and everything it has reported; acknowledges as a supervisor does."""

    def __init__(self, session: EngineSession, spec: StartSpec, *, acknowledges: bool) -> None:
        self.session = session
        self.spec = spec
        self.acknowledges = acknowledges
        self.events: list[EngineEvent] = []
        self._changed = asyncio.Condition()

    @property
    def pid(self) -> int:
        return self.session.pid

    async def read(self) -> None:
        async for event in self.session.events():
            async with self._changed:
                self.events.append(event)
                self._changed.notify_all()
            if self.acknowledges and isinstance(event, DurableEvent):
                await self.session.acknowledge(event.spool)

    async def wait(
        self,
        kind: type[Wanted] | UnionType,
        count: int = 1,
        *,
        where: Callable[[Wanted], bool] = lambda _: True,
        seconds: float = SECONDS,
    ) -> Wanted:
        """The event that makes it `count` of a kind."""

        def found() -> list[Wanted]:
            return [one for one in self.events if isinstance(one, kind) and where(one)]

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(
                    lambda: len(found()) >= count or self.events[-1:] == [self.last]
                )
        except TimeoutError:
            pass
        assert len(found()) >= count, f"no {count} x {kind}: {self.events}"
        return found()[count - 1]

    @property
    def last(self) -> Ended | None:
        """How it ended."""
        return next((one for one in self.events if isinstance(one, Ended)), None)

    async def ended(self, seconds: float = SECONDS) -> Ended:
        return await self.wait(Ended, seconds=seconds)

    def told(self) -> list[EngineEvent]:
        """Everything but what comes out of the spool."""
        return [one for one in self.events if not isinstance(one, DurableEvent)]

    def texts(self) -> list[str]:
        return [one.text for one in self.events if isinstance(one, MessageReceived)]

    def durable(self) -> list[int]:
        """Spool positions, as they came."""
        return [
            one.spool
            for one in self.events
            if isinstance(one, MessageReceived | ReceiptReceived | RawEvent)
        ]


class Sessions:
    """Starts sessions on an engine and watches them."""

    def __init__(self, engine: ZygoteEngine, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self.engine = engine
        self.folder = folder
        self._tasks = tasks

    def spec(self, session_id: str, *, fresh: bool = True, spool_acked: int = 0) -> StartSpec:
        return StartSpec(
            session_id=session_id,
            store=self.folder / "sessions" / session_id / "1" / "store.db",
            spool_dir=self.folder / "sessions" / session_id / "spool",
            fresh=fresh,
            connect_epoch=1,
            spool_acked=spool_acked,
            proxy_url="",
        )

    async def start(self, spec: StartSpec, *, acknowledges: bool = True) -> Watched:
        watched = Watched(await self.engine.start(spec), spec, acknowledges=acknowledges)
        self._tasks.create_task(watched.read())
        return watched

    async def begin(self, session_id: str = "a") -> Watched:
        """Starts a fresh session."""
        return await self.start(self.spec(session_id))

    async def again(self, watched: Watched) -> Watched:
        """Starts the same session once more, as after its end."""
        durable = watched.durable()
        return await self.start(
            dataclasses.replace(
                watched.spec,
                fresh=False,
                connect_epoch=watched.spec.connect_epoch + 1,
                spool_acked=max([watched.spec.spool_acked, *durable])
                if watched.acknowledges
                else watched.spec.spool_acked,
            )
        )

    async def paired(self, phone: Phone, session_id: str = "a") -> Watched:
        """Starts a fresh session, links it and waits until it is connected."""
        watched = await self.begin(session_id)
        code = await watched.wait(QrCode)
        await asyncio.to_thread(phone.scan, code.payload)
        await watched.wait(Connected)
        return watched


@pytest.fixture
async def sessions(config: EngineConfig, templates: Path) -> AsyncIterator[Sessions]:
    async with asyncio.timeout(180):
        async with asyncio.TaskGroup() as tasks, ZygoteEngine(config) as engine:
            for template in (config.data_dir / "engine").iterdir():
                if not (templates / template.name).exists():
                    shutil.copy(template, templates)
            yield Sessions(engine, config.data_dir, tasks)
        leftovers = [
            path
            for path in (config.data_dir / "sessions").glob("*/host.lock")
            if not lock.is_free(path)
        ]
        assert leftovers == []
