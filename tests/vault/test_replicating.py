"""Mirrors: what one location has, the others get, and nothing else."""

import os
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from server.core.clock import SystemClock
from server.core.errors import BackupCorrupt, StorageUnavailable
from server.core.ids import time_ordered_id
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault import objects
from server.vault.history import Mark, MarkKind, add_mark, read_standing
from server.vault.inventory import take_inventory
from server.vault.manifest import Manifest
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupKind, BackupState
from server.vault.pages import PAGE_BYTES
from server.vault.reading import read_image
from server.vault.replicating import NotAMirror, replicate
from server.vault.repository import Repository
from server.vault.storing import store_image
from server.vault.trashing import bring_back, purge, throw_away
from server.vault.turns import Turns
from server.vault.workers import Workers
from storage_backends.errors import BackendUnavailable
from storage_backends.faults import Fault, Faulty, flip_bit
from storage_backends.layers import Checked
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.threaded import AsyncStorage

ANN = SessionName("ann")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Place:
    """One location."""

    def __init__(self, repository, space, faulty):
        self.repository = repository
        self.space = space
        self.faulty = faulty
        self.turns = Turns(repository.storage, SystemClock())

    def keys(self, *roots):
        return {key for key in self.space.objects if key.split("/")[0] in (roots or objects_kept)}


objects_kept = {"keys", "packs", "snapshots", "marks", "trash", "tombstones"}


class Lab:
    def __init__(self, folder, workers, masters, stack):
        self.folder, self.workers, self.masters, self.stack = folder, workers, masters, stack
        self.image = [os.urandom(PAGE_BYTES) for _ in range(50)]
        self.images = {}

    async def place(self, name, make=None):
        space = MemorySpace()
        faulty = Faulty(MemoryBackend(space))
        storage = await self.stack.enter_async_context(AsyncStorage(Checked(faulty)))
        repository = await Repository.open(
            StorageLocationName(name), storage, self.masters, self.workers, SystemClock(), make=make
        )
        return Place(repository, space, faulty)

    async def back_up(self, place, parent=None):
        self.image[0] = os.urandom(PAGE_BYTES)
        name = BackupName(ANN, time_ordered_id())
        path = self.folder / name.backup_id
        path.write_bytes(b"".join(self.image))
        layout = await store_image(place.repository, name, path, parent, lambda _: None)
        manifest = Manifest(
            name=name,
            kind=BackupKind.HOT,
            create_time=datetime.now(UTC),
            session_create_time=NOW,
            connect_epoch=1,
            is_clean=False,
            display_name="",
            labels={},
            proxy_url="",
            engine_version="",
            seq=1,
            parent=None,
            layout=layout,
            state=BackupState.ACTIVE,
            verify_time=NOW,
            verify_level=4,
            device_fingerprint="f" * 64,
        )
        await place.repository.commit(manifest)
        self.images[name] = path.read_bytes()
        return manifest

    async def sync(self, source, target, *, leading=True, thorough=False):
        async with target.turns.take() as turn:
            return await replicate(
                source.repository,
                target.repository,
                ANN,
                turn,
                leading=leading,
                thorough=thorough,
            )

    async def restores(self, place, manifest):
        target = self.folder / f"out-{time_ordered_id()}"
        await read_image(place.repository, manifest, target)
        return target.read_bytes() == self.images[manifest.name]


@asynccontextmanager
async def opened(folder):
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(Workers())
        yield Lab(folder, workers, [FileKey.generate()], stack)


@pytest.fixture
async def lab(tmp_path):
    async with opened(tmp_path) as lab:
        lab.one = await lab.place("one")
        lab.two = await lab.place("two", lab.one.repository.config)
        yield lab


async def test_a_mirror_becomes_the_same(lab):
    """Everything that counts is there, and a second time there is nothing to do."""
    first = await lab.back_up(lab.one)
    second = await lab.back_up(lab.one, first)
    mark = Mark(kind=MarkKind.PINNED, time=NOW)
    await add_mark(lab.one.repository, ANN, second.name.backup_id, mark)
    done = await lab.sync(lab.one, lab.two)
    assert done.problems == []
    assert lab.two.keys() == lab.one.keys()
    for manifest in (first, second):
        assert await lab.restores(lab.two, manifest)
    assert (await read_standing(lab.two.repository, second.name)).is_pinned
    again = await lab.sync(lab.one, lab.two, thorough=True)
    assert (again.objects, again.bytes) == (0, 0)


async def test_a_fresh_server_reads_the_mirror_alone(lab):
    """Its keys came along."""
    manifest = await lab.back_up(lab.one)
    await lab.sync(lab.one, lab.two)
    fresh = await Repository.open(
        StorageLocationName("two"),
        lab.two.repository.storage,
        lab.masters,
        lab.workers,
        SystemClock(),
    )
    target = lab.folder / "fresh"
    await read_image(fresh, await fresh.read_manifest(manifest.name), target)
    assert target.read_bytes() == lab.images[manifest.name]


async def test_what_the_leading_one_missed_comes_back_to_it(lab):
    """A backup made in the mirror while the other was away; but nothing that was thrown away."""
    old = await lab.back_up(lab.one)
    await lab.sync(lab.one, lab.two)
    made_meanwhile = await lab.back_up(lab.two, old)
    async with lab.one.turns.take() as turn:
        await throw_away(lab.one.repository, turn, old.name, "test")
    await lab.sync(lab.two, lab.one, leading=False)
    assert await lab.restores(lab.one, made_meanwhile)
    assert {*await lab.one.repository.names(ANN)} == {made_meanwhile.name}


async def test_trash_and_back_and_out_is_carried_over(lab):
    """In that order, each time as the leading one has it."""
    first = await lab.back_up(lab.one)
    second = await lab.back_up(lab.one, first)
    await lab.sync(lab.one, lab.two)
    async with lab.one.turns.take() as turn:
        await throw_away(lab.one.repository, turn, first.name, "test")
    await lab.sync(lab.one, lab.two)
    assert lab.two.keys("snapshots", "trash") == lab.one.keys("snapshots", "trash")
    assert {*await lab.two.repository.names(ANN)} == {second.name}
    async with lab.one.turns.take() as turn:
        await bring_back(lab.one.repository, turn, first.name)
    await lab.sync(lab.one, lab.two)
    assert lab.two.keys("snapshots", "trash") == lab.one.keys("snapshots", "trash")
    assert await lab.restores(lab.two, first)
    async with lab.one.turns.take() as turn:
        await throw_away(lab.one.repository, turn, first.name, "test", timedelta(hours=1))
        inventory = await take_inventory(lab.one.repository, ANN)
        await purge(lab.one.repository, turn, inventory, {first.name})
    await lab.sync(lab.one, lab.two)
    assert lab.two.keys("tombstones") == lab.one.keys("tombstones") != set()
    assert {*await lab.two.repository.names(ANN)} == {second.name}
    await lab.sync(lab.two, lab.one, leading=False)
    assert {*await lab.one.repository.names(ANN)} == {second.name}


async def test_damage_is_not_copied_and_is_mended(lab):
    """A cut pack is put right from the other side; a flipped one is never handed on."""
    manifest = await lab.back_up(lab.one)
    await lab.sync(lab.one, lab.two)
    (pack,) = lab.two.keys("packs")
    storage = lab.two.repository.storage
    await storage.put(pack, (await storage.get(pack))[:-7])
    with pytest.raises(BackupCorrupt):
        await lab.restores(lab.two, manifest)
    await lab.sync(lab.one, lab.two, thorough=True)
    assert await lab.restores(lab.two, manifest)

    newer = await lab.back_up(lab.one)
    for root in ("packs", "snapshots"):
        for key in lab.one.keys(root) - lab.two.keys(root):
            data, info = lab.one.space.objects[key]
            lab.one.space.objects[key] = (flip_bit(data), info)
            done = await lab.sync(lab.one, lab.two)
            assert any(key in problem for problem in done.problems), key
            assert objects.snapshot(newer.name) not in lab.two.space.objects
            lab.one.space.objects[key] = (data, info)
    done = await lab.sync(lab.one, lab.two)
    assert done.problems == []
    assert await lab.restores(lab.two, newer)


async def test_another_repository_is_left_alone(lab):
    """Objects would not open there."""
    other = await lab.place("three")
    await lab.back_up(lab.one)
    with pytest.raises(NotAMirror):
        await lab.sync(lab.one, other)
    assert other.keys() == set()


async def test_an_interrupted_copy_is_not_a_backup(lab):
    """Whenever the mirror stops answering, what it lists is whole; the next time completes it."""
    first = await lab.back_up(lab.one)
    second = await lab.back_up(lab.one, first)
    for number in range(1, 60):
        calls = len(lab.two.faulty.calls)
        lab.two.faulty.rule = lambda call, at=calls + number: (
            Fault.UNAVAILABLE if call.number >= at else None
        )
        try:
            await lab.sync(lab.one, lab.two)
        except (StorageUnavailable, BackendUnavailable):
            pass
        else:
            break
        finally:
            lab.two.faulty.rule = lambda _: None
        for name in await lab.two.repository.names(ANN):
            assert await lab.restores(lab.two, await lab.two.repository.read_manifest(name))
    assert number > 5
    assert {*await lab.two.repository.names(ANN)} == {first.name, second.name}
