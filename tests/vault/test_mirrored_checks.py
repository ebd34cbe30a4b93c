"""A mirror is as sound as what it mirrors, whenever it began and whatever either side lets go."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from server.vault import objects
from server.vault.history import Mark, MarkKind, add_mark
from server.vault.replicating import replicate
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Rules, run_round
from server.vault.trashing import bring_back, throw_away
from server.vault.turns import Turns
from storage_backends.memory import MemoryBackend
from tests.support.vault import SHOP, open_vault

RULES = Rules(
    policy=RetentionPolicy(keep_last=2),
    trash=timedelta(hours=1),
    grace=timedelta(0),
    fold_age=timedelta(0),
    fold_least=2,
)
KEPT = (objects.KEYS, objects.PACKS, objects.SNAPSHOTS)


@pytest.fixture
async def pair(tmp_path):
    """The leading one and its mirror, which has nothing yet."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_vault(MemoryBackend(), tmp_path / "1"))
        second = await stack.enter_async_context(
            open_vault(
                MemoryBackend(),
                tmp_path / "2",
                clock=first.clock,
                make=first.repository.config,
            )
        )
        yield first, second


async def mirror(source, target, *, leading=True) -> None:
    async with Turns(target.storage, target.clock, "me").take() as turn:
        done = await replicate(source.repository, target.repository, SHOP, turn, leading=leading)
    assert done.problems == []


async def clean(vault) -> None:
    async with Turns(vault.storage, vault.clock, "me").take() as turn:
        await run_round(vault.repository, turn, SHOP, RULES)


async def sound(*vaults) -> None:
    for vault in vaults:
        assert (await vault.check(read_data=True)).problems == ()


async def test_a_mirror_that_began_late_is_sound(pair):
    """It gets what is in trash, too: a later backup names it."""
    first, second = pair
    names = [(await first.backup()).name for _ in range(3)]
    async with Turns(first.storage, first.clock, "me").take() as turn:
        for name in names[:2]:
            await throw_away(first.repository, turn, name, "a test")
    await mirror(first, second)
    await sound(first, second)
    async with Turns(second.storage, second.clock, "me").take() as turn:
        await bring_back(second.repository, turn, names[0])
    second.images = first.images
    assert await second.restores(names[0])


async def test_both_sides_stay_sound_over_a_long_time(pair):
    """Backups, marks, retention, purges and collections on both, and copies both ways."""
    first, second = pair
    for number in range(8):
        made = await first.backup(pages=12)
        if number % 3 == 2:
            mark = Mark(kind=MarkKind.VERIFIED, time=first.clock.now(), level=5)
            await add_mark(first.repository, SHOP, made.name.backup_id, mark)
        await mirror(first, second)
        await sound(first, second)
        await clean(first)
        if number % 2:
            await clean(second)
        await mirror(second, first, leading=False)
        await mirror(first, second)
        await sound(first, second)
        first.clock.ahead += timedelta(hours=2)
    assert set(await first.repository.names(SHOP)) == set(await second.repository.names(SHOP))
    assert await first.keys(objects.TOMBSTONES)
    second.images = first.images
    for name in await second.repository.names(SHOP):
        assert await second.restores(name)


async def test_a_backup_made_in_the_mirror_comes_back_sound(pair):
    """While the leading one was away and then let others go."""
    first, second = pair
    for _ in range(3):
        await first.backup(pages=12)
    await mirror(first, second)
    second.images = dict(first.images)
    made = await second.backup(pages=12)
    await clean(first)
    first.clock.ahead += timedelta(hours=2)
    await clean(first)
    await mirror(second, first, leading=False)
    await mirror(first, second)
    await sound(first, second)
    first.images = second.images
    assert await first.restores(made.name)


async def test_each_pack_is_copied_once(pair):
    """However many backups share it."""
    first, second = pair
    for _ in range(5):
        await first.backup()
    async with Turns(second.storage, second.clock, "me").take() as turn:
        done = await replicate(first.repository, second.repository, SHOP, turn, leading=True)
    sizes = [info.size_bytes for root in KEPT for info in await first.storage.list(root)]
    assert (done.objects, done.bytes) == (len(sizes), sum(sizes))
