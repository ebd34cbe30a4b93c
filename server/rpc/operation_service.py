"""`roost.v1.OperationService`."""

from collections.abc import AsyncIterator
from typing import Any

from roost.v1 import operation_service_pb2 as pb
from roost.v1 import operation_service_pb2_grpc

from server.backups.operations import Operations
from server.core.names import OperationName

from . import convert_backups
from .paging import page_of
from .streams import closing


class OperationService(operation_service_pb2_grpc.OperationServiceServicer):
    """Follows long-running work."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def GetOperation(
        self, request: pb.GetOperationRequest, _context: Any
    ) -> pb.GetOperationResponse:
        """One operation as it is now."""
        operation = await self._operations.get(OperationName.parse(request.name))
        return pb.GetOperationResponse(operation=convert_backups.operation(operation))

    async def ListOperations(
        self, request: pb.ListOperationsRequest, _context: Any
    ) -> pb.ListOperationsResponse:
        """Newest first."""
        page = page_of(request)
        found = await self._operations.list(
            target=request.target, after=page.after, limit=page.look_ahead
        )
        shown, token = page.cut(found, lambda operation: operation.name.operation_id)
        return pb.ListOperationsResponse(
            operations=map(convert_backups.operation, shown), next_page_token=token
        )

    async def WatchOperation(
        self, request: pb.WatchOperationRequest, _context: Any
    ) -> AsyncIterator[pb.WatchOperationResponse]:
        """Now, then each change, until it is done."""
        async with closing(self._operations.watch(OperationName.parse(request.name))) as states:
            async for state in states:
                yield pb.WatchOperationResponse(operation=convert_backups.operation(state))

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, _context: Any
    ) -> pb.CancelOperationResponse:
        """Asks; the end shows in the operation."""
        await self._operations.cancel(OperationName.parse(request.name))
        return pb.CancelOperationResponse()
