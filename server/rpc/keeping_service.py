"""The part of `roost.v1.BackupService` that keeps backups or lets them go."""

from typing import Any

from roost.v1 import backup_service_pb2 as pb
from roost.v1 import backup_service_pb2_grpc

from server.backups.vaultoperations import VaultOperations
from server.core.names import BackupName

from . import convert_backups


class KeepingService(backup_service_pb2_grpc.BackupServiceServicer):
    """Moves backups to the vault's trash and back, and pins them."""

    def __init__(self, vault: VaultOperations) -> None:
        self._vault = vault

    async def DeleteBackup(
        self, request: pb.DeleteBackupRequest, _context: Any
    ) -> pb.DeleteBackupResponse:
        """To trash."""
        backup = await self._vault.delete(BackupName.parse(request.name))
        return pb.DeleteBackupResponse(backup=convert_backups.backup(backup))

    async def UndeleteBackup(
        self, request: pb.UndeleteBackupRequest, _context: Any
    ) -> pb.UndeleteBackupResponse:
        """And back."""
        backup = await self._vault.undelete(BackupName.parse(request.name))
        return pb.UndeleteBackupResponse(backup=convert_backups.backup(backup))

    async def PinBackup(self, request: pb.PinBackupRequest, _context: Any) -> pb.PinBackupResponse:
        """Keeps it, or not any more."""
        name = BackupName.parse(request.name)
        backup = await self._vault.pin(name, pinned=request.pinned)
        return pb.PinBackupResponse(backup=convert_backups.backup(backup))
