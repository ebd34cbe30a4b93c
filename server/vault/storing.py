"""Storing the pages of an image: only those that the backup before it has not."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from server.core.ids import time_ordered_id
from server.core.names import BackupName, SessionName

from . import objects
from .manifest import Layout, Manifest, PackRef
from .packs import FRAME_PAGES, PackBuilder
from .pages import PAGE_BYTES, Place, encode_map, read_pages, survey
from .reading import read_index
from .repository import ObjectDamaged, ObjectMissing, Repository
from .sealing import DataKey
from .storage import storage_errors

MAX_PACKS = 64
KEPT_PACKS = 16


class OnStored(Protocol):
    """Hears how many bytes have been stored."""

    def __call__(self, bytes_done: int, /) -> None:
        """Called after each pack."""


@dataclass(slots=True)
class _Sealed:
    pack_id: str
    data: bytes
    pages: int


async def store_image(
    repository: Repository,
    name: BackupName,
    image: Path,
    parent: Manifest | None,
    on_stored: OnStored,
) -> Layout:
    """Stores what is new in `image`, reads it back, and says where everything is.

    Nothing refers to the new objects until a manifest with the layout is committed.

    Raises:
        BackupCorrupt: storage gave back something else than it was given.
        ImageInvalid: it is not a whole number of pages.
        StorageUnavailable, StorageMisconfigured, QuotaExceeded.
    """
    session, workers = name.session, repository.workers
    with storage_errors(repository.location):
        key = await repository.keys.current(session.session_id)
    ids, sha256 = await workers.run(survey, image, key)
    known: dict[bytes, Place] = {}
    packs: dict[str, PackRef] = {}
    if parent is not None and parent.layout.term == key.term:
        packs = {pack.pack_id: pack for pack in await _whole(repository, session, parent.layout)}
        known = await _known_pages(repository, session, key, packs.values())
        for pack_id in superseded([*packs.values()], ids, known):
            del packs[pack_id]
        known = {page: place for page, place in known.items() if place.pack_id in packs}
    new = list(dict.fromkeys(page for page in ids if page not in known))
    first_seen = _first_positions(ids, set(new))
    new_bytes = 0
    pending = iter(new)
    source = read_pages(image, [first_seen[page] for page in new])
    while True:
        pack_id = time_ordered_id()
        builder = PackBuilder(key, repository.context(objects.pack(session, pack_id)))
        sealed = await workers.run(_seal_pack, builder, pack_id, source, pending, known)
        if sealed is None:
            break
        packs[sealed.pack_id] = await _put_pack(repository, name, sealed)
        new_bytes += len(sealed.data)
        on_stored(new_bytes)
    places = [known[page] for page in ids]
    used = {place.pack_id for place in places}
    kept = tuple(pack for pack in packs.values() if pack.pack_id in used)
    return Layout(
        term=key.term,
        packs=kept,
        page_map=tuple(encode_map(places, [pack.pack_id for pack in kept])),
        page_count=len(ids),
        image_bytes=len(ids) * PAGE_BYTES,
        image_sha256=sha256,
        new_bytes=new_bytes,
    )


def superseded(
    packs: Sequence[PackRef], ids: Sequence[bytes], known: Mapping[bytes, Place]
) -> set[str]:
    """Packs whose live pages are to be stored anew, so that they can be collected one day.

    When more than half of what a backup refers to is garbage, those packs that are mostly garbage;
    when there are too many packs, all but those with the most live pages. Pages are taken from the
    image at hand, so nothing has to be read from storage.
    """
    live = Counter(known[page].pack_id for page in set(ids) if page in known)
    stored = sum(pack.pages for pack in packs)
    leaving = {pack.pack_id for pack in packs if not live[pack.pack_id]}
    if live.total() * 2 < stored:
        leaving |= {pack.pack_id for pack in packs if live[pack.pack_id] * 2 < pack.pages}
    if len(packs) >= MAX_PACKS:
        by_use = sorted(packs, key=lambda pack: live[pack.pack_id], reverse=True)
        leaving |= {pack.pack_id for pack in by_use[KEPT_PACKS:]}
    return leaving


async def _whole(repository: Repository, session: SessionName, layout: Layout) -> list[PackRef]:
    """The packs of a layout that storage still has in their full size."""
    with storage_errors(repository.location):
        found = await repository.storage.list(objects.folder(objects.PACKS, session))
    sizes = {info.key: info.size_bytes for info in found}
    return [
        pack
        for pack in layout.packs
        if sizes.get(objects.pack(session, pack.pack_id)) == pack.size_bytes
    ]


async def _known_pages(
    repository: Repository, session: SessionName, key: DataKey, packs: Iterable[PackRef]
) -> dict[bytes, Place]:
    """Every page in these packs; a pack that cannot be read is passed over."""
    known: dict[bytes, Place] = {}
    for pack in packs:
        try:
            index = await read_index(repository, session, pack, key)
        except (ObjectMissing, ObjectDamaged):
            continue
        known |= {page: Place(pack.pack_id, slot) for slot, page in enumerate(index)}
    return known


def _first_positions(ids: Sequence[bytes], wanted: set[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for number, page in enumerate(ids):
        if page in wanted:
            found.setdefault(page, number)
    return found


def _seal_pack(
    builder: PackBuilder,
    pack_id: str,
    pages: Iterator[bytes],
    ids: Iterator[bytes],
    known: dict[bytes, Place],
) -> _Sealed | None:
    """The next pack, its pages added to `known`; None: there are no more pages."""
    slot = 0
    while not builder.is_full and (batch := list(islice(ids, FRAME_PAGES))):
        builder.add(list(islice(pages, len(batch))), batch)
        known |= {page: Place(pack_id, slot + number) for number, page in enumerate(batch)}
        slot += len(batch)
    return _Sealed(pack_id, builder.finish(), slot) if slot else None


async def _put_pack(repository: Repository, name: BackupName, sealed: _Sealed) -> PackRef:
    where = objects.pack(name.session, sealed.pack_id)
    await repository.put(where, sealed.data)
    sha256 = hashlib.sha256(sealed.data).hexdigest()
    try:
        stored = await repository.get(where)
    except ObjectMissing as error:
        raise ObjectDamaged(where, "storage has lost it").of(name) from error
    except ObjectDamaged as error:
        raise error.of(name) from error
    if stored != sealed.data:
        raise ObjectDamaged(where, "it is not what was stored").of(name)
    return PackRef(sealed.pack_id, len(stored), sha256, sealed.pages)
