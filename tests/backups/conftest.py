"""A server's backups with fake sessions and storage in memory."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest

from server.backups.locations import Locations
from server.backups.operations import Operations
from server.backups.scratch import Scratch
from server.backups.service import BackupService
from server.core.clock import SystemClock
from server.core.names import SessionName
from server.engine.base import Account
from server.sessions.model import State
from server.state.database import Database
from server.vault.masterkeys.file import FileKey
from storage_backends.faults import Faulty
from storage_backends.layers import Checked
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.retrying import Retrying, RetryPolicy
from tests.backups.fakes import FakeSessions

ANN, BEA = SessionName("ann"), SessionName("bea")
QUICK = RetryPolicy(attempts=3, first=timedelta(0), longest=timedelta(0))


class Server:
    """One server: its sessions, its key, and two storage locations."""

    def __init__(self, root, make_store, spaces, masters):
        self._root = root
        self._make_store = make_store
        self._spaces = spaces
        self.masters = masters
        self.sessions = FakeSessions(root / "sessions")
        self.scratch = root / "scratch"
        self.faulty = {}
        self.engine_schema = 15
        self.fence = None

    async def open(self, stack):
        backends = {}
        for location, space in self._spaces.items():
            self.faulty[location] = Faulty(MemoryBackend(space))
            backends[location] = Retrying(Checked(self.faulty[location]), QUICK)
        database = await stack.enter_async_context(
            Database.open(f"sqlite:///{self._root / 'roost.db'}")
        )
        locations = self.locations = await stack.enter_async_context(
            Locations(backends, dict.fromkeys(backends, "memory"))
        )
        self.operations = await stack.enter_async_context(Operations(database, SystemClock()))
        self.service = await stack.enter_async_context(
            BackupService(
                sessions=self.sessions,
                operations=self.operations,
                locations=locations,
                masters=self.masters,
                clock=SystemClock(),
                scratch=Scratch(self.scratch),
                engine_version="neonize/0.5.2",
                engine_schema=lambda: self.engine_schema,
                fence=self.fence,
            )
        )

    def pair(self, name=ANN, *, device=7, **fields):
        """Adds a running, paired session with a real store."""
        account = Account(
            jid="15550001111@s.whatsapp.net",
            lid="90000000000001@lid",
            push_name="Ann",
            device=device,
        )
        fields = {"state": State.ACTIVE, "connect_epoch": 3, "clean_epoch": 2, **fields}
        session = self.sessions.add(name, account, **fields)
        return self._make_store(self.sessions.path(session), device=device)

    def stop(self, name=ANN):
        """The engine ends cleanly."""
        session = self.sessions.get(name)
        self.sessions.change(name, state=State.STOPPED, clean_epoch=session.connect_epoch)

    def start(self, name=ANN):
        """The engine starts."""
        epoch = self.sessions.get(name).connect_epoch + 1
        self.sessions.change(name, state=State.ACTIVE, connect_epoch=epoch)

    async def end_of(self, operation):
        """The operation when it is done."""
        async with asyncio.timeout(30):
            return [update async for update in self.operations.watch(operation.name)][-1]

    async def back_up(self, name=ANN, **arguments):
        done = await self.end_of(await self.service.create(name, **arguments))
        assert done.failure is None, done.failure
        return done.backup

    async def restore(self, name, target=None, **arguments):
        operation, _ = await self.service.restore(name, target, **arguments)
        done = await self.end_of(operation)
        assert done.failure is None, done.failure
        return done.restore

    def scratch_files(self):
        return list(self.scratch.iterdir())


@pytest.fixture
def spaces():
    """What is in the two storage locations; outlives servers."""
    return {"local": MemorySpace(), "remote": MemorySpace()}


@pytest.fixture
def new_server(tmp_path, make_store, spaces):
    """A context manager: a server of its own on the same storage."""
    masters = [FileKey.generate()]

    @asynccontextmanager
    async def new_server(name="server", masters=masters, fence=None):
        (tmp_path / name).mkdir(exist_ok=True)
        async with AsyncExitStack() as stack:
            server = Server(tmp_path / name, make_store, spaces, masters)
            server.fence = fence
            await server.open(stack)
            yield server

    return new_server


@pytest.fixture
async def server(new_server):
    async with new_server() as server:
        yield server
