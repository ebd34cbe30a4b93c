"""To trash and back and out of it, with an interruption at every step."""

from dataclasses import replace
from datetime import timedelta

import pytest

from server.core.errors import BackupCorrupt, BackupNotFound, FieldInvalid, StorageUnavailable
from server.vault import objects
from server.vault.inventory import sessions, take_inventory
from server.vault.model import BackupKind, BackupState
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Rules, run_round
from server.vault.trashing import KEEP, bring_back, purge, throw_away, tidy
from server.vault.turns import Turns
from storage_backends.errors import BackendUnavailable
from storage_backends.faults import Fault, Faulty, flip_bit
from storage_backends.file import FileBackend, FileConfig
from storage_backends.memory import MemoryBackend
from tests.support.vault import SHOP, open_vault

RULES = Rules(policy=RetentionPolicy(keep_last=1), trash=timedelta(hours=1), grace=timedelta(0))


@pytest.fixture(params=["memory", "file"])
def backend(request, tmp_path):
    if request.param == "memory":
        return MemoryBackend()
    (tmp_path / "storage").mkdir()
    return FileBackend(FileConfig(root=tmp_path / "storage"))


@pytest.fixture
async def vault(backend, tmp_path):
    async with open_vault(backend, tmp_path / "images") as vault:
        yield vault


@pytest.fixture
async def turn(vault):
    async with Turns(vault.storage, vault.clock).take() as turn:
        yield turn


async def state(vault, name) -> list[str]:
    """Where a backup is."""
    return [
        root
        for root in (objects.SNAPSHOTS, objects.TRASH, objects.TOMBSTONES)
        if f"{root}/{name.session.session_id}/{name.backup_id}" in await vault.keys(root)
    ]


async def test_to_trash_and_back(vault, turn):
    """What comes back is what went, and restores."""
    name = (await vault.backup()).name
    before = await vault.storage.get(objects.snapshot(name))
    await throw_away(vault.repository, turn, name, "a test")
    assert await state(vault, name) == ["trash"]
    found = (await take_inventory(vault.repository, SHOP)).trash
    assert [(each.standing.manifest.name, each.reason) for each in found] == [(name, "a test")]
    assert found[0].purge_time - found[0].trash_time == KEEP
    assert (await bring_back(vault.repository, turn, name)).name == name
    assert await state(vault, name) == ["snapshots"]
    assert await vault.storage.get(objects.snapshot(name)) == before
    assert await vault.restores(name)


async def test_each_can_be_repeated(vault, turn):
    """A second call of the same finds nothing to do."""
    name = (await vault.backup()).name
    for _ in range(2):
        await throw_away(vault.repository, turn, name, "a test")
        assert await state(vault, name) == ["trash"]
    for _ in range(2):
        await bring_back(vault.repository, turn, name)
        assert await state(vault, name) == ["snapshots"]


async def test_what_is_nowhere_is_not_found(vault, turn):
    """Neither to trash nor back."""
    name = (await vault.backup()).name
    gone = replace(name, backup_id="0" * 16)
    for move in (
        throw_away(vault.repository, turn, gone, ""),
        bring_back(vault.repository, turn, gone),
    ):
        with pytest.raises(BackupNotFound):
            await move


async def test_trash_is_no_way_to_destroy_at_once(vault, turn):
    """An hour is the least."""
    name = (await vault.backup()).name
    with pytest.raises(FieldInvalid):
        await throw_away(vault.repository, turn, name, "", timedelta(minutes=59))
    assert await state(vault, name) == ["snapshots"]


async def test_what_cannot_be_read_goes_to_trash_byte_for_byte(vault, turn):
    """And is not purged unless somebody asks, nor collected for."""
    await vault.backup()
    name = (await vault.backup()).name
    broken = flip_bit(await vault.storage.get(objects.snapshot(name)))
    await vault.storage.put(objects.snapshot(name), broken)
    await throw_away(vault.repository, turn, name, "broken")
    with pytest.raises(BackupCorrupt):
        await bring_back(vault.repository, turn, name)
    vault.clock.ahead = timedelta(days=30)
    done = await run_round(vault.repository, turn, SHOP, RULES)
    assert await state(vault, name) == ["trash"]
    assert done.purge.keep[name][0].startswith("cannot be read")
    assert done.collected.stopped == {SHOP: f"{name} cannot be read"}
    done = await run_round(vault.repository, turn, SHOP, RULES, frozenset({name}))
    assert await state(vault, name) == ["tombstones"]
    assert not done.collected.stopped


async def test_what_lacks_pages_does_not_come_back(vault, turn):
    """Half a backup is none."""
    manifest = await vault.backup()
    await throw_away(vault.repository, turn, manifest.name, "a test")
    pack = objects.pack(SHOP, manifest.layout.packs[0].pack_id)
    await vault.storage.delete(pack)
    with pytest.raises(BackupCorrupt) as caught:
        await bring_back(vault.repository, turn, manifest.name)
    assert caught.value.object == pack
    assert await state(vault, manifest.name) == ["trash"]


async def test_a_round_moves_purges_and_collects(vault, turn):
    """What retention lets go is destroyed after its time; what stays restores."""
    old = (await vault.backup()).name
    new = (await vault.backup(pages=40, changed=40)).name
    planned = await run_round(vault.repository, turn, SHOP, RULES, dry_run=True)
    assert await state(vault, old) == ["snapshots"]
    done = await run_round(vault.repository, turn, SHOP, RULES)
    assert planned.retention == done.retention
    assert set(done.retention.remove) == {old}
    assert await state(vault, old) == ["trash"]
    vault.clock.ahead = timedelta(hours=2)
    packs = await vault.keys(objects.PACKS)
    done = await run_round(vault.repository, turn, SHOP, RULES)
    assert set(done.purge.remove) == {old}
    assert await state(vault, old) == ["tombstones"]
    assert await vault.restores(new)
    left = await vault.keys(objects.PACKS)
    assert set(packs) - set(left) == set(done.collected.packs)
    assert done.collected.packs
    assert await sessions(vault.repository) == [SHOP]


async def test_a_collection_waits_for_the_grace_time(vault, turn):
    """Also after a purge: another server may be building on the pages."""
    await vault.backup(kind=BackupKind.HOT)
    await vault.backup(changed=40)
    await run_round(vault.repository, turn, SHOP, RULES)
    vault.clock.ahead = timedelta(days=8)
    rules = replace(RULES, grace=timedelta(days=1))
    done = await run_round(vault.repository, turn, SHOP, rules)
    assert len(done.purge.remove) == 1
    assert done.collected.packs == ()


async def test_a_backup_without_all_its_pages_is_no_last_good_one(vault, turn):
    """The newest one that is whole stays as well."""
    old = await vault.backup()
    new = await vault.backup(changed=1)
    lost = {pack.pack_id for pack in new.layout.packs} - {pack.pack_id for pack in old.layout.packs}
    await vault.storage.delete(objects.pack(SHOP, lost.pop()))
    done = await run_round(vault.repository, turn, SHOP, RULES)
    assert done.retention.remove == {}
    assert "the newest good copy of its device" in done.retention.keep[old.name]


async def test_a_purged_backup_that_comes_back_does_not_count(vault, turn):
    """Somebody put the old manifest back: it pushes nothing out."""
    old = (await vault.backup()).name
    replay = await vault.storage.get(objects.snapshot(old))
    new = (await vault.backup()).name
    await throw_away(vault.repository, turn, old, "", timedelta(hours=1))
    inventory = await take_inventory(vault.repository, SHOP)
    await purge(vault.repository, turn, inventory, frozenset({old}))
    await vault.storage.put(objects.snapshot(old), replay)
    inventory = await take_inventory(vault.repository, SHOP)
    assert [item.name for item in inventory.items()] == [new]
    with pytest.raises(BackupNotFound):
        await throw_away(vault.repository, turn, replace(old, backup_id="0" * 16), "")


async def move_about(vault, turns, names) -> None:
    """Every kind of move."""
    async with turns.take() as turn:
        for name in names[:2]:
            await throw_away(vault.repository, turn, name, "", timedelta(hours=1))
        await bring_back(vault.repository, turn, names[1])
        inventory = await take_inventory(vault.repository, SHOP)
        await purge(vault.repository, turn, inventory, frozenset({names[0]}))


async def interrupted(tmp_path, fault: Fault, at: int) -> bool:
    """Whether the moves were cut off at storage call number `at`; what is left must be sound."""
    backend = Faulty(MemoryBackend())
    async with open_vault(backend, tmp_path / f"{at}") as vault:
        names = [(await vault.backup()).name for _ in range(3)]
        last = len(backend.calls) + at
        backend.rule = lambda call: fault if call.number >= last else None
        turns = Turns(vault.storage, vault.clock, "me")
        cut = False
        try:
            await move_about(vault, turns, names)
        except (StorageUnavailable, BackendUnavailable):
            cut = True
        backend.rule = lambda _: None
        assert all([await state(vault, name) for name in names])
        async with turns.take() as turn:
            await tidy(vault.repository, turn, SHOP)
        assert all([len(await state(vault, name)) == 1 for name in names])
        assert names[2] in await vault.repository.names(SHOP)
        for name in await vault.repository.names(SHOP):
            assert await vault.restores(name)
        return cut


@pytest.mark.parametrize("fault", [Fault.TIMEOUT_AFTER_SUCCESS, Fault.UNAVAILABLE])
async def test_any_interruption_can_be_gone_on_from(tmp_path, fault):
    """At every storage call of every move: nothing is lost, and the next round ends it."""
    at = 1
    while await interrupted(tmp_path, fault, at):
        at += 1
    assert at > 20


async def test_suspects_do_not_push_the_good_out_of_storage(vault, turn):
    """Rounds after many suspect backups leave the good one restorable."""
    good = (await vault.backup()).name
    for _ in range(5):
        await vault.backup(state=BackupState.SUSPECT)
        await run_round(vault.repository, turn, SHOP, RULES)
    assert await vault.restores(good)
