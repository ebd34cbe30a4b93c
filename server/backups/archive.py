"""Backups in one storage location, format version 1.

    backups/<session id>/<backup id>/image       the store, zstd, sealed
    backups/<session id>/<backup id>/manifest    JSON, sealed; written last, only if absent

Both are sealed for their own name: an object that was moved, swapped or taken from another backup
does not open. The image counts only once it has been read back and drilled. Storage is not
trusted with anything but keeping bytes.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import zstandard

from server.core.clock import Clock
from server.core.errors import BackupCorrupt, BackupKeyMissing, BackupNotFound, FieldInvalid
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault.model import BackupState
from server.vault.workers import Workers
from storage_backends.errors import ObjectCorrupt, ObjectNotFound
from storage_backends.threaded import AsyncStorage

from .keyring import Keyring, KeyUnknown, SealBroken
from .locations import storage_errors
from .manifest import Manifest, ManifestInvalid
from .operations import Report
from .snapshot import write_private
from .verify import Findings, drill

ROOT = "backups"
IMAGE = "image"
MANIFEST = "manifest"
COMPRESSION_LEVEL = 1  # 3 takes three times as long for 1 % less: most of a store are keys


@dataclass(frozen=True, slots=True)
class Archive:
    """See the module."""

    location: StorageLocationName
    storage: AsyncStorage
    keyring: Keyring
    workers: Workers
    clock: Clock

    async def write(self, draft: Manifest, image: Path, folder: Path, report: Report) -> Manifest:
        """Stores an image, reads it back, drills it, and then makes it a backup.

        `draft` lacks the fields about the sealed form and the drill; the result has them and is
        what storage holds. `folder` is scratch. A copy that fails the drill is kept as SUSPECT.

        Raises:
            BackupCorrupt: storage gave back something else than it was given; there is no backup.
            StorageUnavailable, StorageMisconfigured, QuotaExceeded: there is no backup.
        """
        total = draft.logical_bytes
        report("SEALING", 0, total)
        sealed = await self.workers.run(self._seal_image, draft.name, image)
        sha256 = hashlib.sha256(sealed).hexdigest()
        draft = replace(draft, size_bytes=len(sealed), sha256=sha256, key_id=self.keyring.key_id)
        report("WRITING", 0, len(sealed))
        with storage_errors(self.location):
            await self.storage.put(_key(draft.name, IMAGE), sealed, if_absent=True, sha256=sha256)
        del sealed
        report("VERIFYING", 0, total)
        copy = folder / "verify.db"
        await self.read_image(draft, copy)
        findings = await self.workers.run(drill, copy)
        manifest = self._judge(draft, findings)
        await self._write_manifest(manifest)
        report("VERIFYING", total, total)
        return manifest

    async def read_manifest(self, name: BackupName) -> Manifest:
        """The manifest of a backup.

        Raises:
            BackupNotFound: there is no manifest, hence no backup.
            BackupKeyMissing: another server's key sealed it.
            BackupCorrupt: it was changed, cut, or belongs to another backup.
        """
        sealed = await self._read(name, MANIFEST)
        with _opening(name, MANIFEST):
            manifest = Manifest.decode(self.keyring.open(sealed, _context(name, MANIFEST)))
        if manifest.name != name:
            raise BackupCorrupt(backup=str(name), problem="the manifest names another backup")
        return manifest

    async def read_image(self, manifest: Manifest, target: Path) -> None:
        """Writes the image of a backup to the new file `target`, 0600 and synced.

        Raises:
            BackupCorrupt: it is missing, changed or cut.
            BackupKeyMissing: as for the manifest.
        """
        try:
            sealed = await self._read(manifest.name, IMAGE)
        except BackupNotFound as error:
            raise BackupCorrupt(
                backup=str(manifest.name), problem="the image is missing"
            ) from error
        await self.workers.run(self._open_image, manifest, sealed, target)

    async def names(self, session: SessionName | None) -> dict[BackupName, datetime]:
        """All backups of a session, or of all sessions, with the time when each was written."""
        folder = ROOT if session is None else f"{ROOT}/{session.session_id}"
        with storage_errors(self.location):
            found = await self.storage.list(folder)
        names = ((_parse_key(info.key), info.modify_time) for info in found)
        return {name: time for name, time in names if name is not None}

    def _seal_image(self, name: BackupName, image: Path) -> bytes:
        packed = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(image.read_bytes())
        return self.keyring.seal(packed, _context(name, IMAGE))

    def _open_image(self, manifest: Manifest, sealed: bytes, target: Path) -> None:
        name = manifest.name
        if hashlib.sha256(sealed).hexdigest() != manifest.sha256:
            raise BackupCorrupt(backup=str(name), problem="the stored image is not what was stored")
        with _opening(name, IMAGE):
            packed = self.keyring.open(sealed, _context(name, IMAGE))
        image = zstandard.ZstdDecompressor().decompress(
            packed, max_output_size=manifest.logical_bytes
        )
        if hashlib.sha256(image).hexdigest() != manifest.logical_sha256:
            raise BackupCorrupt(backup=str(name), problem="the image differs from the copied store")
        write_private(target, image)

    def _judge(self, draft: Manifest, findings: Findings) -> Manifest:
        device = findings.device
        return replace(
            draft,
            state=BackupState.SUSPECT if findings.problems else BackupState.ACTIVE,
            state_reason="; ".join(findings.problems),
            verify_time=self.clock.now(),
            device_fingerprint=device.fingerprint if device and not findings.problems else "",
            jid_sha256=device.jid_sha256 if device else "",
            schema_version=findings.schema_version,
            counts=findings.counts,
        )

    async def _write_manifest(self, manifest: Manifest) -> None:
        name = manifest.name
        sealed = self.keyring.seal(manifest.encode(), _context(name, MANIFEST))
        sha256 = hashlib.sha256(sealed).hexdigest()
        with storage_errors(self.location):
            await self.storage.put(_key(name, MANIFEST), sealed, if_absent=True, sha256=sha256)
        try:
            stored = await self.read_manifest(name)
        except BackupNotFound as error:
            raise BackupCorrupt(backup=str(name), problem="the manifest was lost") from error
        if stored != manifest:
            raise BackupCorrupt(backup=str(name), problem="the manifest is not what was stored")

    async def _read(self, name: BackupName, part: str) -> bytes:
        with storage_errors(self.location):
            try:
                return await self.storage.get(_key(name, part))
            except ObjectNotFound as error:
                raise BackupNotFound(name=str(name)) from error
            except ObjectCorrupt as error:
                raise BackupCorrupt(
                    backup=str(name), problem=f"storage says that the {part} is damaged"
                ) from error


def _key(name: BackupName, part: str) -> str:
    return f"{ROOT}/{name.session.session_id}/{name.backup_id}/{part}"


def _parse_key(key: str) -> BackupName | None:
    """The backup whose manifest has this key; None for any other object."""
    root, _, rest = key.partition("/")
    if root != ROOT or not rest.endswith(f"/{MANIFEST}"):
        return None
    session_id, _, backup_id = rest.removesuffix(f"/{MANIFEST}").partition("/")
    try:
        return BackupName.parse(f"sessions/{session_id}/backups/{backup_id}")
    except FieldInvalid:
        return None


def _context(name: BackupName, part: str) -> bytes:
    return f"roost backup v1\0{name}\0{part}".encode()


@contextmanager
def _opening(name: BackupName, part: str) -> Iterator[None]:
    try:
        yield
    except KeyUnknown as error:
        raise BackupKeyMissing(backup=str(name)) from error
    except SealBroken as error:
        raise BackupCorrupt(backup=str(name), problem=f"the {part}'s seal is broken") from error
    except ManifestInvalid as error:
        raise BackupCorrupt(backup=str(name), problem=f"the {part} is {error}") from error
