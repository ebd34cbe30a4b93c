"""`roost.v1.VaultService`."""

import re
from functools import partial
from typing import Any

from roost.v1 import vault_pb2, vault_service_pb2_grpc
from roost.v1 import vault_service_pb2 as pb

from server.backups.keyoperations import KeyOperations
from server.backups.service import BackupService as Backups
from server.backups.vaultoperations import VaultOperations
from server.core.errors import FieldInvalid
from server.core.names import SessionName, StorageLocationName

from . import convert_backups, convert_vault, validate
from .idempotency import Attempt, Idempotency
from .validate import Checks

_MASTER_KEY = re.compile(r"[0-9a-f]{16}")


class VaultService(vault_service_pb2_grpc.VaultServiceServicer):
    """Looks after the vault as a whole."""

    def __init__(
        self, backups: Backups, vault: VaultOperations, keys: KeyOperations, repeats: Idempotency
    ) -> None:
        self._backups = backups
        self._vault = vault
        self._keys = keys
        self._repeats = repeats

    async def GetVaultStats(
        self, request: pb.GetVaultStatsRequest, _context: Any
    ) -> pb.GetVaultStatsResponse:
        """From names, sizes and manifests."""
        stats, masters = await self._backups.stats(_location(request.storage_location))
        return pb.GetVaultStatsResponse(stats=convert_vault.stats(stats, masters))

    async def CheckVault(
        self, request: pb.CheckVaultRequest, _context: Any
    ) -> pb.CheckVaultResponse:
        """Starts to look at every object of a location."""
        location = _location(request.storage_location)
        operation = await self._vault.check(location, read_data=request.read_data)
        return pb.CheckVaultResponse(operation=convert_backups.operation(operation))

    async def PlanRetention(
        self, request: pb.PlanRetentionRequest, _context: Any
    ) -> pb.PlanRetentionResponse:
        """What retention would do."""
        result = await self._vault.plan_retention(validate.session_or_all(request.parent, "parent"))
        return pb.PlanRetentionResponse(result=convert_vault.retention_result(result))

    async def ApplyRetention(
        self, request: pb.ApplyRetentionRequest, _context: Any
    ) -> pb.ApplyRetentionResponse:
        """Starts a round of retention."""
        operation = await self._vault.apply_retention(
            validate.session_or_all(request.parent, "parent")
        )
        return pb.ApplyRetentionResponse(operation=convert_backups.operation(operation))

    async def RecoverSessions(
        self, request: pb.RecoverSessionsRequest, _context: Any
    ) -> pb.RecoverSessionsResponse:
        """Starts to take over what a storage location holds."""
        location = None
        with Checks() as check:
            if request.storage_location:
                location = check(
                    StorageLocationName.parse, request.storage_location, "storage_location"
                )
            check(validate.request_id, request.request_id)
        recover = partial(self._recover, location, request)
        return await self._repeats.once(request, pb.RecoverSessionsResponse, recover)

    async def _recover(
        self,
        location: StorageLocationName | None,
        request: pb.RecoverSessionsRequest,
        _attempt: Attempt,
    ) -> pb.RecoverSessionsResponse:
        operation = await self._backups.recover(
            location, dry_run=request.dry_run, start=request.start, take_over=request.take_over
        )
        return pb.RecoverSessionsResponse(operation=convert_backups.operation(operation))

    async def RotateKeys(
        self, request: pb.RotateKeysRequest, _context: Any
    ) -> pb.RotateKeysResponse:
        """Starts to make new data keys."""
        with Checks() as check:
            session = check(validate.session_or_all, request.parent, "parent")
            check(validate.request_id, request.request_id)
        rotate = partial(self._rotate, session)
        return await self._repeats.once(request, pb.RotateKeysResponse, rotate)

    async def _rotate(
        self, session: SessionName | None, _attempt: Attempt
    ) -> pb.RotateKeysResponse:
        operation = await self._keys.rotate(session)
        return pb.RotateKeysResponse(operation=convert_backups.operation(operation))

    async def RewrapKeys(
        self, request: pb.RewrapKeysRequest, _context: Any
    ) -> pb.RewrapKeysResponse:
        """Starts to wrap data keys for every configured master key."""
        operation = await self._keys.rewrap(validate.session_or_all(request.parent, "parent"))
        return pb.RewrapKeysResponse(operation=convert_backups.operation(operation))

    async def RetireMasterKey(
        self, request: pb.RetireMasterKeyRequest, _context: Any
    ) -> pb.RetireMasterKeyResponse:
        """Starts to remove what is wrapped for a master key."""
        if not _MASTER_KEY.fullmatch(request.master_key):
            raise FieldInvalid(field="master_key", problem="an id has 16 hex digits")
        operation = await self._keys.retire(request.master_key)
        return pb.RetireMasterKeyResponse(operation=convert_backups.operation(operation))

    async def ListMasterKeys(
        self, request: pb.ListMasterKeysRequest, _context: Any
    ) -> pb.ListMasterKeysResponse:
        """Who can open a storage location."""
        found = await self._keys.masters(_location(request.storage_location))
        return pb.ListMasterKeysResponse(
            master_keys=[
                vault_pb2.VaultStats.MasterKey(id=each.id, kind=each.kind, wraps=each.wraps)
                for each in found.masters
            ],
            data_keys=found.data_keys,
        )


def _location(text: str) -> StorageLocationName | None:
    """A location, or None for the primary one."""
    return StorageLocationName.parse(text) if text else None
