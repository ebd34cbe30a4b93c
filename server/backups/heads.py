"""What this server has seen storage to have.

Storage that has lost its end, or was rolled back, looks sound. So the newest backup and mark of
each session are kept here; when one of them is gone, the note of it stays as it is until somebody
says that it may be forgotten: a backup made meanwhile does not hide that others are missing.
"""

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, delete, insert, select

from server.core.clock import Clock
from server.core.names import BackupName, SessionName
from server.state.database import Database
from server.state.tables import backup_heads
from server.vault import objects
from server.vault.burial import read_buried
from server.vault.findings import Head
from server.vault.history import newest_mark
from server.vault.repository import Repository
from server.vault.trashing import exists

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heads:
    """In the state database, by storage location and session."""

    database: Database
    clock: Clock

    async def record(self, repository: Repository, name: BackupName) -> None:
        """Notes a backup that was made.

        Raises BackupNotFound, BackupCorrupt, BackupKeyMissing, StorageUnavailable.
        """
        known = (await self.of(repository)).get(name.session)
        if known is not None:
            if known.backup_id > name.backup_id:
                return
            if not await _is_there(repository, name.session, known):
                logger.error(
                    "vault.head_missing",
                    session=str(name.session),
                    storage_location=str(repository.location),
                    backup=known.backup_id,
                )
                return
        _, sha256 = await repository.read_manifest_and_hash(name)
        row = {
            "location_id": repository.location.location_id,
            "session_id": name.session.session_id,
            "place": repository.storage.name,
            "repository_id": repository.config.repository_id,
            "backup_id": name.backup_id,
            "sha256": sha256,
            "mark": await newest_mark(repository, name.session),
            "update_time": self.clock.now(),
        }

        def save(connection: Connection) -> None:
            _forget(connection, repository, name.session)
            connection.execute(insert(backup_heads).values(row))

        await self.database.write(save)

    async def of(self, repository: Repository) -> dict[SessionName, Head]:
        """What a location was seen to have, since its URL was changed last."""

        def load(connection: Connection) -> dict[SessionName, Head]:
            rows = connection.execute(
                select(backup_heads).where(
                    backup_heads.c.location_id == repository.location.location_id,
                    backup_heads.c.place == repository.storage.name,
                )
            )
            return {
                SessionName(row.session_id): Head(
                    repository_id=row.repository_id,
                    backup_id=row.backup_id,
                    sha256=row.sha256,
                    mark=row.mark,
                )
                for row in rows
            }

        return await self.database.read(load)

    async def forget(self, repository: Repository, session: SessionName) -> None:
        """Accepts that what was there is gone."""
        await self.database.write(lambda connection: _forget(connection, repository, session))


async def _is_there(repository: Repository, session: SessionName, head: Head) -> bool:
    if head.repository_id != repository.config.repository_id:
        return False
    if head.mark and not await exists(repository, head.mark):
        return False
    name = BackupName(session, head.backup_id)
    for where in (objects.snapshot(name), objects.trashed(name)):
        if await exists(repository, where):
            return True
    return name in await read_buried(repository, session)


def _forget(connection: Connection, repository: Repository, session: SessionName) -> None:
    connection.execute(
        delete(backup_heads).where(
            backup_heads.c.location_id == repository.location.location_id,
            backup_heads.c.session_id == session.session_id,
        )
    )
