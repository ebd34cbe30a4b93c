"""All that a repository has of one session, read once for whoever decides about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from server.core.errors import BackupCorrupt, BackupKeyMissing
from server.core.ids import time_of
from server.core.names import BackupName, SessionName
from storage_backends.base import ObjectInfo

from . import objects
from .history import Standing, read_history, read_marks
from .manifest import Manifest
from .model import BackupKind, BackupState
from .repository import ObjectMissing, Repository
from .retention import Item, Trashed
from .storage import storage_errors
from .trash import InTrash, read_in_trash


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What was there. Packs were listed first: whatever a manifest here needs was there by then."""

    session: SessionName
    live: tuple[Standing, ...]
    trash: tuple[InTrash, ...]
    unreadable: Mapping[BackupName, BackupCorrupt | BackupKeyMissing]
    """Live ones, without those that were purged once: nothing of them is needed."""
    unreadable_trash: Mapping[BackupName, BackupCorrupt | BackupKeyMissing]
    tombstones: Mapping[BackupName, datetime]
    """When each was written, by the storage's clock; named as in `burial`."""
    packs: Mapping[str, ObjectInfo]

    def items(self) -> list[Item]:
        """The live backups for retention; those that were purged once do not count."""
        return [self._item(standing) for standing in self.live]

    def trashed(self) -> list[Trashed]:
        """The backups in trash for the purge."""
        return [
            Trashed(
                item=self._item(each.standing),
                trash_time=each.trash_time,
                purge_time=each.purge_time,
            )
            for each in self.trash
        ]

    def used(self) -> frozenset[str]:
        """The packs that a backup refers to."""
        manifests = [standing.manifest for standing in self.live]
        manifests += [each.standing.manifest for each in self.trash]
        return frozenset(key for manifest in manifests for key in pack_keys(manifest))

    def kept(self) -> set[BackupName]:
        """Every backup that is live or in trash, whether or not it can be read."""
        names = {standing.manifest.name for standing in self.live} | self.unreadable.keys()
        names |= {each.standing.manifest.name for each in self.trash}
        return names | self.unreadable_trash.keys()

    def is_whole(self, manifest: Manifest) -> bool:
        """Whether every pack of a backup is there with its size."""
        for pack in manifest.layout.packs:
            info = self.packs.get(objects.pack(self.session, pack.pack_id))
            if info is None or info.size_bytes != pack.size_bytes:
                return False
        return True

    def _item(self, standing: Standing) -> Item:
        """A backup that lacks pages is no better than a suspect one, whatever its marks say."""
        manifest, state = standing.manifest, standing.state
        create_time = manifest.create_time
        if manifest.kind is BackupKind.IMPORT:  # it counts from when it came
            create_time = max(create_time, time_of(manifest.name.backup_id) or create_time)
        if state is BackupState.ACTIVE and not self.is_whole(manifest):
            state = BackupState.SUSPECT
        return Item(
            name=manifest.name,
            create_time=create_time,
            kind=manifest.kind,
            state=state,
            lineage=manifest.device_fingerprint,
            schema_version=manifest.schema_version,
            pinned=standing.is_pinned,
            state_time=standing.state_time,
        )


def pack_keys(manifest: Manifest) -> list[str]:
    """The packs that a backup needs."""
    session = manifest.name.session
    return [objects.pack(session, pack.pack_id) for pack in manifest.layout.packs]


async def take_inventory(repository: Repository, session: SessionName) -> Inventory:
    """Reads everything of a session but its pages. Raises StorageUnavailable, KeyUnavailable."""
    with storage_errors(repository.location):
        packs = await repository.storage.list(objects.folder(objects.PACKS, session))
    history = await read_history(repository, session)
    live = {standing.manifest.name for standing in history.standings} | history.unreadable.keys()
    marks = await read_marks(repository, session)
    trash: list[InTrash] = []
    unreadable: dict[BackupName, BackupCorrupt | BackupKeyMissing] = {}
    for name in await _names(repository, objects.TRASH, session):
        if name in live:
            continue
        try:
            trash.append(await read_in_trash(repository, name, marks))
        except ObjectMissing:
            continue  # brought back or purged meanwhile
        except (BackupCorrupt, BackupKeyMissing) as error:
            unreadable[name] = error
    return Inventory(
        session=session,
        live=history.standings,
        trash=tuple(trash),
        unreadable={
            name: problem
            for name, problem in history.unreadable.items()
            if name not in history.replayed
        },
        unreadable_trash=unreadable,
        tombstones=await _names(repository, objects.TOMBSTONES, session),
        packs={info.key: info for info in packs},
    )


async def sessions(repository: Repository) -> list[SessionName]:
    """Every session that has packs, backups or trash here."""
    found: set[SessionName] = set()
    with storage_errors(repository.location):
        for root in (objects.PACKS, objects.SNAPSHOTS, objects.TRASH):
            for info in await repository.storage.list(root):
                session = objects.session_of(info.key)
                if session is not None:
                    found.add(session)
    return sorted(found)


async def names_in_trash(
    repository: Repository, session: SessionName | None
) -> dict[BackupName, datetime]:
    """All backups in trash of a session, or of all, with the time when each came there."""
    return await _names(repository, objects.TRASH, session)


async def _names(
    repository: Repository, root: str, session: SessionName | None
) -> dict[BackupName, datetime]:
    with storage_errors(repository.location):
        found = await repository.storage.list(objects.folder(root, session))
    names = ((objects.backup_of(info.key), info.modify_time) for info in found)
    return {name: time for name, time in names if name is not None}
