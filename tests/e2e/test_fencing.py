"""Two servers that share a storage location: a session is never connected from both.

The simulator replaces the older of two connections of one device, as WhatsApp does, which ends that
session with STREAM_REPLACED: a session that never shows it was never connected twice.
"""

import asyncio
import itertools
import json
import os
import signal
import time
import uuid
from contextlib import asynccontextmanager

import grpc.aio
import pytest
from roost.v1 import backup_service_pb2 as requests

from server.vault.masterkeys.file import FileKey
from tests.support.api import DEADLINE, Api, Follower, State, reason_of
from tests.support.s3 import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.support.server import ServerProcess

TTL = 3
EXPIRY = 7.0  # the ttl, the drift of clocks, the time to stop, and a little
NUMBERS = itertools.count(15550800000)


@pytest.fixture
def shared(request, sim, tmp_path):
    """What both servers have: one location, one master key, the simulator."""
    settings = sim.environment()
    url = (tmp_path / "shared").as_uri()
    if getattr(request, "param", "file") == "s3":
        s3 = request.getfixturevalue("s3")
        url = f"s3://{BUCKET}/{s3.fresh_prefix()}?endpoint={s3.endpoint}&region=us-east-1"
        settings |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    return settings | {
        "ROOST_BACKUP__LOCATIONS": json.dumps({"shared": url}),
        "ROOST_BACKUP__KEY_FILE": str(tmp_path / "master.key"),
        "ROOST_BACKUP__LEASE_TTL": str(TTL),
    }


@pytest.fixture
def new_server(tmp_path, shared):
    """Makes servers with data directories of their own; the first one makes the key."""
    servers = []

    def make(name):
        servers.append(ServerProcess(tmp_path / name, env=shared))
        return servers[-1]

    yield make
    for server in servers:
        if server.is_running:
            server.terminate()


@asynccontextmanager
async def serving(server):
    if not server.is_running:
        await asyncio.to_thread(server.start)
    async with Api.connect(server.address, server.key) as api:
        yield api


@pytest.fixture
def key(tmp_path):
    """A master key that no server has to make."""
    FileKey.load_or_create(tmp_path / "master.key")


async def paired(api, sim, session_id="ann"):
    phone = sim.create_account(phone=str(next(NUMBERS)), name="Ann")
    session = await api.create(session_id)
    await api.pair_by_qr(session.name, phone.scan)
    await api.wait_for_state(session.name, State.STATE_ACTIVE)
    return session.name


async def refused(api, backup):
    """The reason for which a restore is refused; empty if it is not."""
    request = requests.RestoreBackupRequest(name=backup, request_id=str(uuid.uuid4()))
    try:
        started = await api.backups.RestoreBackup(request, metadata=api.metadata)
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    done = await api.operation_end(started.operation.name)
    assert done.WhichOneof("result") == "restore", done
    return ""


async def until_not_refused(api, backup):
    """Restores as soon as the other server's time is over; how long that took."""
    began = time.monotonic()
    while reason := await refused(api, backup):
        assert reason == "SESSION_LEASED"
        assert time.monotonic() - began < DEADLINE
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def reasons(follower):
    return [session.condition.reason for session in follower.sessions_seen()]


@pytest.mark.parametrize("shared", ["file", "s3"], indirect=True)
async def test_a_session_moves_only_when_its_server_is_gone(sim, new_server, key):
    """Refused while it lives, allowed once it was killed, and never connected twice."""
    a, b = new_server("a"), new_server("b")
    async with serving(a) as on_a, serving(b) as on_b:
        name = await paired(on_a, sim)
        backup = await on_a.back_up(name)
        for _ in range(3):
            assert await refused(on_b, backup) == "SESSION_LEASED"
            await asyncio.sleep(TTL)
        assert (await on_a.get(name)).state == State.STATE_ACTIVE
        await asyncio.to_thread(a.kill)
        took = await until_not_refused(on_b, backup)
        assert took > 1  # not before the killed one's time is over
        assert took < EXPIRY + 3
        async with Follower(name).following(on_b) as follower:
            await on_b.start(name)
            await on_b.wait_for_state(name, State.STATE_ACTIVE)
            async with serving(a) as again:  # the one that was killed comes back
                session = await again.wait_for_state(name, State.STATE_FAILED)
                assert session.condition.reason == "LEASE_LOST"
                session = await again.start(name)
                session = await again.wait_for_state(name, State.STATE_FAILED)
                assert session.condition.reason == "LEASE_LOST"
                await asyncio.sleep(1)
                assert (await on_b.get(name)).state == State.STATE_ACTIVE
                assert len(sim.connections()) == 1
            assert "STREAM_REPLACED" not in reasons(follower)


async def test_a_killed_server_goes_on_at_once(sim, new_server, key):
    """On the same data directory there is nothing to wait for."""
    a = new_server("a")
    async with serving(a) as api:
        name = await paired(api, sim)
        await asyncio.to_thread(a.kill)
    began = time.monotonic()
    async with serving(a) as api:
        await api.wait_for_state(name, State.STATE_ACTIVE)
    assert time.monotonic() - began < EXPIRY


async def test_a_frozen_server_finds_out(sim, shared, new_server, key):
    """It was stopped for a while (SIGSTOP), another took over, and it wakes up.

    Its engines are processes of their own: they end before anybody may take over.
    """
    shared["ROOST_BACKUP__LEASE_TTL"] = "20"
    a, b = new_server("a"), new_server("b")
    async with serving(a) as on_a, serving(b) as on_b:
        name = await paired(on_a, sim)
        backup = await on_a.back_up(name)
        assert await refused(on_b, backup) == "SESSION_LEASED"
        os.kill(a.pid, signal.SIGSTOP)
        try:
            await until_not_refused(on_b, backup)
            assert sim.connections() == []
        finally:
            os.kill(a.pid, signal.SIGCONT)
        session = await on_a.wait_for_state(name, State.STATE_FAILED)
        assert session.condition.reason == "LEASE_LOST"
        await on_b.start(name)
        await on_b.wait_for_state(name, State.STATE_ACTIVE)
        assert len(sim.connections()) == 1
