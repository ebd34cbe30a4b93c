"""Keeping another location the same: what one repository has of a session, copied to another.

Both have the same repository id, so an object means the same in both, and sealed objects are copied
as they are. Nothing is copied that does not open, nothing that is whole is ever replaced, and a
manifest goes last. The *leading* repository also hands on what is in trash and what was purged;
from the others only backups are taken that the leading one never had, because it was away.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from server.core.errors import BackupCorrupt, BackupKeyMissing, BackupNotFound
from server.core.names import BackupName, SessionName
from storage_backends.base import ObjectInfo
from storage_backends.errors import ObjectExists

from . import objects
from .burial import Buried
from .datakeys import KeyUnknown
from .manifest import Manifest, PackRef
from .repository import ObjectDamaged, ObjectMissing, Repository
from .storage import storage_errors
from .trash import has_tombstone, read_discarded
from .turns import Turn

ROOTS = (
    objects.KEYS,
    objects.PACKS,
    objects.SNAPSHOTS,
    objects.MARKS,
    objects.TRASH,
    objects.TOMBSTONES,
)

Listing = Mapping[str, Mapping[str, ObjectInfo]]


@dataclass(slots=True)
class Replicated:
    """What was copied; `problems` are names of objects that could not be, with the reason."""

    objects: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


class NotAMirror(Exception):
    """The two locations hold different repositories."""


async def replicate(
    source: Repository,
    target: Repository,
    session: SessionName,
    turn: Turn,
    *,
    leading: bool,
    thorough: bool = False,
) -> Replicated:
    """Copies what `target` lacks of a session.

    Args:
        source: Where from.
        target: Where to.
        session: Whose backups.
        turn: The turn in `target`; what was trashed or purged in a leading source goes there too.
        leading: Whether `source` decides what is live, in trash, or gone.
        thorough: Look at the pages of backups that both have, too, and mend them.

    Raises:
        NotAMirror: they are different repositories.
        TurnTaken, StorageUnavailable, StorageMisconfigured, QuotaExceeded, KeyUnavailable.
    """
    if source.config.repository_id != target.config.repository_id:
        raise NotAMirror
    done = Replicated()
    copier = _Copier(source, target, session, done)
    here, there = await listing(source, session), await listing(target, session)
    for key in missing(here, there, objects.KEYS):
        await copier.copy(key)
    if leading:
        await _bury(copier, turn, here, there)
    buried = Buried(there[objects.TOMBSTONES])
    for name in _live(here):
        is_new = objects.snapshot(name) not in there[objects.SNAPSHOTS]
        trashed = objects.trashed(name) in there[objects.TRASH]
        if name in buried or (is_new and trashed and not leading) or not (is_new or thorough):
            continue
        await copier.copy_backup(name, there[objects.PACKS])
        if trashed and leading:
            await _delete(target, turn, objects.trashed(name))
    if leading:
        await _discard(copier, turn, here, there)
    for key in missing(here, there, objects.MARKS):
        await copier.copy_sealed(key)
    return done


async def listing(repository: Repository, session: SessionName) -> Listing:
    """Every object of a session, by kind and name. Packs are listed before manifests."""
    found: dict[str, dict[str, ObjectInfo]] = {}
    with storage_errors(repository.location):
        for root in ROOTS:
            infos = await repository.storage.list(objects.folder(root, session))
            found[root] = {info.key: info for info in infos}
    return found


def missing(here: Listing, there: Listing, root: str) -> list[str]:
    """What is here and not there."""
    return [name for name in here[root] if name not in there[root]]


class _Copier:
    """Copies objects of one session; what cannot be copied is noted and passed over."""

    def __init__(
        self, source: Repository, target: Repository, session: SessionName, done: Replicated
    ) -> None:
        self.source = source
        self.target = target
        self._session = session
        self._done = done
        self._copied: set[str] = set()  # packs

    async def copy(self, name: str) -> bool:
        """An object as it is."""
        try:
            data = await self.source.get(name)
        except ObjectMissing:
            return False
        except ObjectDamaged as error:
            self._note(error)
            return False
        await self._put(name, data)
        return True

    async def copy_sealed(self, name: str) -> bool:
        """An object that opens."""
        try:
            data = await self.source.get(name)
            await self.source.unseal(self._session, name, data)
        except (ObjectMissing, KeyUnknown):
            return False
        except ObjectDamaged as error:
            self._note(error)
            return False
        await self._put(name, data)
        return True

    async def copy_backup(self, name: BackupName, packs: Mapping[str, ObjectInfo]) -> None:
        """A backup: those of its packs that are not there or have another size, and itself."""
        where = objects.snapshot(name)
        try:
            sealed = await self.source.get(where)
            manifest = await self.source.open_manifest(name, sealed)
            for pack in self._lacking(manifest, packs):
                await self._copy_pack(pack)
        except (ObjectMissing, BackupNotFound, BackupKeyMissing):
            return
        except BackupCorrupt as error:
            self._done.problems.append(error.message)
        except ObjectDamaged as error:
            self._note(error)
        else:
            await self._put(where, sealed)

    async def copy_trashed(self, name: BackupName, packs: Mapping[str, ObjectInfo]) -> None:
        """A backup in trash with its packs: it can be brought back there, too."""
        where = objects.trashed(name)
        try:
            sealed = await self.source.get(where)
            discarded = await read_discarded(self.source, name)
            manifest = await self.source.open_manifest(name, discarded.manifest)
            for pack in self._lacking(manifest, packs):
                await self._copy_pack(pack)
        except (ObjectMissing, BackupKeyMissing, KeyUnknown):
            return
        except BackupCorrupt as error:
            self._done.problems.append(error.message)
        except ObjectDamaged as error:
            self._note(error)
        else:
            await self._put(where, sealed)

    def _lacking(self, manifest: Manifest, packs: Mapping[str, ObjectInfo]) -> Iterable[PackRef]:
        for pack in manifest.layout.packs:
            there = packs.get(objects.pack(self._session, pack.pack_id))
            if pack.pack_id in self._copied:
                continue
            if there is None or there.size_bytes != pack.size_bytes:
                yield pack

    async def _copy_pack(self, pack: PackRef) -> None:
        """What is there under its name has the wrong size, so it is worth nothing: replaced."""
        name = objects.pack(self._session, pack.pack_id)
        try:
            data = await self.source.get(name)
        except ObjectMissing as error:
            raise ObjectDamaged(name, "it is missing") from error
        if hashlib.sha256(data).hexdigest() != pack.sha256:
            raise ObjectDamaged(name, "it is not what was stored")
        await self._put(name, data, replace=True)
        self._copied.add(pack.pack_id)

    async def _put(self, name: str, data: bytes, *, replace: bool = False) -> None:
        sha256 = hashlib.sha256(data).hexdigest()
        with storage_errors(self.target.location), suppress(ObjectExists):
            await self.target.storage.put(name, data, if_absent=not replace, sha256=sha256)
            self._done.objects += 1
            self._done.bytes += len(data)

    def _note(self, error: ObjectDamaged) -> None:
        self._done.problems.append(f"{error.name}: {error.problem}")


def _live(here: Listing) -> list[BackupName]:
    names = (objects.backup_of(key) for key in here[objects.SNAPSHOTS])
    return sorted(name for name in names if name is not None)


async def _bury(copier: _Copier, turn: Turn, here: Listing, there: Listing) -> None:
    """What was purged in the leading repository is purged in the other, if the seal says so."""
    buried, known = Buried(here[objects.TOMBSTONES]), Buried(there[objects.TOMBSTONES])
    for key in missing(here, there, objects.TOMBSTONES):
        name = objects.backup_of(key)
        if name is not None and not known.covers(name):
            await copier.copy_sealed(key)
    for key in (*there[objects.SNAPSHOTS], *there[objects.TRASH]):
        name = objects.backup_of(key)
        if name is None or name not in buried:
            continue
        with suppress(ObjectDamaged, KeyUnknown):
            if await has_tombstone(copier.source, name):
                await _delete(copier.target, turn, key)


async def _discard(copier: _Copier, turn: Turn, here: Listing, there: Listing) -> None:
    """What is in the leading repository's trash goes to the other's, if the seal says so."""
    buried = Buried([*here[objects.TOMBSTONES], *there[objects.TOMBSTONES]])
    for key in here[objects.TRASH]:
        name = objects.backup_of(key)
        if name is None or objects.snapshot(name) in here[objects.SNAPSHOTS]:
            continue
        if objects.snapshot(name) not in there[objects.SNAPSHOTS]:
            if key not in there[objects.TRASH] and name not in buried:
                await copier.copy_trashed(name, there[objects.PACKS])
            continue
        with suppress(ObjectMissing, ObjectDamaged, KeyUnknown):
            await read_discarded(copier.source, name)
            if key in there[objects.TRASH] or await copier.copy_sealed(key):
                await _delete(copier.target, turn, objects.snapshot(name))


async def _delete(repository: Repository, turn: Turn, where: str) -> None:
    with storage_errors(repository.location):
        await turn.check()
        await repository.storage.delete(where)
