"""The vault as a whole: its keys, what is in it, and what is kept."""

from uuid import uuid4

from roost.v1 import vault_service_pb2 as pb
from roost.v1.operation_pb2 import Operation
from roost.v1.vault_pb2 import RetentionResult, VaultStats

from .group import AsyncGroup
from .names import location_name, session_name


class AsyncVault(AsyncGroup):
    """VaultService."""

    async def stats(self, location: str = "") -> VaultStats:
        """A storage location in figures; without one: the primary one."""
        request = pb.GetVaultStatsRequest(storage_location=location_name(location))
        return (
            await self._rpc.unary("VaultService.GetVaultStats", request, pb.GetVaultStatsResponse)
        ).stats

    async def recover(
        self,
        location: str = "",
        *,
        dry_run: bool = False,
        start: bool = False,
        take_over: bool = False,
        request_id: str = "",
    ) -> Operation:
        """Starts to restore every session of a storage location that the server does not have.

        Args:
            location: Without one: the primary one.
            dry_run: Only tell, of each session, what would become of it.
            start: Start each session that was restored.
            take_over: Take sessions from other servers that run them.
            request_id: UUID4; a repeat with it is the same recovery.
        """
        request = pb.RecoverSessionsRequest(
            storage_location=location_name(location),
            dry_run=dry_run,
            start=start,
            take_over=take_over,
            request_id=request_id or str(uuid4()),
        )
        return (
            await self._rpc.unary(
                "VaultService.RecoverSessions", request, pb.RecoverSessionsResponse
            )
        ).operation

    async def master_keys(self, location: str = "") -> pb.ListMasterKeysResponse:
        """Who can open a storage location; without one: the primary one."""
        return await self._rpc.unary(
            "VaultService.ListMasterKeys",
            pb.ListMasterKeysRequest(storage_location=location_name(location)),
            pb.ListMasterKeysResponse,
        )

    async def check(self, location: str = "", *, read_data: bool = False) -> Operation:
        """Starts to look at every object of a location; see `operations.wait`.

        With `read_data` all data is read and every page proved. The result is `check`.
        """
        request = pb.CheckVaultRequest(
            storage_location=location_name(location), read_data=read_data
        )
        return (
            await self._rpc.unary("VaultService.CheckVault", request, pb.CheckVaultResponse)
        ).operation

    async def plan_retention(self, session: str = "-") -> RetentionResult:
        """What retention would do now in the primary location; changes nothing."""
        request = pb.PlanRetentionRequest(parent=session_name(session))
        return (
            await self._rpc.unary("VaultService.PlanRetention", request, pb.PlanRetentionResponse)
        ).result

    async def apply_retention(self, session: str = "-") -> Operation:
        """Starts to do it, in every location; the result is `retention`."""
        request = pb.ApplyRetentionRequest(parent=session_name(session))
        return (
            await self._rpc.unary("VaultService.ApplyRetention", request, pb.ApplyRetentionResponse)
        ).operation

    async def rotate(self, session: str = "-", *, request_id: str = "") -> Operation:
        """Starts to make new data keys, of all sessions or of one; see `operations.wait`.

        What was encrypted before stays readable; the next backup of each is a full one.
        """
        request = pb.RotateKeysRequest(
            parent=session_name(session), request_id=request_id or str(uuid4())
        )
        return (
            await self._rpc.unary("VaultService.RotateKeys", request, pb.RotateKeysResponse)
        ).operation

    async def rewrap(self, session: str = "-") -> Operation:
        """Starts to open all data keys to every configured master key, and to mend damaged ones."""
        request = pb.RewrapKeysRequest(parent=session_name(session))
        return (
            await self._rpc.unary("VaultService.RewrapKeys", request, pb.RewrapKeysResponse)
        ).operation

    async def retire(self, master_key: str) -> Operation:
        """Starts to remove what is wrapped for a master key that is no longer configured.

        What no other configured master key opens is kept.
        """
        request = pb.RetireMasterKeyRequest(master_key=master_key)
        return (
            await self._rpc.unary(
                "VaultService.RetireMasterKey", request, pb.RetireMasterKeyResponse
            )
        ).operation
