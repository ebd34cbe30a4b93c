"""Several storage locations: the first is the primary, the others follow it."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from server.backups.mirroring import FIRST, FIRST_RETRY, Mirrors
from server.backups.scratch import Scratch
from server.backups.vaultcare import VaultCare
from server.core.clock import SystemClock
from server.core.errors import StorageUnavailable
from server.core.names import StorageLocationName
from server.vault.model import BackupState
from storage_backends.faults import Fault, flip_bit
from tests.backups.conftest import ANN
from tests.support.clock import FakeClock

LOCAL, REMOTE = map(StorageLocationName, ("local", "remote"))


def change(store):
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("UPDATE whatsmeow_device SET push_name = push_name || '!'")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def mirrors(server, clock):
    care = VaultCare(
        catalog=server.service.catalog,
        locations=server.locations,
        scratch=Scratch(server.scratch),
        heads=None,
        clock=SystemClock(),
        owner="this",
        patience=timedelta(seconds=10),
    )
    async with Mirrors(care, [LOCAL, REMOTE], clock) as mirrors:
        server.service.on_made = mirrors.made
        yield mirrors


def backups_in(space):
    return {key for key in space.objects if key.startswith(("snapshots/", "packs/", "keys/"))}


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_every_backup_is_mirrored(server, spaces, mirrors):
    """Soon after it was made, and the mirror alone is enough to restore it."""
    store = server.pair()
    for _ in range(3):
        await server.back_up()
        change(store)
    local, remote = spaces["local"], spaces["remote"]
    await until(lambda: backups_in(remote) == backups_in(local))
    server.faulty["local"].rule = lambda _: Fault.UNAVAILABLE
    newest, *_ = await server.service.list(ANN)
    assert newest.storage_location == REMOTE
    server.stop()
    await server.restore(newest.name, force=True)


async def test_a_mirror_that_was_away_catches_up(server, spaces, mirrors, clock):
    """It is tried again until it is back."""
    store = server.pair()
    await server.back_up()
    await until(lambda: backups_in(spaces["remote"]) == backups_in(spaces["local"]))
    server.faulty["remote"].rule = lambda _: Fault.UNAVAILABLE
    change(store)
    await server.back_up()
    async with asyncio.timeout(30):
        await clock.sleeping(FIRST_RETRY.total_seconds())
    server.faulty["remote"].rule = lambda _: None
    clock.advance(FIRST_RETRY.total_seconds())
    await until(lambda: backups_in(spaces["remote"]) == backups_in(spaces["local"]))


async def test_backups_go_to_the_mirror_while_the_primary_is_away(server, spaces, mirrors, clock):
    """And come back to it afterwards, also the last copy of a session."""
    store = server.pair()
    await server.back_up()
    await until(lambda: backups_in(spaces["remote"]) == backups_in(spaces["local"]))
    server.faulty["local"].rule = lambda _: Fault.UNAVAILABLE
    change(store)
    made = await server.service.backup_now(ANN)
    assert (made.storage_location, made.state) == (REMOTE, BackupState.ACTIVE)
    async with asyncio.timeout(30):
        await clock.sleeping(FIRST_RETRY.total_seconds())
    server.faulty["local"].rule = lambda _: None
    clock.advance(FIRST_RETRY.total_seconds())
    await until(lambda: backups_in(spaces["remote"]) == backups_in(spaces["local"]))
    assert (await server.service.get(made.name)).storage_location == LOCAL


async def test_all_locations_away(server, mirrors):
    """Then there is no backup, and the first one's error."""
    server.pair()
    await server.back_up()
    for faulty in server.faulty.values():
        faulty.rule = lambda _: Fault.UNAVAILABLE
    with pytest.raises(StorageUnavailable) as error:
        await server.service.backup_now(ANN)
    assert error.value.storage_location == str(LOCAL)
    with pytest.raises(StorageUnavailable):
        await server.service.list()


async def test_a_fresh_mirror_is_not_made_while_the_primary_is_away(server, spaces, mirrors):
    """It would be another vault, and never become a mirror."""
    server.pair()
    server.faulty["local"].rule = lambda _: Fault.UNAVAILABLE
    with pytest.raises(StorageUnavailable):
        await server.service.backup_now(ANN)
    assert spaces["remote"].objects == {}
    server.faulty["local"].rule = lambda _: None
    await server.service.backup_now(ANN)


async def test_a_damaged_copy_is_read_from_the_mirror(server, spaces, mirrors, clock):
    """A restore does not stop at damage that another location can make good; a round mends it."""
    server.pair()
    backup = await server.back_up()
    await until(lambda: backups_in(spaces["remote"]) == backups_in(spaces["local"]))
    (pack,) = [key for key in spaces["local"].objects if key.startswith("packs/")]
    data, info = spaces["local"].objects[pack]
    spaces["local"].objects[pack] = (flip_bit(data), info)
    server.stop()
    await server.restore(backup.name, force=True)
    del spaces["local"].objects[pack]
    clock.advance(FIRST.total_seconds())
    await until(lambda: pack in spaces["local"].objects)
    assert spaces["local"].objects[pack][0] == data
