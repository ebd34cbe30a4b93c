"""The check of one session's objects; see `checking`."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec

from server.core.errors import BackupCorrupt, BackupKeyMissing
from server.core.names import BackupName, SessionName
from storage_backends.base import ObjectInfo

from . import objects
from .burial import Buried
from .datakeys import KeyUnknown
from .findings import Head, Problem, ProblemKind, SessionFindings
from .history import Mark, Standing, decode_mark, with_marks
from .manifest import Manifest, Parent
from .packproof import PackProof
from .repository import ObjectDamaged, ObjectMissing, Repository
from .sealing import SealBroken, term_of
from .storage import storage_errors
from .trash import Tombstone, decode_discarded, decode_tombstone

T = TypeVar("T")

ROOTS = (
    objects.KEYS,
    objects.PACKS,
    objects.SNAPSHOTS,
    objects.TRASH,
    objects.TOMBSTONES,
    objects.MARKS,
)


class SessionCheck:
    """`run`, then `problems` and `findings`."""

    def __init__(self, repository: Repository, session: SessionName, head: Head | None) -> None:
        self.problems: list[Problem] = []
        self._repository = repository
        self._session = session
        self._head = head
        self._infos: dict[str, ObjectInfo] = {}
        self._live: dict[BackupName, Standing] = {}
        self._trash: dict[BackupName, Standing] = {}
        self._tombstones: dict[BackupName, Tombstone] = {}
        self._buried = Buried(())
        self._marks: dict[str, list[Mark]] = {}
        self._terms: set[str] = set()

    async def run(self, folder: Path | None) -> None:
        """Looks at everything; reads packs into a file in `folder`, or not at all."""
        await self._list()
        self._buried = Buried(self._infos)
        await self._read_marks()
        await self._read_tombstones()
        await self._read_live()
        await self._read_trash()
        self._check_chain()
        self._check_head()
        self._check_packs()
        if folder is not None:
            await self._read_packs(folder)
        self._check_terms()

    def findings(self) -> SessionFindings:
        """What there is."""
        blamed = {problem.object for problem in self.problems}
        good = [
            name
            for name, standing in self._live.items()
            if standing.is_good and blamed.isdisjoint(_objects_of(standing.manifest))
        ]
        return SessionFindings(
            session=self._session,
            backups=len(self._under(objects.SNAPSHOTS)),
            trashed=len(self._under(objects.TRASH)),
            newest_good=max(good, default=None, key=lambda name: name.backup_id),
        )

    def _blame(self, key: str, kind: ProblemKind, detail: str) -> None:
        self.problems.append(Problem(key, kind, detail))

    def _under(self, root: str) -> list[str]:
        return [key for key in self._infos if key.startswith(f"{root}/")]

    async def _list(self) -> None:
        with storage_errors(self._repository.location):
            for root in ROOTS:
                folder = objects.folder(root, self._session)
                for info in await self._repository.storage.list(folder):
                    if objects.is_known(info.key):
                        self._infos[info.key] = info

    # --- small objects

    async def _get(self, key: str) -> bytes | None:
        try:
            return await self._repository.get(key)
        except ObjectMissing:
            self._blame(key, ProblemKind.MISSING, "it is listed, and cannot be read")
        except ObjectDamaged as error:
            self._blame(key, ProblemKind.DAMAGED, error.problem)
        return None

    async def _open(self, key: str, decode: Callable[[bytes], T]) -> T | None:
        sealed = await self._get(key)
        if sealed is None:
            return None
        try:
            self._terms.add(term_of(sealed))
            return decode(await self._repository.unseal(self._session, key, sealed))
        except KeyUnknown:
            self._blame(key, ProblemKind.KEY_UNKNOWN, "no configured master key opens it")
        except SealBroken:
            self._blame(key, ProblemKind.DAMAGED, "it is not sealed")
        except ObjectDamaged as error:
            detail = error.problem if error.name == key else f"{error.name}: {error.problem}"
            self._blame(key, ProblemKind.DAMAGED, detail)
        except msgspec.DecodeError:
            self._blame(key, ProblemKind.DAMAGED, "it is of a later format")
        return None

    async def _open_manifest(self, key: str, sealed: bytes) -> Standing | None:
        name = objects.backup_of(key)
        assert name is not None
        try:
            self._terms.add(term_of(sealed))
            manifest = await self._repository.open_manifest(name, sealed)
        except SealBroken:
            self._blame(key, ProblemKind.DAMAGED, "it is not sealed")
        except BackupKeyMissing:
            self._blame(key, ProblemKind.KEY_UNKNOWN, "no configured master key opens it")
        except BackupCorrupt as error:
            at = "" if error.object in {key, objects.snapshot(name)} else f"{error.object}: "
            self._blame(key, ProblemKind.DAMAGED, f"{at}{error.problem}")
        else:
            return with_marks(manifest, sha256(sealed).hexdigest(), self._marks)
        return None

    async def _read_marks(self) -> None:
        for key in self._under(objects.MARKS):
            mark = await self._open(key, decode_mark)
            if mark is None:
                continue
            self._marks.setdefault(key.split("/")[2], []).append(mark)
            if mark.previous and mark.previous not in self._infos:
                self._blame(mark.previous, ProblemKind.MISSING, f"{key} was made after it")

    async def _read_tombstones(self) -> None:
        for key in self._under(objects.TOMBSTONES):
            tombstone = await self._open(key, decode_tombstone)
            name = objects.backup_of(key)
            if tombstone is not None and name is not None:
                self._tombstones[name] = tombstone

    async def _read_live(self) -> None:
        for key in self._under(objects.SNAPSHOTS):
            sealed = await self._get(key)
            standing = await self._open_manifest(key, sealed) if sealed is not None else None
            if standing is None:
                continue
            name = standing.manifest.name
            self._live[name] = standing
            if name in self._buried:
                self._blame(key, ProblemKind.REPLAYED, "this backup was purged, and is back")

    async def _read_trash(self) -> None:
        for key in self._under(objects.TRASH):
            discarded = await self._open(key, decode_discarded)
            if discarded is None:
                continue
            standing = await self._open_manifest(key, discarded.manifest)
            if standing is not None:
                self._trash[standing.manifest.name] = standing

    # --- what they say of each other

    def _check_chain(self) -> None:
        links: list[tuple[str, Parent | None]] = [
            (standing.manifest.name.backup_id, standing.manifest.parent)
            for standing in (*self._live.values(), *self._trash.values())
        ]
        links += [(name.backup_id, each.parent) for name, each in self._tombstones.items()]
        for child, parent in links:
            if parent is not None:
                self._check_link(parent.backup_id, parent.sha256, f"{child} was made after it")
        for target in self._marks:
            if not target.startswith(objects.LINEAGE):
                self._check_link(target, "", "there is a mark about it")

    def _check_head(self) -> None:
        head = self._head
        if head is None:
            return
        self._check_link(head.backup_id, head.sha256, "this server has seen it here")
        if head.mark and head.mark not in self._infos:
            self._blame(head.mark, ProblemKind.MISSING, "this server has seen it here")

    def _check_link(self, backup_id: str, digest: str, why: str) -> None:
        """A backup that must have been there is live, in trash, or was purged."""
        name = BackupName(self._session, backup_id)
        key = objects.snapshot(name)
        there = {key, objects.trashed(name)} & self._infos.keys()
        if not there and name not in self._buried:
            self._blame(key, ProblemKind.MISSING, f"{why}, and it was not purged")
        for standing in (self._live.get(name), self._trash.get(name)):
            if standing is not None and digest not in {standing.sha256, ""}:
                self._blame(key, ProblemKind.REPLAYED, f"another one was here: {why}")
        tombstone = self._tombstones.get(name)
        if tombstone is not None and digest and tombstone.sha256 not in {digest, ""}:
            self._blame(objects.tombstone(name), ProblemKind.REPLAYED, f"of another one: {why}")

    def _check_packs(self) -> None:
        for standing in (*self._live.values(), *self._trash.values()):
            name = standing.manifest.name
            if name in self._buried:
                continue
            self._terms.add(standing.manifest.layout.term)
            for pack in standing.manifest.layout.packs:
                key = objects.pack(self._session, pack.pack_id)
                info = self._infos.get(key)
                if info is None:
                    self._blame(key, ProblemKind.MISSING, "a backup needs it")
                elif info.size_bytes != pack.size_bytes:
                    detail = f"{info.size_bytes} bytes instead of {pack.size_bytes}"
                    self._blame(key, ProblemKind.WRONG_SIZE, detail)

    def _check_terms(self) -> None:
        for term in self._terms:
            folder = f"{objects.KEYS}/{self._session.session_id}/{term}"
            if not any(key.startswith(f"{folder}/") for key in self._infos):
                detail = "no wrapped key is left of what seals this session's objects"
                self._blame(folder, ProblemKind.MISSING, detail)

    # --- packs

    async def _read_packs(self, folder: Path) -> None:
        standings = [*self._live.values(), *self._trash.values()]
        manifests = [each.manifest for each in standings]
        with PackProof(self._repository, folder, manifests) as proof:
            for key in self._under(objects.PACKS):
                found = await proof.add(self._session, key)
                self.problems += found
            self.problems += await proof.compare()


def _objects_of(manifest: Manifest) -> set[str]:
    """What a live backup needs."""
    session, layout = manifest.name.session, manifest.layout
    packs = {objects.pack(session, pack.pack_id) for pack in layout.packs}
    folder = f"{objects.KEYS}/{session.session_id}/{layout.term}"
    return {objects.snapshot(manifest.name), folder} | packs
