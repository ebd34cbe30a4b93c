"""Which backups were purged, from the names of tombstones.

tombstones/<session id>/<backup id>          of one backup
tombstones/<session id>/<first id>-<last>    of all from the first to the last: see `folding`
"""

from bisect import bisect_right
from collections.abc import Iterable

from server.core.names import BackupName, SessionName

from . import objects
from .repository import Repository
from .storage import storage_errors

BETWEEN = "-"


class Buried:
    """Made of names of objects; those that are no tombstones do not count."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._one: dict[BackupName, str] = {}
        self._runs: dict[SessionName, list[tuple[str, str, str]]] = {}
        for key in keys:
            name = objects.backup_of(key)
            if name is None or not key.startswith(f"{objects.TOMBSTONES}/"):
                continue
            first, last = ends(name)
            if first == last:
                self._one[name] = key
            else:
                self._runs.setdefault(name.session, []).append((first, last, key))
        for runs in self._runs.values():
            runs.sort()

    def __contains__(self, name: BackupName) -> bool:
        return self.where(name) is not None

    def covers(self, tombstone: BackupName) -> bool:
        """Whether another tombstone says all that this one says."""
        first, last = (BackupName(tombstone.session, end) for end in ends(tombstone))
        return self.where(first) is not None and self.where(first) == self.where(last)

    def where(self, name: BackupName) -> str | None:
        """The tombstone of a backup; None: it was not purged."""
        if (one := self._one.get(name)) is not None:
            return one
        runs = self._runs.get(name.session, [])
        for first, last, key in reversed(runs[: bisect_right(runs, (name.backup_id, "~", ""))]):
            if first <= name.backup_id <= last:
                return key
        return None


def ends(tombstone: BackupName) -> tuple[str, str]:
    """The first and the last backup that a tombstone is of, from its name."""
    first, _, last = tombstone.backup_id.partition(BETWEEN)
    return first, last or first


def run(session: SessionName, first: str, last: str) -> BackupName:
    """How a tombstone of several backups is named."""
    return BackupName(session, f"{first}{BETWEEN}{last}")


async def read_buried(repository: Repository, session: SessionName) -> Buried:
    """A session's purged backups. Raises StorageUnavailable, StorageMisconfigured."""
    with storage_errors(repository.location):
        found = await repository.storage.list(objects.folder(objects.TOMBSTONES, session))
    return Buried(info.key for info in found)
