"""Vaults for tests: backups of small random images, without engines and sessions."""

import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.core.clock import SystemClock
from server.core.ids import time_ordered_id
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault.checking import check
from server.vault.findings import VaultCheck
from server.vault.manifest import Manifest, Parent
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupKind, BackupState
from server.vault.pages import PAGE_BYTES
from server.vault.reading import read_image
from server.vault.repository import Repository
from server.vault.storing import store_image
from server.vault.turns import Turns
from server.vault.workers import Workers
from storage_backends.layers import Checked
from storage_backends.threaded import AsyncStorage

HOME = StorageLocationName("home")
SHOP = SessionName("shop")
MASTER = FileKey(b"\x07" * 32)
DEVICE = "ab" * 32


class MovableClock(SystemClock):
    """The machine's clock, moved on by `ahead` (or back)."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@asynccontextmanager
async def open_vault(backend, folder: Path, masters=(MASTER,), clock=None, make=None):
    """A vault in `backend`; `folder` is for images."""
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    async with AsyncStorage(Checked(backend)) as storage, Workers() as workers:
        clock = clock or MovableClock()
        repository = await Repository.open(HOME, storage, masters, workers, clock, make=make)
        yield Vault(repository, folder, clock)


@dataclass
class Vault:
    repository: Repository
    folder: Path
    clock: MovableClock
    images: dict[BackupName, bytes] = field(default_factory=dict)

    @property
    def storage(self) -> AsyncStorage:
        return self.repository.storage

    async def backup(self, session=SHOP, *, pages=40, changed=3, **fields) -> Manifest:
        """The image of the newest backup with some pages changed, or a new one."""
        older = sorted(await self.repository.names(session), key=lambda name: name.backup_id)
        parent = link = None
        if older:
            parent, sha256 = await self.repository.read_manifest_and_hash(older[-1])
            link = Parent(backup_id=older[-1].backup_id, sha256=sha256, seq=parent.seq)
        before = self.images.get(
            older[-1] if older else None, secrets.token_bytes(pages * PAGE_BYTES)
        )
        data = bytearray(before)
        for _ in range(changed):
            at = secrets.randbelow(len(data) // PAGE_BYTES) * PAGE_BYTES
            data[at : at + PAGE_BYTES] = secrets.token_bytes(PAGE_BYTES)
        name = BackupName(session, time_ordered_id(older[-1].backup_id if older else ""))
        image = self.folder / f"{name.backup_id}.db"
        image.write_bytes(data)
        layout = await store_image(self.repository, name, image, parent, lambda _: None)
        image.unlink()
        now = self.clock.now()
        manifest = Manifest(
            name=name,
            kind=BackupKind.HOT,
            create_time=now,
            session_create_time=now,
            connect_epoch=1,
            is_clean=False,
            display_name="",
            labels={},
            proxy_url="",
            engine_version="0",
            seq=link.seq + 1 if link else 1,
            parent=link,
            layout=layout,
            state=BackupState.ACTIVE,
            verify_time=now,
            verify_level=4,
            device_fingerprint=DEVICE,
            schema_version="14",
        )
        manifest = replace(manifest, **fields)
        await self.repository.commit(manifest)
        self.images[name] = bytes(data)
        return manifest

    async def restores(self, name: BackupName) -> bool:
        """Whether the backup gives exactly the image that was backed up; raises what it raises."""
        target = self.folder / f"restored-{secrets.token_hex(4)}.db"
        await read_image(self.repository, await self.repository.read_manifest(name), target)
        data = target.read_bytes()
        target.unlink()
        return data == self.images[name]

    async def check(self, *, heads=None, read_data=False) -> VaultCheck:
        """Looks at everything."""
        turns = Turns(self.storage, self.clock, "me")
        return await check(
            self.repository,
            turns,
            self.folder,
            heads or {},
            lambda *_: None,
            read_data=read_data,
        )

    async def keys(self, root: str = "") -> list[str]:
        """The names of all objects below a folder."""
        return [info.key for info in await self.storage.list(root)]
