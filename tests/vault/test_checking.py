"""A check finds a sound vault sound, and says what there is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from server.core.names import SessionName
from server.vault import objects
from server.vault.checking import check
from server.vault.findings import Head, ProblemKind
from server.vault.history import Mark, MarkKind, add_mark, newest_mark
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupState
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Rules, run_round
from server.vault.stats import measure
from server.vault.trashing import bring_back, throw_away
from server.vault.turns import Turns
from storage_backends.memory import MemoryBackend, MemorySpace
from tests.support.vault import HOME, MASTER, SHOP, open_vault

RULES = Rules(
    policy=RetentionPolicy(keep_last=2),
    trash=timedelta(hours=1),
    grace=timedelta(0),
    fold_age=timedelta(0),
    fold_least=2,
)
CAFE = SessionName("cafe")


@pytest.fixture
async def vault(tmp_path):
    async with open_vault(MemoryBackend(), tmp_path / "images") as vault:
        yield vault


def found(report) -> dict[str, ProblemKind]:
    return {problem.object: problem.kind for problem in report.problems}


@pytest.mark.parametrize("read_data", [False, True])
async def test_a_vault_with_a_long_life_is_sound(vault, read_data):
    """Backups, marks, trash, purges, collections and a new data key leave no problem."""
    turns = Turns(vault.storage, vault.clock)
    for number in range(8):
        made = await vault.backup(state=BackupState.SUSPECT if number == 4 else BackupState.ACTIVE)
        await vault.backup(CAFE)
        if number == 3:
            await vault.repository.keys.rotate(SHOP.session_id)
        if number % 2:
            kind = MarkKind.VERIFIED if number % 4 == 1 else MarkKind.PINNED
            mark = Mark(kind=kind, time=vault.clock.now(), level=5)
            await add_mark(vault.repository, SHOP, made.name.backup_id, mark)
        async with turns.take() as turn:
            await run_round(vault.repository, turn, SHOP, RULES)
        vault.clock.ahead += timedelta(hours=2)
        report = await vault.check(read_data=read_data)
        assert report.problems == ()
    assert await vault.keys(objects.TOMBSTONES)
    assert await vault.keys(objects.TRASH)
    shop = report.sessions[1]
    assert (shop.session, shop.newest_good) == (SHOP, made.name)
    assert (report.objects, report.location) == (len(await vault.keys()), HOME)
    sizes = [info.size_bytes for info in await vault.storage.list()]
    packs = [info.size_bytes for info in await vault.storage.list(objects.PACKS)]
    looked_for = 0 if read_data else sum(packs)
    assert abs(report.bytes - (sum(sizes) - looked_for)) < 50  # the turn has ended since


async def test_the_deleted_newest_one_is_missed_when_trash_loses_it(vault):
    """No later backup names it as its parent; the mark that it was deleted does."""
    await vault.backup()
    tip = (await vault.backup()).name
    async with Turns(vault.storage, vault.clock).take() as turn:
        await throw_away(vault.repository, turn, tip, "a test")
    await vault.backup()
    assert (await vault.check()).problems == ()
    await vault.storage.delete(objects.trashed(tip))
    assert found(await vault.check()) == {objects.snapshot(tip): ProblemKind.MISSING}


async def test_what_was_brought_back_is_sound(vault):
    """Whatever was deleted in between."""
    first, second = (await vault.backup()).name, (await vault.backup()).name
    async with Turns(vault.storage, vault.clock).take() as turn:
        for name in (second, first):
            await throw_away(vault.repository, turn, name, "a test")
        for name in (second, first):
            await bring_back(vault.repository, turn, name)
    assert (await vault.check(read_data=True)).problems == ()


async def test_foreign_objects_are_named(vault):
    """Whatever is not called like something of ours."""
    await vault.backup()
    for name in ("packs/shop/notes.txt", "readme", "keys/shop/x", "snapshots/shop/_"):
        await vault.storage.put(name, b"?")
    assert set(found(await vault.check()).items()) == {
        (name, ProblemKind.FOREIGN)
        for name in ("packs/shop/notes.txt", "readme", "keys/shop/x", "snapshots/shop/_")
    }


async def test_objects_of_a_key_that_is_not_here_are_named(tmp_path):
    """They may be whole: somebody else can tell."""
    space = MemorySpace()
    async with open_vault(MemoryBackend(space), tmp_path) as vault:
        name = (await vault.backup()).name
    other = FileKey(b"\x08" * 32)
    async with open_vault(MemoryBackend(space), tmp_path, [other]) as vault:
        kinds = found(await vault.check(read_data=True))
    assert kinds[objects.snapshot(name)] is ProblemKind.KEY_UNKNOWN
    assert set(kinds.values()) == {ProblemKind.KEY_UNKNOWN, ProblemKind.MISSING}  # not wrapped


async def test_a_key_that_is_not_wrapped_for_each_master_key_is_named(tmp_path):
    """Losing the others would lose it."""
    space = MemorySpace()
    async with open_vault(MemoryBackend(space), tmp_path) as vault:
        await vault.backup()
    second = FileKey(b"\x08" * 32)
    async with open_vault(MemoryBackend(space), tmp_path, [MASTER, second]) as vault:
        (problem,) = (await vault.check()).problems
        assert problem.kind is ProblemKind.MISSING
        assert problem.object.endswith(second.id)
        await vault.repository.keys.rewrap()
        assert (await vault.check()).problems == ()


async def test_a_head_tells_that_the_end_was_cut_off(vault):
    """Of the backups, of the marks, or of everything."""
    await vault.backup()
    name = (await vault.backup()).name
    mark = Mark(kind=MarkKind.SUSPECT, time=vault.clock.now(), reason="a test")
    await add_mark(vault.repository, SHOP, name.backup_id, mark)
    _, sha256 = await vault.repository.read_manifest_and_hash(name)
    head = Head(
        repository_id=vault.repository.config.repository_id,
        backup_id=name.backup_id,
        sha256=sha256,
        mark=await newest_mark(vault.repository, SHOP),
    )
    assert (await vault.check(heads={SHOP: head})).problems == ()
    await vault.storage.delete(head.mark)
    await vault.storage.delete(objects.snapshot(name))
    assert found(await vault.check(heads={SHOP: head})) == {
        head.mark: ProblemKind.MISSING,
        objects.snapshot(name): ProblemKind.MISSING,
    }
    moved = replace(head, repository_id="00" * 16)
    kinds = found(await vault.check(heads={SHOP: moved}))
    assert kinds[objects.CONFIG] is ProblemKind.REPLAYED
    gone = await vault.check(heads={CAFE: head})
    assert found(gone)[f"snapshots/cafe/{name.backup_id}"] is ProblemKind.MISSING


async def test_progress_is_told_by_session(vault):
    """In bytes, to the end."""
    await vault.backup()
    await vault.backup(CAFE)
    seen = []
    turns = Turns(vault.storage, vault.clock)
    await check(
        vault.repository,
        turns,
        vault.folder,
        {},
        lambda done, total: seen.append((done, total)),
        read_data=True,
    )
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) == 2
    assert seen[-1][0] == seen[-1][1] > 0


async def test_figures(vault):
    """Bytes, backups, garbage, and the newest good one."""
    first = await vault.backup(pages=100)
    second = await vault.backup()
    bad = await vault.backup(state=BackupState.SUSPECT)
    async with Turns(vault.storage, vault.clock).take() as turn:
        await throw_away(vault.repository, turn, first.name, "a test")
    orphan = objects.pack(SHOP, "0mhq2h0zz0000000")
    await vault.storage.put(orphan, b"x" * 1000)
    stats = await measure(vault.repository)
    (shop,) = stats.sessions
    assert stats.stored_bytes == sum([info.size_bytes for info in await vault.storage.list()])
    assert stats.logical_bytes == 3 * 100 * 4096
    assert stats.ratio == stats.logical_bytes / stats.stored_bytes
    assert stats.wraps == {MASTER.id: 1}
    assert (shop.backups, shop.trashed, shop.terms) == (2, 1, 1)
    assert (shop.packs, shop.garbage_packs, shop.garbage_bytes) == (4, 1, 1000)
    assert (shop.newest, shop.newest_good) == (bad.name, second.name)
    assert shop.newest_good_time == second.create_time
