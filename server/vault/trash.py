"""What is in trash, and what has left it for good.

A trashed backup keeps its manifest verbatim, sealed within a sealed object: it can be brought back
as it was, and its pages stay for as long as it is there. A tombstone says that a backup was purged:
a manifest that is missing without one was lost, or somebody took it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

import msgspec

from server.core.errors import BackupCorrupt, BackupKeyMissing
from server.core.names import BackupName

from . import objects
from .burial import read_buried
from .datakeys import KeyUnknown
from .history import Mark, Standing, with_marks
from .manifest import Parent
from .repository import ObjectDamaged, ObjectMissing, Repository

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """The content of a `trash` object."""

    manifest: bytes
    reason: str
    time: datetime
    purge_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """The content of a `tombstones` object. `sha256` (hex) is of the sealed manifest."""

    sha256: str
    seq: int
    parent: Parent | None
    packs: tuple[str, ...]
    reason: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InTrash:
    """A backup in trash that can be read."""

    standing: Standing
    reason: str
    trash_time: datetime
    purge_time: datetime


async def has_tombstone(repository: Repository, name: BackupName) -> bool:
    """Whether a backup was purged: its tombstone is there and opens.

    Raises ObjectDamaged, KeyUnknown.
    """
    where = (await read_buried(repository, name.session)).where(name)
    if where is None:
        return False
    try:
        await _read(repository, name, where, decode_tombstone)
    except ObjectMissing:
        return False
    return True


async def read_discarded(repository: Repository, name: BackupName) -> Discarded:
    """What a `trash` object holds. Raises ObjectMissing, ObjectDamaged, KeyUnknown."""
    return await _read(repository, name, objects.trashed(name), decode_discarded)


async def read_tombstone(repository: Repository, name: BackupName) -> Tombstone:
    """What a `tombstones` object holds. Raises ObjectMissing, ObjectDamaged, KeyUnknown."""
    return await _read(repository, name, objects.tombstone(name), decode_tombstone)


async def read_in_trash(
    repository: Repository, name: BackupName, marks: Mapping[str, list[Mark]]
) -> InTrash:
    """A backup in trash. Raises ObjectMissing, BackupCorrupt, BackupKeyMissing."""
    try:
        discarded = await read_discarded(repository, name)
    except KeyUnknown as error:
        raise BackupKeyMissing(backup=str(name)) from error
    except ObjectDamaged as error:
        raise error.of(name) from error
    try:
        manifest = await repository.open_manifest(name, discarded.manifest)
    except BackupCorrupt as error:
        error.object = objects.trashed(name)
        raise
    return InTrash(
        standing=with_marks(manifest, sha256(discarded.manifest).hexdigest(), marks),
        reason=discarded.reason,
        trash_time=discarded.time,
        purge_time=discarded.purge_time,
    )


async def _read(
    repository: Repository, name: BackupName, where: str, decode: Callable[[bytes], T]
) -> T:
    sealed = await repository.get(where)
    try:
        return decode(await repository.unseal(name.session, where, sealed))
    except msgspec.DecodeError as error:
        raise ObjectDamaged(where, "it is of a later format") from error


encode = msgspec.msgpack.Encoder().encode
decode_discarded = msgspec.msgpack.Decoder(Discarded).decode
decode_tombstone = msgspec.msgpack.Decoder(Tombstone).decode
