"""What a failed call raises: one class, told apart by `reason`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

DOMAIN = "roost.v1"
DETAILS_KEY = "grpc-status-details-bin"
CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One bad request field and what is wrong with it, in English."""

    field: str
    problem: str


@dataclass(eq=False)
class RoostError(Exception):
    """A call, a stream or an operation failed.

    `reason` is a name from `roost.v1.ErrorReason` without its prefix: branch on it. When the
    failure did not come from Roost (no connection, a deadline, a proxy on the way) it is the name
    of the gRPC status code, e.g. `UNAVAILABLE`.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    retry_delay: timedelta | None = None
    request_id: str = ""
    is_from_roost: bool = False
    """The server itself reported this; otherwise it came from the way there."""

    @property
    def is_transient(self) -> bool:
        """The same call may succeed later and cannot have taken effect twice."""
        return self.code is grpc.StatusCode.UNAVAILABLE and self.reason != "SEND_TIMED_OUT"

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


def from_status(status: Status) -> RoostError:
    """The error in a `google.rpc.Status`, e.g. of an operation."""
    code = CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    error = RoostError(code=code, reason=code.name, message=status.message)
    _add_details(error, status.details)
    return error


def from_rpc_error(failure: grpc.aio.AioRpcError) -> RoostError:
    """The error behind a failed call."""
    code = failure.code()
    error = RoostError(code=code, reason=code.name, message=failure.details() or "")
    for key, value in failure.trailing_metadata():
        if key == DETAILS_KEY and isinstance(value, bytes):
            _add_details(error, Status.FromString(value).details)
    return error


def silent(wait: timedelta) -> RoostError:
    """A stream on which nothing came for `wait`, not even a heartbeat."""
    code = grpc.StatusCode.UNAVAILABLE
    return RoostError(
        code=code, reason=code.name, message=f"nothing came for {wait.total_seconds():g} s"
    )


def _add_details(error: RoostError, details: Iterable[AnyMessage]) -> None:
    for detail in details:
        info, request, retry, bad = ErrorInfo(), RequestInfo(), RetryInfo(), BadRequest()
        if detail.Unpack(info) and info.domain == DOMAIN:
            error.reason = info.reason
            error.metadata = dict(info.metadata)
            error.is_from_roost = True
        elif detail.Unpack(request):
            error.request_id = request.request_id
        elif detail.Unpack(retry):
            error.retry_delay = retry.retry_delay.ToTimedelta()
        elif detail.Unpack(bad):
            error.violations = tuple(
                FieldViolation(violation.field, violation.description)
                for violation in bad.field_violations
            )
