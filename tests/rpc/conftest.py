"""A whole server in process: real gRPC on a free port, real state, fake engine."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from roost.v1 import (
    admin_service_pb2_grpc,
    backup_service_pb2_grpc,
    event_service_pb2_grpc,
    maintenance_service_pb2_grpc,
    message_service_pb2_grpc,
    operation_service_pb2_grpc,
    session_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    vault_service_pb2_grpc,
)

from server import app
from server.engine.base import Account, Connected, Paired, QrCode
from server.engine.fake import FakeEngine
from server.settings import Settings
from tests.rpc import toy

ACCOUNT = Account(
    jid="15550001111@s.whatsapp.net", lid="90000000000001@lid", push_name="Ann", device=7
)


class Keyed:
    """A stub whose calls carry the admin key."""

    def __init__(self, stub, metadata):
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name):
        return partial(getattr(self._stub, name), metadata=self._metadata)


class Api:
    """The server as its clients see it, and the engine behind it."""

    def __init__(self, server, channel, key, engine, make_store):
        self.server = server
        self.channel = channel
        self.engine = engine
        self.metadata = (("authorization", f"Bearer {key}"),)
        self._make_store = make_store
        for name, stub in {
            "sessions": session_service_pb2_grpc.SessionServiceStub,
            "events": event_service_pb2_grpc.EventServiceStub,
            "messages": message_service_pb2_grpc.MessageServiceStub,
            "backups": backup_service_pb2_grpc.BackupServiceStub,
            "operations": operation_service_pb2_grpc.OperationServiceStub,
            "maintenance": maintenance_service_pb2_grpc.MaintenanceServiceStub,
            "vault": vault_service_pb2_grpc.VaultServiceStub,
            "admin": admin_service_pb2_grpc.AdminServiceStub,
        }.items():
            setattr(self, name, Keyed(stub(channel), self.metadata))

    async def create(self, session_id="a", **fields):
        request = session_service_pb2.CreateSessionRequest(session_id=session_id, session=fields)
        return (await self.sessions.CreateSession(request)).session

    async def get(self, session_id="a"):
        request = session_service_pb2.GetSessionRequest(name=f"sessions/{session_id}")
        return (await self.sessions.GetSession(request)).session

    async def in_state(self, state, session_id="a"):
        """The session, once it is in `state`."""
        wanted = session_pb2.Session.State.Value(f"STATE_{state}")
        async with asyncio.timeout(20):
            while (session := await self.get(session_id)).state != wanted:
                await asyncio.sleep(0.01)
        return session

    async def scan(self, session_id="a", start=1):
        """The phone scans the QR code of the session's engine."""
        host = await self.engine.started(session_id, start)
        self._make_store(host.spec.store, device=ACCOUNT.device)
        host.emit(Paired(account=ACCOUNT))
        host.emit(Connected(account=ACCOUNT))
        return host

    async def pair(self, session_id="a"):
        """A new session, linked and active; gives its fake host."""
        await self.create(session_id)
        request = session_service_pb2.PairSessionRequest(name=f"sessions/{session_id}", qr={})
        steps = self.sessions.PairSession(request)
        await steps.read()
        host = await self.scan(session_id)
        await toy.rest(steps)
        await self.in_state("ACTIVE", session_id)
        return host


def played(host):
    """A fake host does at once what WhatsApp would."""
    if host.spec.fresh:
        host.emit(QrCode(payload="2@planted,qr,payload", lifetime=timedelta(seconds=60)))
    else:
        host.emit(Connected(account=ACCOUNT))


@pytest.fixture
def new_api(tmp_path, make_store, monkeypatch):
    """Starts a server on the test's data directory; may be used again after the first is gone."""

    @asynccontextmanager
    async def new_api(**overrides):
        engine = FakeEngine(on_start=played)

        @asynccontextmanager
        async def make_engine(_config):
            yield engine

        settings = Settings(
            listen="127.0.0.1:0",
            data_dir=tmp_path / "data",
            drain_grace=timedelta(seconds=5),
            **overrides,
        )
        settings.data_dir.mkdir(exist_ok=True)
        channels = AsyncExitStack()  # a channel outlives the server, as clients do
        async with channels, app.running(settings, make_engine) as server:
            key = settings.admin_key_path.read_text().strip()
            channel = grpc.aio.insecure_channel(server.address)
            await channels.enter_async_context(channel)
            yield Api(server, channel, key, engine, make_store)

    return new_api


@pytest.fixture
async def api(new_api):
    """A server for one test."""
    async with new_api() as served:
        yield served


async def failure(call, reason):
    """The status of a call that fails with `reason`."""
    status = await toy.status_of(call)
    assert status is not None, "the call did not fail"
    assert toy.reason_of(status) == reason
    return status


def fields_of(status):
    """The fields that a status complains about."""
    (found,) = toy.unpacked(status, BadRequest)
    return [each.field for each in found.field_violations]
