"""What callers may do to backups in storage, and what this server remembers of it."""

import secrets
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from server.backups.heads import Heads
from server.backups.scratch import Scratch
from server.backups.vaultcare import VaultCare
from server.backups.vaultoperations import VaultOperations
from server.core.clock import SystemClock
from server.core.errors import BackupNotFound, StorageLocationNotFound, VaultBusy
from server.core.names import SessionName, StorageLocationName
from server.state.database import Database
from server.vault.findings import ProblemKind
from server.vault.model import BackupState
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Rules
from server.vault.turns import TURN, Turns
from storage_backends.faults import flip_bit
from tests.backups.conftest import ANN

LOCAL, REMOTE = map(StorageLocationName, ("local", "remote"))
RULES = Rules(policy=RetentionPolicy(keep_last=1), grace=timedelta(0))
DAY = timedelta(days=1)


@pytest.fixture
async def database(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path / 'heads.db'}") as database:
        yield database


@pytest.fixture
def care(server, database):
    return VaultCare(
        catalog=server.service.catalog,
        locations=server.locations,
        scratch=Scratch(server.scratch),
        heads=Heads(database, SystemClock()),
        clock=SystemClock(),
        owner="this",
    )


@pytest.fixture
def vault(server, care):
    return VaultOperations(
        care, server.operations, lambda _: RULES, 7 * DAY, server.service.announce
    )


@pytest.fixture
def backed_up(server, care):
    """Makes a backup of a session that changes, as housekeeping hears of it."""
    store = server.pair()

    async def backed_up(location=None):
        with closing(sqlite3.connect(store)) as engine, engine:
            engine.execute("UPDATE whatsmeow_device SET push_name = ?", (secrets.token_hex(8),))
        backup = await server.back_up(location=location)
        await care.saw(backup.storage_location, backup.name)
        return backup

    return backed_up


async def test_delete_and_undelete(server, vault, backed_up):
    """To trash with the time until when, and back."""
    backup = await backed_up()
    gone = await vault.delete(backup.name)
    assert gone.purge_time is not None
    assert gone.purge_time > backup.create_time + 6 * DAY
    with pytest.raises(BackupNotFound):
        await server.service.get(backup.name)
    back = await vault.undelete(backup.name)
    assert (back.name, back.purge_time, back.state) == (backup.name, None, BackupState.ACTIVE)
    assert (await server.service.get(backup.name)).name == backup.name
    with pytest.raises(BackupNotFound):
        await vault.delete(type(backup.name)(ANN, "0" * 16))


async def test_a_backup_that_cannot_be_read_can_be_deleted(server, vault, spaces, backed_up):
    """What comes back says what is wrong with it."""
    backup = await backed_up()
    objects = spaces["local"].objects
    key = f"snapshots/ann/{backup.name.backup_id}"
    objects[key] = flip_bit(objects[key][0]), objects[key][1]
    assert (await vault.delete(backup.name)).state is BackupState.SUSPECT
    assert key not in objects


async def test_pins_hold_until_they_are_taken_off(server, vault, backed_up):
    """A pinned backup stays whatever the policy says."""
    first = await backed_up()
    await backed_up()
    assert (await vault.pin(first.name, pinned=True)).pinned
    assert (await vault.pin(first.name, pinned=True)).pinned
    planned = await vault.plan_retention(ANN)
    assert [item.keep for item in planned.items] == [True, True]
    assert planned.items[1].reasons == ("pinned",)
    assert not (await vault.pin(first.name, pinned=False)).pinned
    planned = await vault.plan_retention(None)
    assert [(item.backup, item.keep) for item in planned.items][1] == (first.name, False)


async def test_retention_is_carried_out_as_planned(server, vault, backed_up):
    """In every location; what it did is the operation's result."""
    made = [(await backed_up()).name for _ in range(3)]
    planned = await vault.plan_retention(ANN)
    assert len(await server.service.list(ANN)) == 3
    done = await server.end_of(await vault.apply_retention(None))
    assert done.retention.items == planned.items
    assert (done.retention.trashed, done.retention.purged) == (2, 0)
    assert [backup.name for backup in await server.service.list(ANN)] == [made[2]]


async def test_a_check_finds_what_is_missing_since(server, vault, spaces, backed_up):
    """Also when a backup was made after that, and until somebody accepts it."""
    await backed_up()
    backup = await backed_up()
    done = await server.end_of(await vault.check(None, read_data=True))
    assert done.check.problems == ()
    assert done.check.sessions[0].newest_good == backup.name
    key = f"snapshots/ann/{backup.name.backup_id}"
    del spaces["local"].objects[key]
    for _ in range(2):
        done = await server.end_of(await vault.check(LOCAL, read_data=False))
        (problem,) = done.check.problems
        assert (problem.object, problem.kind) == (key, ProblemKind.MISSING)
        newer = await backed_up()
    repository = await server.service.catalog.repository(LOCAL)
    await vault.care.heads.forget(repository, ANN)
    await vault.care.saw(LOCAL, newer.name)
    done = await server.end_of(await vault.check(LOCAL, read_data=False))
    assert done.check.problems == ()


async def test_a_location_that_was_emptied_is_found_out(server, vault, spaces, backed_up, database):
    """The new vault in its place is not the one that this server knows."""
    backup = await backed_up()
    spaces["local"].objects.clear()
    server.service.catalog._repositories.clear()
    done = await server.end_of(await vault.check(LOCAL, read_data=False))
    kinds = {problem.object: problem.kind for problem in done.check.problems}
    assert kinds == {
        "config": ProblemKind.REPLAYED,
        f"snapshots/ann/{backup.name.backup_id}": ProblemKind.MISSING,
    }


async def test_a_head_never_goes_back(server, care, backed_up):
    """An older backup that is told late changes nothing."""
    first, second = await backed_up(), await backed_up()
    await care.saw(LOCAL, first.name)
    heads = await care.heads.of(await server.service.catalog.repository(LOCAL))
    assert heads[ANN].backup_id == second.name.backup_id
    assert await care.heads.of(await server.service.catalog.repository(REMOTE)) == {}


async def test_another_server_at_work_is_waited_for_and_then_told(server, vault, backed_up, spaces):
    """Nothing is changed meanwhile."""
    backup = await backed_up()
    repository = await server.service.catalog.repository(LOCAL)
    async with Turns(repository.storage, SystemClock(), "other").take():
        before = dict(spaces["local"].objects)
        vault.care.patience = timedelta(0)
        with pytest.raises(VaultBusy) as caught:
            await vault.delete(backup.name)
        assert caught.value.storage_location == str(LOCAL)
        assert spaces["local"].objects.keys() == before.keys()
    assert TURN in spaces["local"].objects


async def test_an_unknown_location_is_refused(vault):
    """Before there is an operation."""
    with pytest.raises(StorageLocationNotFound):
        await vault.check(StorageLocationName("nowhere"), read_data=False)


async def test_sessions_of_other_servers_are_looked_after_too(server, vault, backed_up):
    """What is in storage counts, not what this server knows."""
    await backed_up()
    assert await vault.care.sessions(LOCAL) == [SessionName("ann")]
    assert await vault.care.sessions(REMOTE) == []
