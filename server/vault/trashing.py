"""Moving backups to trash and back, and out of it for good.

Every step can be interrupted and done again. To trash: the trash object first, then the live one
goes. Back: the live one first. Out: the tombstone first, then the trash object goes. So at any
moment a backup is live, in trash, or has a tombstone; of one that is live and in trash the live one
counts, and one with a tombstone is gone. All of it needs the repository's turn.
"""

from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import timedelta

from server.core.errors import BackupCorrupt, BackupKeyMissing, BackupNotFound, FieldInvalid
from server.core.names import BackupName, SessionName
from storage_backends.errors import ObjectExists

from . import objects
from .burial import read_buried
from .datakeys import KeyUnknown
from .history import Mark, MarkKind, add_mark
from .inventory import Inventory, pack_keys
from .manifest import Manifest
from .reading import check_packs
from .repository import ObjectDamaged, ObjectMissing, Repository
from .retention import MIN_TRASH_AGE, Plan, plan_purge
from .storage import storage_errors
from .trash import Discarded, InTrash, Tombstone, encode, has_tombstone, read_discarded
from .turns import Turn

KEEP = timedelta(days=7)
ASKED_FOR = "somebody asked for it, and it cannot be read"


async def throw_away(
    repository: Repository, turn: Turn, name: BackupName, reason: str, keep: timedelta = KEEP
) -> None:
    """Moves a live backup to trash, where it stays for `keep` at least.

    Also one that cannot be read; it is kept byte for byte.

    Raises:
        BackupNotFound: it is not there, and not in trash either.
        BackupCorrupt: storage gave back something else than it was given; it is still live.
        FieldInvalid: `keep` is too short.
        TurnTaken, StorageUnavailable, StorageMisconfigured, QuotaExceeded, KeyUnavailable.
    """
    if keep < MIN_TRASH_AGE:
        raise FieldInvalid(field="trash", problem=f"must be kept for {MIN_TRASH_AGE} at least")
    live, trashed = objects.snapshot(name), objects.trashed(name)
    try:
        manifest = await repository.get(live)
    except ObjectMissing as error:
        if await exists(repository, trashed):
            return
        raise BackupNotFound(name=str(name)) from error
    except ObjectDamaged as error:
        raise error.of(name) from error
    await _remove_older_attempt(repository, turn, name, manifest)
    now = repository.clock.now()
    discarded = Discarded(manifest=manifest, reason=reason, time=now, purge_time=now + keep)
    await put_proved(repository, name, trashed, encode(discarded))
    if await repository.newest_name(name.session) == name:  # no other one says that it was there
        mark = Mark(kind=MarkKind.TRASHED, time=now)
        await add_mark(repository, name.session, name.backup_id, mark)
    await _delete(repository, turn, live)


async def bring_back(repository: Repository, turn: Turn, name: BackupName) -> Manifest:
    """Makes a backup in trash live again, if all of it is still there.

    Raises:
        BackupNotFound: it is not in trash.
        BackupCorrupt, BackupKeyMissing: it stays in trash.
        TurnTaken, StorageUnavailable, StorageMisconfigured, QuotaExceeded.
    """
    live, trashed = objects.snapshot(name), objects.trashed(name)
    try:
        discarded = await read_discarded(repository, name)
    except ObjectMissing as error:
        if await exists(repository, live):
            return await repository.read_manifest(name)
        raise BackupNotFound(name=str(name)) from error
    except ObjectDamaged as error:
        raise error.of(name) from error
    except KeyUnknown as error:
        raise BackupKeyMissing(backup=str(name)) from error
    if name in await read_buried(repository, name.session):  # its purge was interrupted
        raise BackupNotFound(name=str(name))
    manifest = await repository.open_manifest(name, discarded.manifest)
    await check_packs(repository, name, manifest.layout)
    await _put(repository, turn, name, live, discarded.manifest)
    await _delete(repository, turn, trashed)
    return manifest


async def purge(
    repository: Repository,
    turn: Turn,
    inventory: Inventory,
    at_once: AbstractSet[BackupName] = frozenset(),
    *,
    dry_run: bool = False,
) -> Plan:
    """Destroys what has been in trash for long enough; what of it may go, and what stays.

    Those `at_once` need not wait. One whose object is damaged goes only then, and one whose key is
    not here never.

    Raises TurnTaken, StorageUnavailable, StorageMisconfigured, QuotaExceeded, KeyUnavailable,
    BackupCorrupt.
    """
    now = repository.clock.now()
    decided = plan_purge(inventory.items(), inventory.trashed(), now, at_once)
    keep, remove = dict(decided.keep), dict(decided.remove)
    for name, problem in inventory.unreadable_trash.items():
        if name in at_once and isinstance(problem, BackupCorrupt):
            remove[name] = ASKED_FOR
        else:
            keep[name] = (f"cannot be read: {problem.message}",)
    if not dry_run:
        known = {each.standing.manifest.name: each for each in inventory.trash}
        for name, reason in remove.items():
            await _destroy(repository, turn, name, known.get(name), reason)
    return Plan(keep, remove)


async def tidy(repository: Repository, turn: Turn, session: SessionName) -> None:
    """Ends what was interrupted: live wins over trash, a tombstone over both of them in trash.

    Raises TurnTaken, StorageUnavailable, StorageMisconfigured.
    """
    with storage_errors(repository.location):
        found = await repository.storage.list(objects.folder(objects.TRASH, session))
    for info in found:
        name = objects.backup_of(info.key)
        if name is None:
            continue
        try:
            discarded = await read_discarded(repository, name)
            if await _is_live(repository, name, discarded) or await has_tombstone(repository, name):
                await _delete(repository, turn, info.key)
        except (ObjectMissing, ObjectDamaged, KeyUnknown):
            continue  # checks name it


async def exists(repository: Repository, name: str) -> bool:
    """Whether there is such an object, whatever is in it."""
    with storage_errors(repository.location):
        return any(
            info.key == name for info in await repository.storage.list(name.rpartition("/")[0])
        )


async def put_proved(repository: Repository, name: BackupName, where: str, data: bytes) -> None:
    """Seals and stores an object about a backup and reads it back; raises BackupCorrupt."""
    sealed = await repository.put_sealed(name.session, where, data)
    await _prove(repository, name, where, sealed)


async def _put(
    repository: Repository, turn: Turn, name: BackupName, where: str, sealed: bytes
) -> None:
    """Stores bytes that may be there already."""
    with storage_errors(repository.location), suppress(ObjectExists):
        await turn.check()
        await repository.storage.put(where, sealed, if_absent=True)
    await _prove(repository, name, where, sealed)


async def _prove(repository: Repository, name: BackupName, where: str, sealed: bytes) -> None:
    try:
        stored = await repository.get(where)
    except ObjectMissing as error:
        raise ObjectDamaged(where, "storage has lost it").of(name) from error
    except ObjectDamaged as error:
        raise error.of(name) from error
    if stored != sealed:
        raise ObjectDamaged(where, "it is not what was stored").of(name)


async def _remove_older_attempt(
    repository: Repository, turn: Turn, name: BackupName, manifest: bytes
) -> None:
    """Deletes what an interrupted move left in trash, unless the copy there is another one."""
    where = objects.trashed(name)
    try:
        discarded = await read_discarded(repository, name)
    except ObjectMissing:
        return
    except (ObjectDamaged, KeyUnknown):
        pass
    else:
        if discarded.manifest != manifest:
            raise ObjectDamaged(where, "another copy of it is live").of(name)
    await _delete(repository, turn, where)


async def _destroy(
    repository: Repository, turn: Turn, name: BackupName, found: InTrash | None, reason: str
) -> None:
    where = objects.tombstone(name)
    if not await exists(repository, where):
        manifest = found.standing.manifest if found else None
        tombstone = Tombstone(
            sha256=found.standing.sha256 if found else "",
            seq=manifest.seq if manifest else 0,
            parent=manifest.parent if manifest else None,
            packs=tuple(pack_keys(manifest)) if manifest else (),
            reason=reason,
            time=repository.clock.now(),
        )
        await put_proved(repository, name, where, encode(tombstone))
    await _delete(repository, turn, objects.trashed(name))


async def _is_live(repository: Repository, name: BackupName, discarded: Discarded) -> bool:
    try:
        return await repository.get(objects.snapshot(name)) == discarded.manifest
    except ObjectMissing:
        return False


async def _delete(repository: Repository, turn: Turn, where: str) -> None:
    with storage_errors(repository.location):
        await turn.check()
        await repository.storage.delete(where)
