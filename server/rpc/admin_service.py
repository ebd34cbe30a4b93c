"""`roost.v1.AdminService`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from roost.v1 import admin_service_pb2 as pb
from roost.v1 import admin_service_pb2_grpc

from . import validate

DEFAULT_GRACE = timedelta(seconds=30)
LONGEST_GRACE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What a server says of itself."""

    server_version: str
    engine_version: str
    event_retention: timedelta
    storage_schemes: tuple[str, ...]
    simulator: bool


class AdminService(admin_service_pb2_grpc.AdminServiceServicer):
    """Operates the server itself."""

    def __init__(self, info: ServerInfo, drain: Callable[[timedelta], None]) -> None:
        self._info = info
        self._drain = drain

    async def GetServerInfo(
        self, _request: pb.GetServerInfoRequest, _context: Any
    ) -> pb.GetServerInfoResponse:
        """Versions and limits."""
        return pb.GetServerInfoResponse(
            server_version=self._info.server_version,
            engine_version=self._info.engine_version,
            event_retention=self._info.event_retention,
            storage_schemes=self._info.storage_schemes,
            simulator=self._info.simulator,
        )

    async def DrainServer(
        self, request: pb.DrainServerRequest, _context: Any
    ) -> pb.DrainServerResponse:
        """Begins what SIGTERM begins, and returns; the process ends when all is stopped."""
        grace = validate.duration(
            request.grace_period, "grace_period", default=DEFAULT_GRACE, longest=LONGEST_GRACE
        )
        self._drain(grace)
        return pb.DrainServerResponse()
