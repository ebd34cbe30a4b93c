"""A real server that is killed in the middle of backups and restores, from outside, at random."""

import asyncio
import contextlib
import random
import secrets

import grpc
import pytest
from roost.v1.backup_pb2 import Backup

from server.vault.masterkeys.file import FileKey
from storage_backends.file import FileBackend, FileConfig
from tests.support.api import DEADLINE, Api, State
from tests.support.server import ServerProcess
from tests.support.vault import open_vault

KILLS = 4
LONGEST_SECONDS = 0.4


@pytest.fixture
def moments():
    """Random moments, the same ones for the same seed."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return random.Random(seed)


async def killed_while(server, moments, work):
    """Does `work` again and again until the server is gone in the middle of it; starts it anew."""

    async def go_on():
        with contextlib.suppress(grpc.aio.AioRpcError, AssertionError):
            while True:
                await work()

    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(go_on())
        await asyncio.sleep(LONGEST_SECONDS * moments.random())
        await asyncio.to_thread(server.kill)
        working.cancel()
    await asyncio.to_thread(server.start)


async def check(server, tmp_path):
    """Nothing in the vault is wrong; the server is not running."""
    masters = FileKey.load_or_create(server.data_dir / "backup.key")
    backend = FileBackend(FileConfig(root=server.data_dir / "backups"))
    async with open_vault(backend, tmp_path / "check", masters) as vault:
        report = await vault.check(read_data=True)
    assert report.problems == ()
    assert all(session.newest_good for session in report.sessions)


async def goes_on(api, session, phone, bob, word):
    """Connected with the same credentials, and texts go both ways."""
    async with asyncio.timeout(DEADLINE):
        while True:
            active = await api.wait_for_state(session, State.STATE_ACTIVE)
            with contextlib.suppress(grpc.aio.AioRpcError):  # as it was, or is connected anew
                await api.send(session, f"+{bob.phone}", word)
                break
            await asyncio.sleep(0.05)
    assert active.account.jid == phone.jid
    async with asyncio.timeout(DEADLINE):
        while word not in [one.text for one in await asyncio.to_thread(bob.inbox)]:
            await asyncio.sleep(0.05)


async def test_killed_while_it_backs_up(sim, tmp_path, new_phone, new_contact, moments):
    """The session goes on, every backup that was told is there, and the newest restores."""
    phone, bob = new_phone(), new_contact()
    told = []
    with ServerProcess(tmp_path / "data", env=sim.environment()) as server:
        async with Api.connect(server.address, server.key) as api:
            name = (await api.create("shop")).name
            await api.pair_by_qr(name, phone.scan)
        for turn in range(KILLS):
            async with Api.connect(server.address, server.key) as api:
                await goes_on(api, name, phone, bob, f"turn {turn}")

                async def back_up(api=api):
                    told.append(await api.back_up(name))

                await killed_while(server, moments, back_up)
        async with Api.connect(server.address, server.key) as api:
            await goes_on(api, name, phone, bob, "the end")
            there = {each.name: each.state for each in await api.list_backups(name)}
            assert set(told) <= there.keys()
            assert set(there.values()) == {Backup.STATE_ACTIVE}
            await api.stop(name)
            await api.wait_for_state(name, State.STATE_STOPPED)
            await api.restore(max(there), force=True)
            await api.start(name)
            await goes_on(api, name, phone, bob, "restored")
        await asyncio.to_thread(server.terminate)
        await check(server, tmp_path)


async def test_killed_while_it_restores(sim, tmp_path, new_phone, new_contact, moments):
    """The session has the credentials of before or those of the backup, and connects with them."""
    phone, bob = new_phone(), new_contact()
    with ServerProcess(tmp_path / "data", env=sim.environment()) as server:
        async with Api.connect(server.address, server.key) as api:
            name = (await api.create("shop")).name
            await api.pair_by_qr(name, phone.scan)
            await goes_on(api, name, phone, bob, "paired")
        for turn in range(KILLS):
            async with Api.connect(server.address, server.key) as api:
                backup = await api.back_up(name)
                await api.stop(name)
                await api.wait_for_state(name, State.STATE_STOPPED)

                async def restore(api=api, backup=backup):
                    await api.restore(backup, force=True)

                await killed_while(server, moments, restore)
            async with Api.connect(server.address, server.key) as api:
                await api.start(name)
                await goes_on(api, name, phone, bob, f"turn {turn}")
        await asyncio.to_thread(server.terminate)
        await check(server, tmp_path)
    assert await asyncio.to_thread(bob.failures) == []
