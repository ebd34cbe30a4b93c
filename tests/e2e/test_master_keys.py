"""Master keys of a real server: added, lost, and replaced without losing a backup."""

import asyncio
import json
import shutil

import pytest
from roost.v1 import vault_service_pb2 as vault_requests

from tests.support.api import DEADLINE, Api, Follower, State
from tests.support.kms import Kms
from tests.support.server import ServerProcess

WORDS = "correct horse battery staple"


async def until_logged(server, event):
    """Waits for a line of the server's log."""
    async with asyncio.timeout(DEADLINE):
        while not any(line["event"] == event for line in server.log()):
            await asyncio.sleep(0.05)


async def test_any_one_master_key_brings_everything_back(sim, new_phone, new_contact, tmp_path):
    """Made with a key file, a passphrase and a KMS added later; each alone opens everything.

    The key file goes down with the server's disk. A fresh server with one of the others restores
    the newest backup, and the session goes on without pairing.
    """
    kms, kept = Kms(tmp_path / "kms"), tmp_path / "kept"
    locations = {"ROOST_BACKUP__LOCATIONS": json.dumps({"a": f"file://{kept / 'backups'}"})}
    kept.mkdir()
    survivors = {
        "file": {"ROOST_BACKUP__KEY_FILE": str(kept / "backup.key")},
        "external": kms.setting(),
        "passphrase": {"ROOST_BACKUP__PASSPHRASE": WORDS},
    }
    phone, bob = new_phone(), new_contact()
    locations["ROOST_BACKUP__LEASE_TTL"] = "3"
    env = sim.environment() | locations | {"ROOST_BACKUP__LEASE_TTL": "3"}
    with ServerProcess(tmp_path / "data", env=env) as server:
        async with Api.connect(server.address, server.key) as api:
            session = (await api.create("front-desk")).name
            await api.pair_by_qr(session, phone.scan)
            await api.wait_for_state(session, State.STATE_ACTIVE)
            first = await api.back_up(session)
        server.terminate()
        server.env |= survivors["external"] | survivors["passphrase"]
        server.start()
        await until_logged(server, "vault.rewrapped")
        async with Api.connect(server.address, server.key) as api:
            await api.wait_for_state(session, State.STATE_ACTIVE)
            second = await api.back_up(session)
        await asyncio.to_thread(server.kill)
        assert WORDS.encode() not in server.output()
    shutil.copy(tmp_path / "data" / "backup.key", kept / "backup.key")
    (tmp_path / "data").rename(tmp_path / "lost")

    for kind, setting in survivors.items():
        fresh_env = sim.environment() | locations | setting
        with ServerProcess(tmp_path / f"fresh-{kind}", env=fresh_env) as fresh:
            assert (tmp_path / f"fresh-{kind}" / "backup.key").exists() is False
            async with Api.connect(fresh.address, fresh.key) as api:
                names = {backup.name for backup in await api.list_backups("sessions/-")}
                assert {first, second} <= names
                for number, name in enumerate(sorted(names)):
                    await api.restore_from_the_dead(
                        name, target_session=f"sessions/copy-{kind}-{number}"
                    )
                if kind != "passphrase":
                    continue
                await api.restore_from_the_dead(second)
                async with Follower(session).following(api) as follower:
                    await api.start(session)
                    await api.wait_for_state(session, State.STATE_ACTIVE)
                    await api.send(session, f"+{bob.phone}", "I am back")
                    await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
                    await asyncio.to_thread(bob.send_text, phone.jid, "welcome back")
                    await follower.until(lambda seen: "welcome back" in seen.texts())
    assert bob.failures() == []


pytestmark = pytest.mark.timeout(180)


async def test_keys_are_rotated_while_backups_run(sim, api, pair, new_contact, server, tmp_path):
    """Of a session that is busy; every backup made meanwhile opens on a fresh server."""
    session, phone = await pair("front-desk")
    bob, made = new_contact(), []

    async def back_up():
        for number in range(8):
            await asyncio.to_thread(bob.send_text, phone.jid, f"text {number}")
            made.append(await api.back_up(session.name))

    async def rotate():
        while len(made) < 8:
            before = len(made)
            assert await api.rotate_keys("sessions/-" if before % 2 else session.name) == 1
            while len(made) == before:
                await asyncio.sleep(0.01)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(back_up())
        group.create_task(rotate())
    listed = await api.vault.ListMasterKeys(
        vault_requests.ListMasterKeysRequest(), metadata=api.metadata
    )
    assert listed.data_keys > 4
    await asyncio.to_thread(server.kill)
    env = sim.environment() | {
        "ROOST_BACKUP__KEY_FILE": str(server.data_dir / "backup.key"),
        "ROOST_BACKUP__LOCATIONS": json.dumps({"a": f"file://{server.data_dir / 'backups'}"}),
    }
    with ServerProcess(tmp_path / "fresh", env=env) as fresh:
        async with Api.connect(fresh.address, fresh.key) as again:
            for number, name in enumerate(made):
                await again.restore_from_the_dead(name, target_session=f"sessions/copy-{number}")
