"""The server itself."""

from datetime import timedelta

from roost.v1 import admin_service_pb2 as pb

from .group import AsyncGroup

DRAIN = timedelta(seconds=30)


class AsyncAdmin(AsyncGroup):
    """AdminService."""

    async def info(self) -> pb.GetServerInfoResponse:
        """Versions and limits of the server."""
        return await self._rpc.unary(
            "AdminService.GetServerInfo", pb.GetServerInfoRequest(), pb.GetServerInfoResponse
        )

    async def drain(self, *, grace: timedelta = DRAIN) -> None:
        """Begins a planned stop of the server and returns; sessions that are wanted start with it.

        Event streams end with a bookmark, sessions disconnect, then the process ends; after `grace`
        at the latest.
        """
        await self._rpc.unary(
            "AdminService.DrainServer",
            pb.DrainServerRequest(grace_period=grace),
            pb.DrainServerResponse,
        )
