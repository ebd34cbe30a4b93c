"""Reading an image back: every object checked against the manifest, in bounded memory."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from server.core.errors import BackupKeyMissing
from server.core.names import BackupName, SessionName
from storage_backends.errors import ObjectCorrupt, ObjectNotFound

from . import objects
from .datakeys import KeyUnknown
from .manifest import Layout, Manifest, PackRef
from .packs import FRAME_PAGES, TRAILER, PackReader, index_bytes
from .packs import read_index as open_index
from .pages import PAGE_BYTES
from .repository import ObjectDamaged, ObjectMissing, Repository
from .sealing import HEADER_BYTES, DataKey, SealBroken
from .storage import storage_errors

FIRST_TAIL_BYTES = 64 << 10

Slots = dict[int, list[int]]  # page of a pack -> where it goes in the image


async def read_image(repository: Repository, manifest: Manifest, target: Path) -> None:
    """Writes the image of a backup to the new file `target`, 0600 and synced.

    Raises:
        BackupCorrupt: an object is missing, changed or cut; it is named.
        BackupKeyMissing: no key of this server opens it.
    """
    name, layout = manifest.name, manifest.layout
    wanted: defaultdict[str, Slots] = defaultdict(dict)
    for number, place in enumerate(layout.places()):
        wanted[place.pack_id].setdefault(place.slot, []).append(number)
    try:
        key = await repository.data_key(name.session, layout.term)
        await repository.workers.run(_create, target, layout.image_bytes)
        for pack in layout.packs:
            where = objects.pack(name.session, pack.pack_id)
            data = await _get_pack(repository, where, pack)
            context = repository.context(where)
            slots = wanted[pack.pack_id]
            try:
                await repository.workers.run(_copy_pages, data, key, context, slots, target)
            except SealBroken as error:
                raise ObjectDamaged(where, "its seal is broken") from error
        sha256 = await repository.workers.run(_finish, target)
    except ObjectDamaged as error:
        raise error.of(name) from error
    except KeyUnknown as error:
        raise BackupKeyMissing(backup=str(name)) from error
    if sha256 != layout.image_sha256:
        problem = "its pages do not make the image that was copied"
        raise ObjectDamaged(objects.snapshot(name), problem).of(name)


async def read_index(
    repository: Repository, session: SessionName, pack: PackRef, key: DataKey
) -> Sequence[bytes]:
    """The ids of a pack's pages, from its ends alone. Raises ObjectMissing, ObjectDamaged."""
    if (cached := repository.indexes.get(pack.pack_id)) is not None:
        return cached
    where = objects.pack(session, pack.pack_id)
    start = max(0, pack.size_bytes - FIRST_TAIL_BYTES)
    with storage_errors(repository.location):
        try:
            header = await repository.storage.get(where, length=HEADER_BYTES)
            tail = await repository.storage.get(where, offset=start)
            wanted = index_bytes(tail[-TRAILER.size :])
            if wanted > len(tail):
                tail = await repository.storage.get(where, offset=max(0, pack.size_bytes - wanted))
        except ObjectNotFound as error:
            raise ObjectMissing from error
        except (ObjectCorrupt, SealBroken) as error:
            raise ObjectDamaged(where, "its end is damaged") from error
    context = repository.context(where)
    try:
        index = await repository.workers.run(open_index, header, tail[-wanted:], key, context)
    except SealBroken as error:
        raise ObjectDamaged(where, "its seal is broken") from error
    repository.indexes.put(pack.pack_id, index.ids)
    return index.ids


async def check_packs(repository: Repository, name: BackupName, layout: Layout) -> None:
    """Level 1: every pack is there and has its size; raises BackupCorrupt."""
    for pack in layout.packs:
        where = objects.pack(name.session, pack.pack_id)
        with storage_errors(repository.location):
            try:
                info = await repository.storage.stat(where)
            except ObjectNotFound as error:
                raise ObjectDamaged(where, "it is missing").of(name) from error
        if info.size_bytes != pack.size_bytes:
            raise ObjectDamaged(where, "its size is not what was stored").of(name)


async def prove(repository: Repository, manifest: Manifest) -> None:
    """Whether the backup can be restored: every pack is what was stored, and its key is here.

    Raises BackupCorrupt, BackupKeyMissing.
    """
    name = manifest.name
    try:
        await repository.data_key(name.session, manifest.layout.term)
        for pack in manifest.layout.packs:
            await _get_pack(repository, objects.pack(name.session, pack.pack_id), pack)
    except ObjectDamaged as error:
        raise error.of(name) from error
    except KeyUnknown as error:
        raise BackupKeyMissing(backup=str(name)) from error


async def _get_pack(repository: Repository, where: str, pack: PackRef) -> bytes:
    try:
        data = await repository.get(where)
    except ObjectMissing as error:
        raise ObjectDamaged(where, "it is missing") from error
    if len(data) != pack.size_bytes or hashlib.sha256(data).hexdigest() != pack.sha256:
        raise ObjectDamaged(where, "it is not what was stored")
    return data


def _copy_pages(data: bytes, key: DataKey, context: bytes, slots: Slots, target: Path) -> None:
    """Writes the wanted pages of a pack into the image; raises SealBroken."""
    left = set(slots)
    with target.open("r+b") as file:
        for number, frame in enumerate(PackReader(data, key, context).frames()):
            first = number * FRAME_PAGES
            for slot in range(first, first + len(frame) // PAGE_BYTES):
                start = (slot - first) * PAGE_BYTES
                for position in slots.get(slot, ()):
                    os.pwrite(
                        file.fileno(), frame[start : start + PAGE_BYTES], position * PAGE_BYTES
                    )
                left.discard(slot)
    if left:
        raise SealBroken


def _create(target: Path, size: int) -> None:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.truncate(handle, size)
    finally:
        os.close(handle)


def _finish(target: Path) -> str:
    """Makes the image durable; its SHA-256."""
    with target.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
