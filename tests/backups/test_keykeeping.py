"""Keys of real backups: rotated while backups run, and none lost with a master key."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from server.backups.keykeeping import KeyKeeper, MasterKeyInfo
from server.backups.keyoperations import KeyOperations
from server.backups.model import KeyRotation
from server.core.errors import BackupKeyMissing, SessionNotFound, StorageUnavailable
from server.core.names import SessionName, StorageLocationName
from server.vault.masterkeys.file import FileKey
from server.vault.masterkeys.passphrase import Cost, PassphraseKey
from storage_backends.faults import Fault
from tests.backups.conftest import ANN, BEA
from tests.support.clock import FakeClock

LOCAL, REMOTE = (StorageLocationName(name) for name in ("local", "remote"))
KEY = FileKey.generate()
WORDS = PassphraseKey("correct horse battery", Cost(log_n=4))


async def restorable(server, name):
    """Whether the backup can be read to its last byte, and restored."""
    result = await server.restore(name, SessionName(f"copy-{name.backup_id[-6:]}"))
    return result is not None


async def test_rotation_while_backups_run(new_server):
    """Every backup of a busy session restores, whichever term its parts were sealed in."""
    async with new_server(masters=[KEY, WORDS]) as server:
        server.pair()
        made, rotations = [], []

        async def back_up():
            for _ in range(12):
                made.append((await server.back_up()).name)

        async def rotate():
            while len(made) < 12:
                before = len(made)
                rotations.append(await server.service.keys.rotate(ANN if before % 2 else None))
                while len(made) == before:
                    await asyncio.sleep(0)

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(back_up())
            group.create_task(rotate())
        terms = await server.service.keys.coverage(LOCAL, ANN)
        assert len(terms) > 6
        assert {each.rotated for each in rotations} <= {0, 1}
    for survivor in (KEY, WORDS):
        async with new_server(f"fresh-{survivor.kind}", masters=[survivor]) as fresh:
            for name in made:
                assert await restorable(fresh, name)


async def test_backup_after_a_rotation_is_full(new_server):
    """A new term shares nothing with the old one, and the chain goes on."""
    async with new_server() as server:
        server.pair()
        first, second = await server.back_up(), await server.back_up()
        assert second.new_bytes < first.new_bytes / 4
        assert (await server.service.keys.rotate(None)).rotated == 1
        third, fourth = await server.back_up(), await server.back_up()
        assert third.new_bytes > first.new_bytes * 0.9
        assert third.parent == str(second.name)
        assert third.seq == 3
        assert fourth.new_bytes < first.new_bytes / 4
        server.stop()
        for backup in (first, second, third, fourth):
            assert await restorable(server, backup.name)


@pytest.mark.parametrize("left", ["file", "passphrase", "external"])
async def test_all_master_keys_but_one_are_lost(new_server, kms, left):
    """A fresh server with any one of them restores every backup."""
    masters = {"file": KEY, "passphrase": WORDS, "external": kms.key()}
    async with new_server(masters=[*masters.values()]) as server:
        server.pair()
        server.pair(BEA, device=8)
        made = [(await server.back_up(name)).name for name in (ANN, BEA, ANN)]
        await server.service.keys.rotate(ANN)
        made.append((await server.back_up()).name)
    async with new_server("fresh", masters=[masters[left]]) as fresh:
        for name in made:
            assert await restorable(fresh, name)
    async with new_server("stranger", masters=[FileKey.generate()]) as stranger:
        with pytest.raises(BackupKeyMissing):
            await stranger.service.get(made[0])


async def test_backup_rewraps_its_session_first(new_server):
    """A backup made after a master key was added leaves nothing that it does not open."""
    async with new_server(masters=[KEY]) as server:
        server.pair()
        made = [(await server.back_up()).name]
        await server.service.keys.rotate(ANN)
        made.append((await server.back_up()).name)
    async with new_server("second", masters=[KEY, WORDS]) as server:
        server.pair()
        made.append((await server.back_up()).name)
    async with new_server("fresh", masters=[WORDS]) as fresh:
        for name in made:
            assert await restorable(fresh, name)


async def test_backup_is_made_although_rewrapping_fails(new_server):
    """Old terms can wait; the new backup is open to every master key anyway."""
    async with new_server(masters=[KEY]) as server:
        server.pair()
        await server.back_up()
        await server.service.keys.rotate(ANN)
        await server.back_up()
    async with new_server("second", masters=[KEY, WORDS]) as server:
        server.pair()
        old = min(each.term for each in await server.service.keys.coverage(LOCAL, ANN))
        server.faulty["local"].rule = lambda call: (
            Fault.UNAVAILABLE if call.verb == "get" and f"/{old}/" in call.key else None
        )
        with pytest.raises(StorageUnavailable):
            await server.service.keys.rewrap(ANN)
        name = (await server.back_up()).name
    async with new_server("fresh", masters=[WORDS]) as fresh:
        assert await restorable(fresh, name)


async def test_who_opens_a_location(new_server):
    """Configured master keys with their kind, others by id; retiring takes what is not needed."""
    other = FileKey.generate()
    async with new_server(masters=[KEY, other]) as server:
        server.pair()
        name = (await server.back_up()).name
        await server.service.keys.rotate(ANN)
    async with new_server(masters=[KEY]) as server:
        keys = server.service.keys
        mine = MasterKeyInfo(id=KEY.id, kind="file", wraps=2)
        found = await keys.masters(LOCAL)
        assert (found.masters, found.data_keys) == ((mine, MasterKeyInfo(id=other.id, wraps=2)), 2)
        assert (await keys.retire(other.id)).wraps_removed == 2
        assert (await keys.masters()).masters == (mine,)
        assert await restorable(server, name)


async def test_operations(new_server):
    """Rotating, rewrapping and retiring run as operations and say what they did."""
    other = FileKey.generate()
    async with new_server(masters=[KEY, other]) as server:
        server.pair()
        await server.back_up()
        keys = KeyOperations(server.sessions, server.operations, server.service.keys)
        done = await server.end_of(await keys.rotate(ANN))
        assert (done.target, done.rotation) == ("sessions/ann", KeyRotation(rotated=1))
        done = await server.end_of(await keys.rewrap(None))
        assert (done.target, done.rotation) == ("sessions/-", KeyRotation(wraps_present=4))
        done = await server.end_of(await keys.retire(other.id))
        assert done.failure.reason == "FIELD_INVALID"
        with pytest.raises(SessionNotFound):
            await keys.rotate(SessionName("nobody"))
    async with new_server(masters=[KEY]) as server:
        keys = KeyOperations(server.sessions, server.operations, server.service.keys)
        done = await server.end_of(await keys.retire(other.id))
        assert done.rotation == KeyRotation(wraps_removed=2)
        assert (await server.operations.get(done.name)) == done


@asynccontextmanager
async def keeping(server, clock):
    """The background work of a server's start, with a clock of the test's own."""
    async with AsyncExitStack() as stack:
        keeper = KeyKeeper([LOCAL, REMOTE], server.service._catalog.repository, clock)
        yield await stack.enter_async_context(keeper)


async def test_start_rewraps_everything(new_server, spaces):
    """In all locations, without a backup; a location that is away is tried again later."""
    async with new_server(masters=[KEY]) as server:
        server.pair()
        made = [
            (await server.back_up()).name,
            (await server.back_up(location=REMOTE)).name,
        ]
    clock = FakeClock()
    async with new_server(masters=[KEY, WORDS]) as server:
        server.faulty["remote"].rule = lambda _: Fault.UNAVAILABLE
        async with keeping(server, clock), asyncio.timeout(30):
            await clock.sleeping(60)
            assert len(wrapped(spaces["local"])) == 2
            assert len(wrapped(spaces["remote"])) == 1
            server.faulty["remote"].rule = lambda _: None
            clock.advance(60)
            while len(wrapped(spaces["remote"])) < 2:
                await asyncio.sleep(0.01)
    async with new_server("fresh", masters=[WORDS]) as fresh:
        for name in made:
            assert await restorable(fresh, name)


def wrapped(space):
    return [name for name in space.objects if name.startswith("keys/")]


async def test_keeper_ends_while_it_waits(new_server):
    """A stop does not wait for a location that is away."""
    async with new_server() as server:
        server.faulty["remote"].rule = lambda _: Fault.UNAVAILABLE
        clock = FakeClock()
        async with asyncio.timeout(10), keeping(server, clock):
            await clock.sleeping(timedelta(minutes=1).total_seconds())


async def test_misspelt_passphrase_is_warned_of(new_server):
    """It would be a new master key, and the right one would not open what comes after."""
    async with new_server(masters=[KEY, WORDS]) as server:
        server.pair()
        await server.back_up()
    misspelt = PassphraseKey("correct horse batery", Cost(log_n=4))
    for masters, expected in (([KEY, WORDS], 0), ([KEY], 0), ([KEY, misspelt], 1)):
        async with new_server(masters=masters) as server:
            with capture_logs() as logs:
                async with keeping(server, FakeClock()) as keeper, asyncio.timeout(10):
                    await keeper.caught_up()
        found = [each for each in logs if each["event"] == "vault.master_key_differs"]
        assert len(found) == expected
