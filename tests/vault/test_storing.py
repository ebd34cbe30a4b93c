"""Which pages are stored, and that they come back."""

import os
import random
from datetime import UTC, datetime

import pytest

from server.core.clock import SystemClock
from server.core.errors import VaultCorrupt
from server.core.ids import time_ordered_id
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault import storing
from server.vault.manifest import Manifest, PackRef
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupKind, BackupState
from server.vault.packs import PACK_BYTES
from server.vault.pages import PAGE_BYTES, Place
from server.vault.reading import read_image
from server.vault.repository import Repository
from server.vault.storing import store_image, superseded
from server.vault.workers import Workers
from storage_backends.layers import Checked
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.threaded import AsyncStorage

ANN = SessionName("ann")
LOCAL = StorageLocationName("local")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Vault:
    """One session's backups, whose images a test makes up."""

    def __init__(self, repository, folder):
        self.repository = repository
        self.folder = folder
        self.image = [os.urandom(PAGE_BYTES) for _ in range(200)]
        self.history = []

    async def back_up(self):
        name = BackupName(ANN, time_ordered_id())
        path = self.folder / name.backup_id
        path.write_bytes(b"".join(self.image))
        parent = self.history[-1][0] if self.history else None
        stored = []
        layout = await store_image(self.repository, name, path, parent, stored.append)
        assert (stored[-1] if stored else 0) == layout.new_bytes
        manifest = Manifest(
            name=name,
            kind=BackupKind.HOT,
            create_time=NOW,
            session_create_time=NOW,
            connect_epoch=1,
            is_clean=False,
            display_name="",
            labels={},
            proxy_url="",
            engine_version="",
            seq=len(self.history) + 1,
            parent=None,
            layout=layout,
            state=BackupState.ACTIVE,
            verify_time=NOW,
            verify_level=4,
        )
        await self.repository.commit(manifest)
        manifest = await self.repository.read_manifest(name)
        self.history.append((manifest, path.read_bytes()))
        return manifest

    async def restore(self, manifest):
        target = self.folder / f"restored-{time_ordered_id()}"
        await read_image(self.repository, manifest, target)
        assert target.stat().st_mode & 0o777 == 0o600
        return target.read_bytes()


@pytest.fixture
async def vault(tmp_path):
    async with Workers() as workers, AsyncStorage(Checked(MemoryBackend(MemorySpace()))) as storage:
        repository = await Repository.open(
            LOCAL, storage, [FileKey.generate()], workers, SystemClock()
        )
        yield Vault(repository, tmp_path)


async def test_only_new_pages_are_stored(vault):
    """A backup refers to the pages of the ones before it."""
    first = await vault.back_up()
    vault.image[7] = os.urandom(PAGE_BYTES)
    vault.image.append(vault.image[3])
    second = await vault.back_up()
    assert second.layout.new_bytes < 2 * PAGE_BYTES < first.layout.new_bytes / 50
    assert [pack.pages for pack in second.layout.packs] == [200, 1]
    vault.image.pop()
    vault.image[7] = vault.history[0][1][7 * PAGE_BYTES : 8 * PAGE_BYTES]
    third = await vault.back_up()
    assert third.layout.new_bytes == 0
    for manifest, image in vault.history:
        assert await vault.restore(manifest) == image


async def test_a_long_history_stays_readable_and_small(vault):
    """Every backup of many comes back; packs are merged before there are too many."""
    random.seed(7)
    for _ in range(storing.MAX_PACKS + 30):
        for _ in range(3):
            vault.image[random.randrange(40)] = os.urandom(PAGE_BYTES)
        manifest = await vault.back_up()
        assert len(manifest.layout.packs) <= storing.MAX_PACKS
    live = len(vault.image)
    assert sum(pack.pages for pack in manifest.layout.packs) <= 2.5 * live
    for manifest, image in vault.history:
        assert await vault.restore(manifest) == image


async def test_large_images_are_cut_into_packs(vault):
    """No object grows beyond the limit by more than a frame."""
    vault.image = [os.urandom(PAGE_BYTES) for _ in range(5000)]
    manifest = await vault.back_up()
    assert len(manifest.layout.packs) == 3
    assert all(pack.size_bytes < PACK_BYTES + 300_000 for pack in manifest.layout.packs)
    assert await vault.restore(manifest) == vault.history[0][1]


@pytest.mark.parametrize("damage", ["lost", "cut"])
async def test_a_damaged_pack_is_not_referred_to(vault, damage):
    """Its pages are stored again, so the new backup is whole."""
    first = await vault.back_up()
    await vault.back_up()
    (pack,) = first.layout.packs
    where, storage = f"packs/ann/{pack.pack_id}", vault.repository.storage
    if damage == "lost":
        await storage.delete(where)
    else:
        await storage.put(where, (await storage.get(where))[:-1])
    vault.image[0] = os.urandom(PAGE_BYTES)
    third = await vault.back_up()
    assert pack.pack_id not in {each.pack_id for each in third.layout.packs}
    assert await vault.restore(third) == vault.history[2][1]


async def test_after_a_rotation_everything_is_stored_again(vault):
    """Nothing that is new depends on an old key."""
    first = await vault.back_up()
    await vault.repository.keys.rotate("ann")
    second = await vault.back_up()
    assert second.layout.term > first.layout.term
    assert not {*second.layout.packs} & {*first.layout.packs}
    for manifest, image in vault.history:
        assert await vault.restore(manifest) == image


def test_packs_that_are_mostly_garbage_are_left():
    """But only when most of everything is."""
    ids = [bytes([number]) for number in range(10)]
    known = {page: Place("old" if page < b"\5" else "new", 0) for page in ids}
    old, new = PackRef("old", 0, "", 50), PackRef("new", 0, "", 5)
    assert superseded([old, new], ids, known) == {"old"}
    assert superseded([PackRef("old", 0, "", 9), new], ids, known) == set()
    assert superseded([new, PackRef("gone", 0, "", 1)], ids, known) == {"gone"}


async def test_a_repository_without_config_is_not_made_anew(vault):
    """That would lock out all that is in it."""
    await vault.back_up()
    repository = vault.repository
    await repository.storage.delete("config")
    with pytest.raises(VaultCorrupt, match="config object is missing"):
        await Repository.open(
            LOCAL, repository.storage, [FileKey.generate()], repository.workers, SystemClock()
        )
    await repository.storage.put("config", b"{}")
    with pytest.raises(VaultCorrupt, match="damaged"):
        await Repository.open(
            LOCAL, repository.storage, [FileKey.generate()], repository.workers, SystemClock()
        )
