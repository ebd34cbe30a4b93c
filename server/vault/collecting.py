"""Deleting packs that no backup needs any more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.core.names import SessionName
from storage_backends.base import ObjectInfo

from .datakeys import KeyUnknown
from .garbage import GRACE, garbage
from .inventory import Inventory
from .repository import ObjectDamaged, ObjectMissing, Repository
from .storage import storage_errors
from .trash import read_tombstone
from .turns import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection did, or would do."""

    packs: tuple[str, ...] = ()
    bytes: int = 0
    stopped: Mapping[SessionName, str] = field(default_factory=dict)
    """Sessions of which nothing was deleted, because something of theirs cannot be read."""

    def __add__(self, other: "Collected") -> "Collected":
        return Collected(
            packs=self.packs + other.packs,
            bytes=self.bytes + other.bytes,
            stopped={**self.stopped, **other.stopped},
        )


async def collect(
    repository: Repository,
    turn: Turn,
    inventory: Inventory,
    grace: timedelta = GRACE,
    *,
    dry_run: bool = False,
) -> Collected:
    """Deletes what `garbage` says of one session.

    Nothing is deleted while one of the session's manifests cannot be read: it may need anything.

    Raises TurnTaken, StorageUnavailable, StorageMisconfigured, KeyUnavailable.
    """
    session = inventory.session
    unreadable = {**inventory.unreadable, **inventory.unreadable_trash}
    used = inventory.used()
    if inventory.packs.keys() <= used:
        return Collected()
    if unreadable:
        return Collected(stopped={session: f"{min(map(str, unreadable))} cannot be read"})
    try:
        released = await _released(repository, inventory, turn.storage_now - grace)
    except ObjectDamaged as error:
        return Collected(stopped={session: f"{error.name} is damaged: {error.problem}"})
    except KeyUnknown:
        return Collected(stopped={session: "the key of a tombstone is not here"})
    found = garbage(
        inventory.packs.values(),
        used,
        released,
        now=repository.clock.now(),
        storage_now=turn.storage_now,
        grace=grace,
    )
    if not dry_run:
        await _delete(repository, turn, found)
    return Collected(
        packs=tuple(info.key for info in found), bytes=sum(info.size_bytes for info in found)
    )


async def _released(
    repository: Repository, inventory: Inventory, since: datetime
) -> dict[str, datetime]:
    """When the packs of lately purged backups were given up."""
    found: dict[str, datetime] = {}
    for name, time in inventory.tombstones.items():
        if time < since:
            continue
        try:
            tombstone = await read_tombstone(repository, name)
        except ObjectMissing:
            continue
        for pack in tombstone.packs:
            found[pack] = max(time, found.get(pack, time))
    return found


async def _delete(repository: Repository, turn: Turn, packs: list[ObjectInfo]) -> None:
    with storage_errors(repository.location):
        for info in packs:
            await turn.check()
            await repository.storage.delete(info.key)
