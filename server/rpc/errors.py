"""The one table from domain errors to gRPC statuses with typed details.

A class without a row of its own takes the row of its nearest ancestor. What is no domain error
becomes INTERNAL with a fixed text: its own text may hold anything and is for the log only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    QuotaFailure,
    RequestInfo,
    ResourceInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status
from grpc import Status as GrpcStatus
from grpc import StatusCode

from server.core import errors

DOMAIN = "roost.v1"
INTERNAL_REASON = "INTERNAL"
INTERNAL_TEXT = "internal error"
# A status travels in HTTP/2 trailers, which clients limit to 8 KiB.
_MOST_VIOLATIONS = 16
_LONGEST_FIELD = 100
_LONGEST_TEXT = 200

_RESOURCE_TYPES = {
    errors.SessionNotFound: "Session",
    errors.SessionExists: "Session",
    errors.BackupNotFound: "Backup",
    errors.BackupCorrupt: "Backup",
    errors.OperationNotFound: "Operation",
    errors.StorageLocationNotFound: "StorageLocation",
    errors.TrashItemNotFound: "TrashItem",
}


def _bad_request(error: errors.FieldInvalid) -> Message:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(
                field=each.field[:_LONGEST_FIELD], description=each.problem[:_LONGEST_TEXT]
            )
            for each in error.violations[:_MOST_VIOLATIONS]
        ]
    )


def _resource(error: errors.DomainError, name: str) -> Message:
    return ResourceInfo(
        resource_type=f"{DOMAIN}/{_RESOURCE_TYPES[type(error)]}",
        resource_name=name,
        description=error.message,
    )


def _named_resource(error: errors.NotFound) -> Message:
    return _resource(error, error.name)


def _session_resource(error: errors.SessionError) -> Message:
    return _resource(error, error.session)


def _backup_resource(error: errors.BackupError) -> Message:
    return _resource(error, error.backup)


def _precondition(error: errors.DomainError, subject: str) -> Message:
    violation = PreconditionFailure.Violation(
        type=error.reason, subject=subject, description=error.message
    )
    return PreconditionFailure(violations=[violation])


def _session_precondition(error: errors.SessionError) -> Message:
    return _precondition(error, error.session)


def _backup_precondition(error: errors.BackupError) -> Message:
    return _precondition(error, error.backup)


def _item_precondition(error: errors.TrashItemKept | errors.TrashItemUnusable) -> Message:
    return _precondition(error, error.name)


def _retry(error: errors.Unavailable) -> Message:
    info = RetryInfo()
    info.retry_delay.FromTimedelta(error.retry_delay)
    return info


def _quota(error: errors.QuotaExceeded) -> Message:
    violation = QuotaFailure.Violation(subject=error.limit, description=error.message)
    return QuotaFailure(violations=[violation])


@dataclass(frozen=True, slots=True)
class Spec:
    """How one error looks on the wire, beside ErrorInfo and RequestInfo."""

    code: StatusCode
    details: tuple[Callable[[Any], Message], ...] = ()


CATALOG: dict[type[BaseException], Spec] = {
    errors.FieldInvalid: Spec(StatusCode.INVALID_ARGUMENT, (_bad_request,)),
    errors.RequestIdReused: Spec(StatusCode.INVALID_ARGUMENT),
    errors.PageTokenMismatch: Spec(StatusCode.INVALID_ARGUMENT),
    errors.NotFound: Spec(StatusCode.NOT_FOUND, (_named_resource,)),
    errors.RecipientNotFound: Spec(StatusCode.NOT_FOUND),
    errors.SessionExists: Spec(StatusCode.ALREADY_EXISTS, (_session_resource,)),
    errors.Precondition: Spec(StatusCode.FAILED_PRECONDITION, (_session_precondition,)),
    errors.ExactRestoreUnsafe: Spec(StatusCode.FAILED_PRECONDITION, (_backup_precondition,)),
    errors.BackupNotRestorable: Spec(StatusCode.FAILED_PRECONDITION, (_backup_precondition,)),
    errors.BackupRevoked: Spec(StatusCode.FAILED_PRECONDITION, (_backup_precondition,)),
    errors.BackupTooNew: Spec(StatusCode.FAILED_PRECONDITION, (_backup_precondition,)),
    errors.RestoreRolledBack: Spec(StatusCode.FAILED_PRECONDITION, (_backup_precondition,)),
    errors.BackupKeyMissing: Spec(StatusCode.FAILED_PRECONDITION, (_backup_precondition,)),
    errors.BackupCorrupt: Spec(StatusCode.DATA_LOSS, (_backup_resource,)),
    errors.TrashItemKept: Spec(StatusCode.FAILED_PRECONDITION, (_item_precondition,)),
    errors.TrashItemUnusable: Spec(StatusCode.FAILED_PRECONDITION, (_item_precondition,)),
    errors.PassphraseWrong: Spec(StatusCode.INVALID_ARGUMENT),
    errors.ExportCorrupt: Spec(StatusCode.DATA_LOSS),
    errors.CredentialsInvalid: Spec(StatusCode.INVALID_ARGUMENT),
    errors.ExactImportUnsafe: Spec(StatusCode.FAILED_PRECONDITION),
    errors.EtagMismatch: Spec(StatusCode.ABORTED),
    errors.OperationInProgress: Spec(StatusCode.ABORTED),
    errors.OperationCancelled: Spec(StatusCode.CANCELLED),
    errors.OperationInterrupted: Spec(StatusCode.ABORTED),
    errors.CursorExpired: Spec(StatusCode.OUT_OF_RANGE),
    errors.SubscriberTooSlow: Spec(StatusCode.RESOURCE_EXHAUSTED),
    errors.QuotaExceeded: Spec(StatusCode.RESOURCE_EXHAUSTED, (_quota,)),
    errors.Unavailable: Spec(StatusCode.UNAVAILABLE, (_retry,)),
    errors.StorageMisconfigured: Spec(StatusCode.INTERNAL),
    errors.VaultCorrupt: Spec(StatusCode.DATA_LOSS),
    errors.TokenInvalid: Spec(StatusCode.UNAUTHENTICATED),
}


_CODES = {code.value[0]: code for code in StatusCode}


def _with_reasons(kind: type[errors.DomainError]) -> Iterator[type[errors.DomainError]]:
    for child in kind.__subclasses__():
        if "reason" in vars(child):
            yield child
        yield from _with_reasons(child)


_BY_REASON = {kind.reason: kind for kind in _with_reasons(errors.DomainError)}


def spec_of(kind: type[BaseException]) -> Spec | None:
    """The row of `kind` or of its nearest ancestor; None: not for the wire."""
    return next((CATALOG[base] for base in kind.__mro__ if base in CATALOG), None)


def status_of(error: BaseException, request_id: str = "") -> Status:
    """What a client is told about `error`. The request id is left out when empty."""
    spec = spec_of(type(error))
    if isinstance(error, errors.DomainError) and hasattr(error, "reason") and spec:
        info = ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata())
        details = [info, *(make(error) for make in spec.details)]
        status = Status(code=_number(spec.code), message=error.message[:_LONGEST_TEXT])
    else:
        details = [ErrorInfo(reason=INTERNAL_REASON, domain=DOMAIN)]
        status = Status(code=_number(StatusCode.INTERNAL), message=INTERNAL_TEXT)
    if request_id:
        details.append(RequestInfo(request_id=request_id))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def recorded_status(reason: str, message: str, metadata: Mapping[str, str]) -> Status:
    """The status of an error that was stored by its reason, such as a failed operation's."""
    kind = _BY_REASON.get(reason)
    spec = spec_of(kind) if kind else None
    info = ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    status = Status(code=_number(spec.code if spec else StatusCode.INTERNAL), message=message)
    status.details.add().Pack(info)
    return status


class WireStatus(GrpcStatus):
    """A status with details in the form that `ServicerContext.abort_with_status` takes."""

    def __init__(self, status: Status) -> None:
        self.code = _CODES[status.code]
        self.details = status.message
        self.trailing_metadata = (("grpc-status-details-bin", status.SerializeToString()),)


def _number(code: StatusCode) -> int:
    number: int = code.value[0]
    return number
