"""A repository in figures: from names, sizes and manifests; no pack is read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from server.core.names import BackupName, SessionName, StorageLocationName
from storage_backends.base import ObjectInfo

from . import objects
from .inventory import Inventory, take_inventory
from .repository import Repository
from .storage import storage_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """One session."""

    session: SessionName
    backups: int
    trashed: int
    stored_bytes: int
    logical_bytes: int
    """What its backups, those in trash too, would take one by one and uncompressed."""
    packs: int
    garbage_packs: int
    """No backup needs them; they go when their grace time is over."""
    garbage_bytes: int
    terms: int
    newest: BackupName | None
    newest_time: datetime | None
    newest_good: BackupName | None
    newest_good_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One repository."""

    location: StorageLocationName
    repository_id: str
    format_version: int
    objects: int
    stored_bytes: int
    wraps: Mapping[str, int]
    """How many data keys are wrapped for each master key, by its id."""
    sessions: tuple[SessionStats, ...]

    @property
    def logical_bytes(self) -> int:
        """What all backups would take one by one and uncompressed."""
        return sum(each.logical_bytes for each in self.sessions)

    @property
    def ratio(self) -> float:
        """How many bytes of backups are in one stored byte; 0 without backups."""
        return self.logical_bytes / self.stored_bytes if self.stored_bytes else 0.0


async def measure(repository: Repository) -> Stats:
    """Raises StorageUnavailable, StorageMisconfigured, KeyUnavailable."""
    with storage_errors(repository.location):
        listing = await repository.storage.list()
        wraps = await repository.keys.counts()
    by_session: dict[SessionName, list[ObjectInfo]] = {}
    for info in listing:
        session = objects.session_of(info.key)
        if session is not None and not info.key.startswith(f"{objects.LEASES}/"):
            by_session.setdefault(session, []).append(info)
    return Stats(
        location=repository.location,
        repository_id=repository.config.repository_id,
        format_version=repository.config.format,
        objects=len(listing),
        stored_bytes=_bytes(listing),
        wraps=wraps,
        sessions=tuple(
            [
                _measure(await take_inventory(repository, session), infos)
                for session, infos in sorted(by_session.items())
            ]
        ),
    )


def _measure(inventory: Inventory, infos: list[ObjectInfo]) -> SessionStats:
    used = inventory.used()
    garbage = [info for key, info in inventory.packs.items() if key not in used]
    manifests = [standing.manifest for standing in inventory.live]
    manifests += [each.standing.manifest for each in inventory.trash]
    times = {standing.manifest.name: standing.manifest.create_time for standing in inventory.live}
    newest = _newest({*times, *inventory.unreadable})
    good = _newest(item.name for item in inventory.items() if item.is_good)
    return SessionStats(
        session=inventory.session,
        backups=len(inventory.live) + len(inventory.unreadable),
        trashed=len(inventory.trash) + len(inventory.unreadable_trash),
        stored_bytes=_bytes(infos),
        logical_bytes=sum(manifest.layout.image_bytes for manifest in manifests),
        packs=len(inventory.packs),
        garbage_packs=len(garbage),
        garbage_bytes=_bytes(garbage),
        terms=len({info.key.split("/")[2] for info in infos if info.key.startswith(objects.KEYS)}),
        newest=newest,
        newest_time=times.get(newest) if newest else None,
        newest_good=good,
        newest_good_time=times.get(good) if good else None,
    )


def _newest(names: Iterable[BackupName]) -> BackupName | None:
    return max(names, default=None, key=lambda name: name.backup_id)


def _bytes(infos: Iterable[ObjectInfo]) -> int:
    return sum(info.size_bytes for info in infos)
