"""Backups of sessions that really run: the engine against the simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from server.backups.locations import Locations
from server.backups.model import RestoreMode
from server.backups.operations import Operations
from server.backups.scratch import Scratch
from server.backups.service import BackupService
from server.backups.verify import drill
from server.core.clock import SystemClock
from server.core.names import SessionName
from server.engine.base import MessageReceived
from server.engine.zygote_engine import EngineConfig, SimulatorConfig, ZygoteEngine
from server.events.log import EventLog
from server.sessions.manager import SessionManager
from server.sessions.model import State
from server.sessions.pairing import QrChallenge
from server.sessions.recipient import Recipient
from server.sessions.registry import SessionRegistry
from server.state.database import Database
from server.vault.masterkeys.file import FileKey
from server.vault.model import Backup, BackupKind, BackupState
from simulator import Simulator
from storage_backends.registry import Registry
from tests.support.stores import rows

SECONDS = 60.0
ANN = SessionName("ann")
NUMBERS = count(15570000001)


@pytest.fixture(scope="module")
def simulator():
    with Simulator.start() as running:
        yield running
        assert running.unknown_stanzas() == []


class Server:
    """The rooms of a server that backups touch, with the real engine."""

    def __init__(self, data_dir: Path, simulator: Simulator, kept: Path) -> None:
        self.data_dir = data_dir
        self._simulator = simulator
        self._kept = kept

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        clock = SystemClock()
        self.data_dir.mkdir(mode=0o700)
        masters = FileKey.load_or_create(self._kept / "backup.key")
        async with asyncio.timeout(2 * SECONDS), AsyncExitStack() as stack:
            enter = stack.enter_async_context
            database = await enter(Database.open(f"sqlite:///{self.data_dir / 'roost.db'}"))
            registry = SessionRegistry()
            self.log = await enter(EventLog(database, registry, clock))
            engine = await enter(ZygoteEngine(self._engine_config()))
            urls = {"kept": (self._kept / "backups").as_uri()}
            locations = await enter(Locations.from_urls(urls, Registry.with_plugins()))
            self.manager = SessionManager(
                journal=self.log,
                registry=registry,
                engine=engine,
                clock=clock,
                data_dir=self.data_dir,
                on_paired=self._on_paired,
            )
            self.operations = Operations(database, clock)
            self.backups = await enter(
                BackupService(
                    sessions=self.manager,
                    operations=self.operations,
                    locations=locations,
                    masters=masters,
                    clock=clock,
                    scratch=Scratch(self.data_dir / "scratch"),
                    engine_version=engine.version,
                )
            )
            await enter(self.manager)
            await enter(self.operations)
            yield self

    def _engine_config(self) -> EngineConfig:
        return EngineConfig(
            data_dir=self.data_dir,
            simulator=SimulatorConfig(
                proxy_url=self._simulator.proxy_url,
                ca_file=Path(self._simulator.ca_file),
                root_key=bytes.fromhex(self._simulator.root_key_hex),
            ),
        )

    async def _on_paired(self, name: SessionName) -> None:
        await self.backups.backup_now(name, BackupKind.PAIRED)

    async def pair(self, phone) -> None:
        """Makes the session, links it and waits until it is connected."""
        await self.manager.create(
            session_id=ANN.session_id, display_name="Shop", labels={"team": "a"}, proxy_url=""
        )
        async for step in self.manager.pair(ANN):
            if isinstance(step, QrChallenge) and step.attempt == 1:
                await asyncio.to_thread(phone.scan, step.payload)
        await self.reaches(State.ACTIVE)

    async def reaches(self, state: State) -> None:
        async with asyncio.timeout(SECONDS):
            while self.manager.get(ANN).state is not state:
                await self.log.advanced()

    async def send(self, phone, text: str) -> None:
        await self.manager.send_text(ANN, Recipient.parse(phone.jid), text)

    async def receives(self, text: str) -> None:
        async with asyncio.timeout(SECONDS):
            position = 0
            while True:
                page = await self.log.read(position, limit=100)
                assert page is not None
                for event in page.events:
                    if isinstance(event.body, MessageReceived) and event.body.text == text:
                        return
                position = page.position
                if position == self.log.head:
                    await self.log.advanced()

    async def back_up(self) -> Backup:
        operation = await self.backups.create(ANN)
        done = [update async for update in self.operations.watch(operation.name)][-1]
        assert done.backup is not None, done.failure
        return done.backup

    async def restore(self, name, **arguments):
        operation, _ = await self.backups.restore(name, **arguments)
        done = [update async for update in self.operations.watch(operation.name)][-1]
        assert done.restore is not None, done.failure
        return done.restore


@pytest.fixture
def new_server(simulator, tmp_path):
    """Servers with data directories of their own; backups and key are kept elsewhere."""
    (tmp_path / "kept").mkdir()
    return lambda name: Server(tmp_path / name, simulator, tmp_path / "kept")


@pytest.fixture
def new_phone(simulator):
    return lambda name: simulator.create_account(str(next(NUMBERS)), name)


async def texts_both_ways(server: Server, ann, bob, word: str) -> None:
    await server.send(bob, f"{word} to bob")
    async with asyncio.timeout(SECONDS):
        while f"{word} to bob" not in [one.text for one in await asyncio.to_thread(bob.inbox)]:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(bob.send_text, ann.jid, f"{word} from bob")
    await server.receives(f"{word} from bob")


async def test_lost_server(new_server, new_phone):
    """Everything but backups and key is lost; a fresh server connects without linking again.

    Texts went both ways after the copy was taken, so the ratchets in it are behind: all the same
    no text is lost afterwards, in either direction.
    """
    ann, bob = await asyncio.to_thread(new_phone, "Ann"), await asyncio.to_thread(new_phone, "Bob")
    async with new_server("first").running() as first:
        await first.pair(ann)
        (paired,) = await first.backups.list(ANN)
        assert (paired.kind, paired.state) == (BackupKind.PAIRED, BackupState.ACTIVE)
        await texts_both_ways(first, ann, bob, "before")
        backup = await first.back_up()
        assert (backup.kind, backup.state) == (BackupKind.HOT, BackupState.ACTIVE)
        assert backup.device_fingerprint == paired.device_fingerprint
        for turn in range(3):
            await texts_both_ways(first, ann, bob, f"lost {turn}")
    async with new_server("second").running() as second:
        assert [found.name for found in await second.backups.list()] == [backup.name, paired.name]
        result = await second.restore(backup.name)
        assert result.plan.mode is RestoreMode.REKEY
        session = second.manager.get(ANN)
        assert (session.state, session.labels) == (State.STOPPED, {"team": "a"})
        store = second.manager.store_path(ANN)
        assert rows(store, "SELECT count(*) FROM whatsmeow_sessions") == [(0,)]
        assert drill(store).problems == ()
        await second.manager.start(ANN)
        await second.reaches(State.ACTIVE)
        for turn in range(3):
            await texts_both_ways(second, ann, bob, f"after {turn}")
    assert len(await asyncio.to_thread(ann.devices)) == 1
    assert await asyncio.to_thread(bob.failures) == []


async def test_lost_store_after_a_clean_stop(new_server, new_phone):
    """After a clean stop the copy is the last state, and the session goes on exactly there."""
    ann, bob = await asyncio.to_thread(new_phone, "Ann"), await asyncio.to_thread(new_phone, "Bob")
    async with new_server("server").running() as server:
        await server.pair(ann)
        await texts_both_ways(server, ann, bob, "before")
        await server.manager.stop(ANN)
        await server.reaches(State.STOPPED)
        backup = await server.back_up()
        assert backup.kind is BackupKind.QUIESCED
        server.manager.store_path(ANN).rename(server.data_dir / "lost.db")
        result = await server.restore(backup.name, mode=RestoreMode.EXACT)
        assert result.plan.mode is RestoreMode.EXACT
        sessions = rows(server.manager.store_path(ANN), "SELECT count(*) FROM whatsmeow_sessions")
        assert sessions > [(0,)]
        await server.manager.start(ANN)
        await server.reaches(State.ACTIVE)
        await texts_both_ways(server, ann, bob, "after")
        await server.manager.stop(ANN)
        await server.reaches(State.STOPPED)
        assert (await server.backups.plan(backup.name)).mode is RestoreMode.REKEY
    assert await asyncio.to_thread(bob.failures) == []
