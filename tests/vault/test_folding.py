"""Many tombstones become few, and still tell what was purged."""

from datetime import timedelta

import pytest

from server.core.errors import StorageUnavailable
from server.core.names import BackupName
from server.vault import objects
from server.vault.burial import Buried, ends, read_buried, run
from server.vault.findings import ProblemKind
from server.vault.folding import fold
from server.vault.inventory import take_inventory
from server.vault.trashing import purge, throw_away
from server.vault.turns import Turns
from storage_backends.errors import BackendUnavailable
from storage_backends.faults import Fault, Faulty, flip_bit
from storage_backends.memory import MemoryBackend
from tests.support.vault import SHOP, open_vault

NOW = timedelta(0)


@pytest.fixture
async def vault(tmp_path):
    async with open_vault(MemoryBackend(), tmp_path / "images") as vault:
        yield vault


async def purge_all(vault, names) -> None:
    async with Turns(vault.storage, vault.clock, "me").take() as turn:
        for name in names:
            await throw_away(vault.repository, turn, name, "", timedelta(hours=1))
        inventory = await take_inventory(vault.repository, SHOP)
        await purge(vault.repository, turn, inventory, frozenset(names))


async def folded(vault, **fields) -> int:
    async with Turns(vault.storage, vault.clock, "me").take() as turn:
        inventory = await take_inventory(vault.repository, SHOP)
        return await fold(vault.repository, turn, inventory, **{"age": NOW, "least": 2, **fields})


async def tombstones(vault) -> list[str]:
    return [key.rpartition("/")[2] for key in await vault.keys(objects.TOMBSTONES)]


def name(backup_id: str) -> BackupName:
    return BackupName(SHOP, backup_id)


def test_what_the_names_of_tombstones_say():
    """One backup, or all from the first to the last; other objects say nothing."""
    keys = ["tombstones/shop/b5", "tombstones/shop/c1-c7", "tombstones/shop/c3-e2"]
    buried = Buried([*keys, "trash/shop/a1", "snapshots/shop/a2", "tombstones/cafe/f1", "config"])
    purged = ("b5", "c1", "c4", "c7", "c9", "e2")
    assert [each for each in purged if name(each) in buried] == [*purged]
    live = ("a1", "a2", "b4", "b6", "c0", "e3", "f1")
    assert [each for each in live if name(each) in buried] == []
    assert buried.where(name("b5")) == keys[0]
    assert (ends(name("b5")), ends(run(SHOP, "c1", "c7"))) == (("b5", "b5"), ("c1", "c7"))
    assert [buried.covers(each) for each in (name("b5"), run(SHOP, "c1", "c2"))] == [True, True]
    assert not buried.covers(run(SHOP, "c1", "c8"))


async def test_runs_are_broken_by_what_is_kept(vault):
    """Live or in trash; a check is content, and what comes back is found out."""
    names = [(await vault.backup(pages=4, changed=1)).name for _ in range(10)]
    replay = await vault.storage.get(objects.snapshot(names[1]))
    async with Turns(vault.storage, vault.clock, "me").take() as turn:
        await throw_away(vault.repository, turn, names[3], "", timedelta(days=9))
    await purge_all(vault, [*names[:3], *names[4:6], *names[7:9]])
    assert await folded(vault) == 7
    ids = [each.backup_id for each in names]
    expected = [f"{ids[0]}-{ids[2]}", f"{ids[4]}-{ids[5]}", f"{ids[7]}-{ids[8]}"]
    assert await tombstones(vault) == expected
    assert await folded(vault) == 0
    assert (await vault.check(read_data=True)).problems == ()
    buried = await read_buried(vault.repository, SHOP)
    assert [each in buried for each in names] == [number not in {3, 6, 9} for number in range(10)]
    await vault.storage.put(objects.snapshot(names[1]), replay)
    (problem,) = (await vault.check()).problems
    assert (problem.object, problem.kind) == (objects.snapshot(names[1]), ProblemKind.REPLAYED)
    inventory = await take_inventory(vault.repository, SHOP)
    assert names[1] not in {item.name for item in inventory.items()}


async def test_runs_grow(vault):
    """An older run and what was purged since become one."""
    names = [(await vault.backup(pages=4, changed=1)).name for _ in range(7)]
    await purge_all(vault, names[:3])
    await folded(vault)
    await purge_all(vault, names[3:6])
    assert await folded(vault) == 4
    assert await tombstones(vault) == [f"{names[0].backup_id}-{names[5].backup_id}"]
    assert (await vault.check()).problems == ()


async def test_a_missing_run_is_missed(vault):
    """Whoever takes the one away takes the proof for the rest."""
    names = [(await vault.backup(pages=4, changed=1)).name for _ in range(4)]
    await purge_all(vault, names[1:3])
    await folded(vault)
    (gone,) = await vault.keys(objects.TOMBSTONES)
    await vault.storage.delete(gone)
    (problem,) = (await vault.check()).problems
    assert (problem.object, problem.kind) == (objects.snapshot(names[2]), ProblemKind.MISSING)


async def test_what_does_not_open_is_left_alone(vault):
    """A tombstone that somebody made up must not become part of a real one."""
    names = [(await vault.backup(pages=4, changed=1)).name for _ in range(6)]
    await purge_all(vault, names[:5])
    bad = objects.tombstone(names[2])
    await vault.storage.put(bad, flip_bit(await vault.storage.get(bad)))
    await folded(vault)
    ids = [each.backup_id for each in names]
    assert await tombstones(vault) == [f"{ids[0]}-{ids[1]}", ids[2], f"{ids[3]}-{ids[4]}"]
    assert [problem.object for problem in (await vault.check()).problems] == [bad]


async def test_few_or_young_ones_stay(vault):
    """It is not worth while, and a mirror may still bring something between them."""
    names = [(await vault.backup(pages=4, changed=1)).name for _ in range(5)]
    await purge_all(vault, names[:4])
    assert await folded(vault, least=5) == 0
    assert await folded(vault, age=timedelta(hours=1)) == 0
    assert len(await tombstones(vault)) == 4


async def interrupted(tmp_path, at: int) -> bool:
    backend = Faulty(MemoryBackend())
    async with open_vault(backend, tmp_path / f"{at}") as vault:
        names = [(await vault.backup(pages=4, changed=1)).name for _ in range(5)]
        await purge_all(vault, names[:4])
        last, cut = len(backend.calls) + at, False
        backend.rule = lambda call: Fault.UNAVAILABLE if call.number >= last else None
        try:
            await folded(vault)
        except (StorageUnavailable, BackendUnavailable):
            cut = True
        backend.rule = lambda _: None
        buried = await read_buried(vault.repository, SHOP)
        assert [each in buried for each in names] == [True] * 4 + [False]
        assert (await vault.check()).problems == ()
        await folded(vault)
        assert len(await tombstones(vault)) == 1
        return cut


async def test_any_interruption_can_be_gone_on_from(tmp_path):
    """At every storage call nothing is forgotten, and the next time ends it."""
    at = 1
    while await interrupted(tmp_path, at):
        at += 1
    assert at > 10
