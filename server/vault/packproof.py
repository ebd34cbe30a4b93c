"""Reading packs to prove that every page of every backup of a session is there and right."""

import hashlib
import mmap
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from server.core.names import SessionName

from . import objects
from .datakeys import KeyUnknown
from .findings import Problem, ProblemKind
from .manifest import Layout, Manifest
from .packs import PackReader, pack_term
from .pages import PAGE_BYTES, id_key, page_id
from .repository import ObjectDamaged, ObjectMissing, Repository
from .sealing import DataKey, SealBroken


class PackProof:
    """`add` each pack, then `compare`. A context manager: the pages are in a file meanwhile."""

    def __init__(self, repository: Repository, folder: Path, manifests: Sequence[Manifest]) -> None:
        self._repository = repository
        self._folder = folder
        self._manifests = manifests
        self._expected = {
            pack.pack_id: pack.sha256 for each in manifests for pack in each.layout.packs
        }
        self._starts: dict[str, int] = {}  # of each pack that is right, in pages of the file
        self._counts: dict[str, int] = {}
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()

    async def add(self, session: SessionName, key: str) -> list[Problem]:
        """Reads a pack, also one that no backup uses."""
        pack_id = key.rpartition("/")[2]
        try:
            data = await self._repository.get(key)
            data_key = await self._repository.data_key(session, pack_term(data))
        except ObjectMissing:
            return [Problem(key, ProblemKind.MISSING, "it is listed, and cannot be read")]
        except ObjectDamaged as error:
            return [Problem(key, ProblemKind.DAMAGED, error.problem)]
        except KeyUnknown:
            return [Problem(key, ProblemKind.KEY_UNKNOWN, "no configured master key opens it")]
        except SealBroken:
            return [Problem(key, ProblemKind.DAMAGED, "it is no pack")]
        expected = self._expected.get(pack_id)
        if expected is not None and hashlib.sha256(data).hexdigest() != expected:
            return [Problem(key, ProblemKind.DAMAGED, "it is not what was stored")]
        problem = await self._repository.workers.run(self._unpack, pack_id, key, data, data_key)
        return [Problem(key, ProblemKind.DAMAGED, problem)] if problem else []

    async def compare(self) -> list[Problem]:
        """Puts every image together whose packs are all right."""
        problems = []
        for manifest in self._manifests:
            layout = manifest.layout
            if any(pack.pack_id not in self._starts for pack in layout.packs):
                continue  # named already
            digest = await self._repository.workers.run(self._hash_image, layout)
            if digest != layout.image_sha256:
                detail = "its pages do not make the image that was copied"
                problems.append(
                    Problem(objects.snapshot(manifest.name), ProblemKind.DAMAGED, detail)
                )
        return problems

    def _unpack(self, pack_id: str, key: str, data: bytes, data_key: DataKey) -> str:
        """Appends a pack's pages to the file; says what is wrong with them."""
        assert self._file is not None
        secret = id_key(data_key)
        start = self._file.tell() // PAGE_BYTES
        slot = 0
        try:
            reader = PackReader(data, data_key, self._repository.context(key))
            for frame in reader.frames():
                for at in range(0, len(frame), PAGE_BYTES):
                    if page_id(secret, frame[at : at + PAGE_BYTES]) != reader.index.ids[slot]:
                        return "a page is not the one in the index"
                    slot += 1
                self._file.write(frame)
        except SealBroken:
            return "its seal is broken"
        if slot != len(reader.index.ids):
            return "pages are missing"
        self._starts[pack_id], self._counts[pack_id] = start, slot
        return ""

    def _hash_image(self, layout: Layout) -> str:
        assert self._file is not None
        self._file.flush()
        whole = hashlib.sha256()
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for place in layout.places():
                if place.slot >= self._counts[place.pack_id]:
                    return ""
                at = (self._starts[place.pack_id] + place.slot) * PAGE_BYTES
                whole.update(data[at : at + PAGE_BYTES])
        return whole.hexdigest()
