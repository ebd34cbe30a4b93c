"""Long-running work."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing

from roost.v1 import operation_service_pb2 as pb
from roost.v1.operation_pb2 import Operation

from .errors import from_status
from .group import AsyncGroup
from .names import operation_name
from .paging import pages
from .resume import resuming


class AsyncOperations(AsyncGroup):
    """OperationService. An operation is given as itself, its id or its full name."""

    async def get(self, operation: Operation | str) -> Operation:
        """Gets one operation as it is now."""
        request = pb.GetOperationRequest(name=_name(operation))
        return (
            await self._rpc.unary("OperationService.GetOperation", request, pb.GetOperationResponse)
        ).operation

    async def list(self, *, target: str = "") -> AsyncGenerator[Operation, None]:
        """Operations, newest first; all, or those on one resource (a full name)."""

        def fetch(token: str) -> Awaitable[pb.ListOperationsResponse]:
            request = pb.ListOperationsRequest(target=target, page_token=token)
            return self._rpc.unary(
                "OperationService.ListOperations", request, pb.ListOperationsResponse
            )

        async for page in pages(fetch):
            for operation in page.operations:
                yield operation

    async def watch(self, operation: Operation | str) -> AsyncGenerator[Operation, None]:
        """The operation now, then each change until it is done; goes on after a lost connection."""
        request = pb.WatchOperationRequest(name=_name(operation))

        def opened() -> AsyncGenerator[pb.WatchOperationResponse, None]:
            return self._rpc.stream(
                "OperationService.WatchOperation", request, pb.WatchOperationResponse
            )

        async with aclosing(resuming(opened)) as updates:
            async for update in updates:
                yield update.operation
                if update.operation.done:
                    return

    async def wait(self, operation: Operation | str) -> Operation:
        """The operation once it has succeeded; raises RoostError if it failed."""
        async with aclosing(self.watch(operation)) as updates:
            async for update in updates:
                if update.HasField("error"):
                    raise from_status(update.error)
                if update.done:
                    return update
        raise AssertionError  # a watch ends with `done` only

    async def cancel(self, operation: Operation | str) -> None:
        """Asks for cancellation; the operation may still succeed."""
        request = pb.CancelOperationRequest(name=_name(operation))
        await self._rpc.unary(
            "OperationService.CancelOperation", request, pb.CancelOperationResponse
        )


def _name(operation: Operation | str) -> str:
    return operation_name(operation) if isinstance(operation, str) else operation.name
