"""The server itself."""

from datetime import timedelta

from roost.v1 import admin_service_pb2 as pb

from .group import AsyncGroup

DRAIN = timedelta(seconds=30)
DRAIN_MARGIN = timedelta(seconds=30)


class AsyncAdmin(AsyncGroup):
    """AdminService."""

    async def info(self) -> pb.GetServerInfoResponse:
        """Versions and limits of the server."""
        return await self._rpc.unary(
            "AdminService.GetServerInfo", pb.GetServerInfoRequest(), pb.GetServerInfoResponse
        )

    async def drain(self, *, grace: timedelta = DRAIN) -> None:
        """Stops all sessions in good order, before the server is stopped; they start again with it.

        Returns when they are down.
        """
        await self._rpc.unary(
            "AdminService.DrainServer",
            pb.DrainServerRequest(grace_period=grace),
            pb.DrainServerResponse,
            timeout=grace + DRAIN_MARGIN,
        )
