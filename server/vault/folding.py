"""Making one tombstone of many: a busy session leaves hundreds of them every day.

What is folded is old, opens, and has no kept backup between, so that the new one says the same: all
of these were purged. It is written first; what it replaces goes then.
"""

from dataclasses import dataclass
from datetime import timedelta

from server.core.names import BackupName

from . import objects
from .burial import ends, run
from .datakeys import KeyUnknown
from .inventory import Inventory
from .repository import ObjectDamaged, ObjectMissing, Repository
from .storage import storage_errors
from .trash import Tombstone, encode, read_tombstone
from .trashing import exists, put_proved
from .turns import Turn

AGE = timedelta(days=14)
"""Long enough for what a mirror took while the leading location was away to come back."""
LEAST = 32


@dataclass(slots=True)
class _Group:
    members: list[BackupName]
    oldest: Tombstone


async def fold(
    repository: Repository,
    turn: Turn,
    inventory: Inventory,
    *,
    age: timedelta = AGE,
    least: int = LEAST,
) -> int:
    """Folds a session's tombstones that are older than `age`, if there are `least` of them.

    How many are gone. Raises BackupCorrupt: storage does not keep what it is given; TurnTaken,
    StorageUnavailable, StorageMisconfigured, QuotaExceeded, KeyUnavailable.
    """
    since = turn.storage_now - age
    old = sorted(name for name, time in inventory.tombstones.items() if time < since)
    if len(old) < least:
        return 0
    gone = 0
    for group in await _groups(repository, inventory, old):
        gone += await _replace(repository, turn, group)
    return gone


async def _groups(
    repository: Repository, inventory: Inventory, old: list[BackupName]
) -> list[_Group]:
    kept = sorted(name.backup_id for name in inventory.kept())
    groups: list[_Group] = []
    last = None
    for name in old:
        try:
            tombstone = await read_tombstone(repository, name)
        except (ObjectMissing, ObjectDamaged, KeyUnknown):
            last = None
            continue
        first, end = ends(name)
        if last is None or any(last < each < first for each in kept):
            groups.append(_Group([name], tombstone))
            last = end
        else:
            groups[-1].members.append(name)
            last = max(last, end)
    return [group for group in groups if len(group.members) > 1]


async def _replace(repository: Repository, turn: Turn, group: _Group) -> int:
    first = ends(group.members[0])[0]
    last = max(ends(member)[1] for member in group.members)
    name = run(group.members[0].session, first, last)
    if not await exists(repository, objects.tombstone(name)):
        tombstone = Tombstone(
            sha256="",
            seq=group.oldest.seq,
            parent=group.oldest.parent,
            packs=(),
            reason=f"{len(group.members)} tombstones",
            time=repository.clock.now(),
        )
        await put_proved(repository, name, objects.tombstone(name), encode(tombstone))
    replaced = [member for member in group.members if member != name]
    for member in replaced:
        with storage_errors(repository.location):
            await turn.check()
            await repository.storage.delete(objects.tombstone(member))
    return len(replaced)
