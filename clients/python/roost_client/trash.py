"""The server's local trash."""

from collections.abc import AsyncGenerator, Awaitable

from roost.v1 import maintenance_service_pb2 as pb
from roost.v1.operation_pb2 import Operation
from roost.v1.trash_pb2 import TrashItem

from .group import AsyncGroup
from .names import trash_name
from .paging import pages


class AsyncTrash(AsyncGroup):
    """MaintenanceService. An item is given as its id or its full name."""

    async def list(self) -> AsyncGenerator[TrashItem, None]:
        """Everything in trash, newest first."""

        def fetch(token: str) -> Awaitable[pb.ListTrashResponse]:
            request = pb.ListTrashRequest(page_token=token)
            return self._rpc.unary("MaintenanceService.ListTrash", request, pb.ListTrashResponse)

        async for page in pages(fetch):
            for item in page.items:
                yield item

    async def restore(self, item: str, *, force: bool = False) -> Operation:
        """Starts to bring an item back; the session must not run. See `operations.wait`.

        Credentials that are there already are replaced only with `force`, and moved to trash.
        """
        request = pb.RestoreFromTrashRequest(name=trash_name(item), force=force)
        return (
            await self._rpc.unary(
                "MaintenanceService.RestoreFromTrash", request, pb.RestoreFromTrashResponse
            )
        ).operation

    async def plan_purge(self, item: str = "-") -> pb.PurgeTrashResponse:
        """What may be removed for good, of one item or of all; changes nothing."""
        return await self._purge(pb.PurgeTrashRequest(name=trash_name(item)))

    async def purge(self, item: str) -> pb.PurgeTrashResponse:
        """Removes one item for good, if its time is over and it is no last good copy."""
        name = trash_name(item)
        return await self._purge(pb.PurgeTrashRequest(name=name, confirm=name))

    async def _purge(self, request: pb.PurgeTrashRequest) -> pb.PurgeTrashResponse:
        return await self._rpc.unary(
            "MaintenanceService.PurgeTrash", request, pb.PurgeTrashResponse
        )
