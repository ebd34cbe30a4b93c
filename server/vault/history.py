"""What is known of a session's backups: their manifests, and the marks made since."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from server.core.errors import BackupCorrupt, BackupKeyMissing, BackupNotFound
from server.core.ids import time_ordered_id
from server.core.names import BackupName, SessionName

from . import objects
from .burial import read_buried
from .datakeys import KeyUnknown
from .manifest import Manifest
from .model import BackupState
from .repository import ObjectDamaged, ObjectMissing, Repository
from .storage import storage_errors


class MarkKind(StrEnum):
    """What a mark says. Of a backup: all but REVOKED. Of a lineage: REVOKED."""

    VERIFIED = "verified"
    SUSPECT = "suspect"
    REVOKED = "revoked"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    TRASHED = "trashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A fact that came after the manifest. VERIFIED has a level and clears SUSPECT."""

    kind: MarkKind
    time: datetime
    reason: str = ""
    level: int = 0
    previous: str = ""
    """The mark of this session before this one: so that a mark that is missing is missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a backup stands now."""

    manifest: Manifest
    sha256: str  # of the sealed manifest
    state: BackupState
    state_reason: str
    state_time: datetime
    verify_time: datetime
    verify_level: int
    is_pinned: bool = False

    @property
    def is_good(self) -> bool:
        """Verified, and nothing speaks against it: it may be restored without force."""
        return self.state is BackupState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The live backups of a session, oldest first, and those that cannot be read."""

    standings: tuple[Standing, ...]
    unreadable: Mapping[BackupName, BackupCorrupt | BackupKeyMissing]
    replayed: frozenset[BackupName] = frozenset()
    """Of the unreadable, those that were purged: somebody has put them back."""


def stand(
    manifest: Manifest, sha256: str, own: Iterable[Mark], lineage: Iterable[Mark]
) -> Standing:
    """Applies marks, in the order in which they were made, to what the manifest says. Pure."""
    standing = Standing(
        manifest=manifest,
        sha256=sha256,
        state=manifest.state,
        state_reason=manifest.state_reason,
        state_time=manifest.create_time,
        verify_time=manifest.verify_time,
        verify_level=manifest.verify_level,
    )
    for mark in own:
        match mark.kind:
            case MarkKind.VERIFIED:
                standing = replace(
                    standing,
                    state=BackupState.ACTIVE,
                    state_reason="",
                    state_time=mark.time,
                    verify_time=mark.time,
                    verify_level=max(mark.level, standing.verify_level),
                )
            case MarkKind.SUSPECT:
                standing = replace(
                    standing,
                    state=BackupState.SUSPECT,
                    state_reason=mark.reason,
                    state_time=mark.time,
                )
            case MarkKind.PINNED | MarkKind.UNPINNED:
                standing = replace(standing, is_pinned=mark.kind is MarkKind.PINNED)
    revoked = [mark for mark in lineage if mark.kind is MarkKind.REVOKED]
    later = [mark for mark in revoked if mark.time >= manifest.create_time]
    if later and standing.state is BackupState.ACTIVE:
        standing = replace(
            standing,
            state=BackupState.REVOKED,
            state_reason=later[0].reason,
            state_time=later[0].time,
        )
    return standing


async def add_mark(repository: Repository, session: SessionName, target: str, mark: Mark) -> str:
    """Adds a mark to a backup (`target` is its id) or to a lineage (`objects.lineage`).

    Returns the mark's name in storage.

    Raises StorageUnavailable, StorageMisconfigured, QuotaExceeded.
    """
    previous = await newest_mark(repository, session)
    where = objects.mark(session, target, time_ordered_id(_id_of(previous)))
    await repository.put_sealed(session, where, _encode(replace(mark, previous=previous)))
    return where


async def newest_mark(repository: Repository, session: SessionName) -> str:
    """The name of the newest mark in storage; empty if there is none."""
    with storage_errors(repository.location):
        found = await repository.storage.list(objects.folder(objects.MARKS, session))
    return max((info.key for info in found if objects.is_known(info.key)), key=_id_of, default="")


async def read_marks(repository: Repository, session: SessionName) -> dict[str, list[Mark]]:
    """All marks of a session by target, oldest first. Those that do not open are left out."""
    with storage_errors(repository.location):
        found = await repository.storage.list(objects.folder(objects.MARKS, session))
    marks: defaultdict[str, list[Mark]] = defaultdict(list)
    for info in found:
        try:
            sealed = await repository.get(info.key)
            mark = decode_mark(await repository.unseal(session, info.key, sealed))
        except (ObjectMissing, ObjectDamaged, KeyUnknown, msgspec.DecodeError):
            continue
        marks[info.key.split("/")[2]].append(mark)
    return marks


async def read_standing(repository: Repository, name: BackupName) -> Standing:
    """One backup with its marks. Raises BackupNotFound, BackupKeyMissing, BackupCorrupt."""
    manifest, sha256 = await repository.read_manifest_and_hash(name)
    if name in await read_buried(repository, name.session):
        raise _replayed(name)
    return with_marks(manifest, sha256, await read_marks(repository, name.session))


async def read_history(
    repository: Repository, session: SessionName, names: Sequence[BackupName] | None = None
) -> History:
    """A session's live backups, or those of `names`, with their marks."""
    if names is None:
        names = [*await repository.names(session)]
    marks = await read_marks(repository, session)
    buried = await read_buried(repository, session)
    replayed = frozenset(name for name in names if name in buried)
    standings: list[Standing] = []
    unreadable: dict[BackupName, BackupCorrupt | BackupKeyMissing] = {
        name: _replayed(name) for name in replayed
    }
    for name in sorted({*names} - replayed, key=lambda name: name.backup_id):
        try:
            manifest, sha256 = await repository.read_manifest_and_hash(name)
        except BackupNotFound:
            continue  # put in trash meanwhile
        except (BackupCorrupt, BackupKeyMissing) as error:
            unreadable[name] = error
        else:
            standings.append(with_marks(manifest, sha256, marks))
    return History(standings=tuple(standings), unreadable=unreadable, replayed=replayed)


def _replayed(name: BackupName) -> BackupCorrupt:
    return ObjectDamaged(objects.snapshot(name), "it was purged, and is back").of(name)


def with_marks(manifest: Manifest, sha256: str, marks: Mapping[str, list[Mark]]) -> Standing:
    """A backup with those of its session's marks that are about it."""
    own = marks.get(manifest.name.backup_id, [])
    lineage = marks.get(objects.lineage(manifest.device_fingerprint), [])
    return stand(manifest, sha256, own, lineage if manifest.device_fingerprint else [])


def _id_of(name: str) -> str:
    return name.rpartition("/")[2]


_encode = msgspec.msgpack.Encoder().encode
decode_mark = msgspec.msgpack.Decoder(Mark).decode
