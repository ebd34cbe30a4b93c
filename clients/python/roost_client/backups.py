"""Backups of credentials, and restoring them."""

from collections.abc import AsyncGenerator, Awaitable
from datetime import datetime
from typing import Literal
from uuid import uuid4

from roost.v1 import backup_service_pb2 as pb
from roost.v1.backup_pb2 import Backup, RestorePlan, StorageLocation
from roost.v1.operation_pb2 import Operation
from roost.v1.vault_pb2 import BackupPolicy

from .names import location_name, session_name
from .paging import pages
from .transfers import AsyncTransfers, Mode

Level = Literal["", "manifest", "packs", "data", "database", "identity", "engine"]

__all__ = ["AsyncBackups", "Level", "Mode"]


class AsyncBackups(AsyncTransfers):
    """BackupService."""

    async def create(self, session: str, *, location: str = "", request_id: str = "") -> Operation:
        """Starts a backup; see `operations.wait`. Without a location: the primary one."""
        request = pb.CreateBackupRequest(
            parent=session_name(session),
            storage_location=location_name(location),
            request_id=request_id or str(uuid4()),
        )
        return (
            await self._rpc.unary("BackupService.CreateBackup", request, pb.CreateBackupResponse)
        ).operation

    async def get(self, backup: str) -> Backup:
        """Gets one backup by its full name."""
        request = pb.GetBackupRequest(name=backup)
        return (
            await self._rpc.unary("BackupService.GetBackup", request, pb.GetBackupResponse)
        ).backup

    async def list(
        self, session: str = "-", *, show_deleted: bool = False
    ) -> AsyncGenerator[Backup, None]:
        """Backups, newest first; of all sessions, or of one; those in trash too if wanted."""

        def fetch(token: str) -> Awaitable[pb.ListBackupsResponse]:
            request = pb.ListBackupsRequest(
                parent=session_name(session), page_token=token, show_deleted=show_deleted
            )
            return self._rpc.unary("BackupService.ListBackups", request, pb.ListBackupsResponse)

        async for page in pages(fetch):
            for backup in page.backups:
                yield backup

    async def delete(self, backup: str) -> Backup:
        """Moves a backup to the vault's trash; until when it stays there is its `purge_time`."""
        request = pb.DeleteBackupRequest(name=backup)
        return (
            await self._rpc.unary("BackupService.DeleteBackup", request, pb.DeleteBackupResponse)
        ).backup

    async def undelete(self, backup: str) -> Backup:
        """Brings a backup back out of the vault's trash."""
        request = pb.UndeleteBackupRequest(name=backup)
        return (
            await self._rpc.unary(
                "BackupService.UndeleteBackup", request, pb.UndeleteBackupResponse
            )
        ).backup

    async def pin(self, backup: str, *, pinned: bool = True) -> Backup:
        """Exempts a backup from retention, or ends that."""
        request = pb.PinBackupRequest(name=backup, pinned=pinned)
        return (
            await self._rpc.unary("BackupService.PinBackup", request, pb.PinBackupResponse)
        ).backup

    async def verify(self, backup: str, *, level: Level = "") -> Operation:
        """Starts to read a backup back and to check it; without a level as when it was made.

        The operation succeeds whatever the check finds: see its `verify`.
        """
        request = pb.VerifyBackupRequest(
            name=backup, level=f"VERIFY_LEVEL_{level.upper() or 'UNSPECIFIED'}"
        )
        return (
            await self._rpc.unary("BackupService.VerifyBackup", request, pb.VerifyBackupResponse)
        ).operation

    async def plan_restore(
        self,
        backup: str,
        *,
        target: str = "",
        mode: Mode = "auto",
        start: bool = False,
        before: datetime | None = None,
    ) -> RestorePlan:
        """What `restore` would do; changes nothing."""
        request = _restore_request(backup, target, mode, before)
        request.start = start
        request.dry_run = True
        return (await self._restore(request)).plan

    async def restore(
        self,
        backup: str,
        *,
        target: str = "",
        mode: Mode = "auto",
        force: bool = False,
        start: bool = False,
        take_over: bool = False,
        before: datetime | None = None,
        request_id: str = "",
    ) -> Operation:
        """Starts a restore into the backup's own session, or into `target`; it must not run.

        Args:
            backup: Full name; `sessions/x/backups/-` is the session's newest good one.
            target: Made if the server does not know it.
            mode: `auto` keeps the ratchets only where that is provably safe.
            force: Replace credentials that are there; they are moved to trash.
            start: Start the session and watch it; if WhatsApp does not take it, all is put back.
            take_over: Take the session from another server that runs it.
            before: With `-`: only copies that were taken before.
            request_id: UUID4; a repeat with it is the same restore.
        """
        request = _restore_request(backup, target, mode, before)
        request.force = force
        request.start = start
        request.take_over = take_over
        request.request_id = request_id or str(uuid4())
        return (await self._restore(request)).operation

    async def policy(self, session: str = "-") -> BackupPolicy:
        """When a session is backed up, and what is kept; of all sessions, or of one."""
        request = pb.GetBackupPolicyRequest(parent=session_name(session))
        return (
            await self._rpc.unary(
                "BackupService.GetBackupPolicy", request, pb.GetBackupPolicyResponse
            )
        ).policy

    async def set_policy(self, policy: BackupPolicy) -> BackupPolicy:
        """Replaces the policy of `policy.parent`; the one that counts now."""
        return await self._set_policy(pb.SetBackupPolicyRequest(policy=policy))

    async def reset_policy(self, session: str = "-") -> BackupPolicy:
        """Lets what is inherited count again; the policy that counts now."""
        policy = BackupPolicy(parent=session_name(session))
        return await self._set_policy(pb.SetBackupPolicyRequest(policy=policy, reset=True))

    async def _set_policy(self, request: pb.SetBackupPolicyRequest) -> BackupPolicy:
        return (
            await self._rpc.unary(
                "BackupService.SetBackupPolicy", request, pb.SetBackupPolicyResponse
            )
        ).policy

    async def locations(self) -> AsyncGenerator[StorageLocation, None]:
        """The places that the server's configuration names."""

        def fetch(token: str) -> Awaitable[pb.ListStorageLocationsResponse]:
            return self._rpc.unary(
                "BackupService.ListStorageLocations",
                pb.ListStorageLocationsRequest(page_token=token),
                pb.ListStorageLocationsResponse,
            )

        async for page in pages(fetch):
            for location in page.storage_locations:
                yield location

    async def _restore(self, request: pb.RestoreBackupRequest) -> pb.RestoreBackupResponse:
        return await self._rpc.unary(
            "BackupService.RestoreBackup", request, pb.RestoreBackupResponse
        )


def _restore_request(
    backup: str, target: str, mode: Mode, before: datetime | None
) -> pb.RestoreBackupRequest:
    request = pb.RestoreBackupRequest(
        name=backup,
        target_session=session_name(target) if target else "",
        mode=f"RESTORE_MODE_{mode.upper()}",
    )
    if before is not None:
        request.before_time.FromDatetime(before)
    return request
