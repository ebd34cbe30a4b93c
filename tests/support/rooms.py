"""The rooms of a server that credentials pass through, on the real engine and the simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from server.backups.importing import Importer
from server.backups.locations import Locations
from server.backups.operations import Operations
from server.backups.scratch import Scratch
from server.backups.service import BackupService
from server.core.clock import SystemClock
from server.core.names import SessionName
from server.engine.base import MessageReceived
from server.engine.store import template_path
from server.engine.zygote_engine import EngineConfig, SimulatorConfig, ZygoteEngine
from server.events.log import EventLog
from server.sessions.manager import SessionManager
from server.sessions.model import State
from server.sessions.pairing import QrChallenge
from server.sessions.recipient import Recipient
from server.sessions.registry import SessionRegistry
from server.state.database import Database
from server.vault.masterkeys.file import FileKey
from server.vault.model import Backup, BackupKind
from server.vault.workers import Workers
from simulator import Simulator
from storage_backends.registry import Registry

SECONDS = 60.0
ANN = SessionName("ann")


class RealServer:
    """The rooms of a server that backups touch, with the real engine."""

    def __init__(self, data_dir: Path, simulator: Simulator, kept: Path) -> None:
        self.data_dir = data_dir
        self._simulator = simulator
        self._kept = kept

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RealServer"]:
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
            self.importer = Importer(
                sessions=self.manager,
                workers=await enter(Workers()),
                scratch=Scratch(self.data_dir / "scratch"),
                clock=clock,
                template=template_path(self.data_dir / "engine", engine.version),
                back_up=self.backups.backup_now,
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
