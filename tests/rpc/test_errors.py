"""The one error table, through a real server: unary calls, streams and every kind of detail."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    QuotaFailure,
    RequestInfo,
    ResourceInfo,
    RetryInfo,
)
from roost.v1.error_reason_pb2 import ErrorReason

from server.core import errors
from server.core.errors import FieldViolation
from server.rpc.errors import spec_of, status_of
from tests.rpc import toy

SESSION = "sessions/a"
BACKUP = "sessions/a/backups/b"
EXAMPLES = [
    errors.FieldInvalid(
        field="name", problem="bad", more=(FieldViolation(field="etag", problem="worse"),)
    ),
    errors.RequestIdReused(request_id="r"),
    errors.PageTokenMismatch(),
    errors.SessionNotFound(name=SESSION),
    errors.BackupNotFound(name=BACKUP),
    errors.OperationNotFound(name="operations/o"),
    errors.StorageLocationNotFound(name="storageLocations/s"),
    errors.TrashItemNotFound(name="trash/t"),
    errors.RecipientNotFound(session=SESSION),
    errors.SessionExists(session=SESSION),
    errors.SessionWrongState(session=SESSION, state="active", allowed_states=("stopped", "failed")),
    errors.SessionNotPaired(session=SESSION),
    errors.SessionAlreadyPaired(session=SESSION),
    errors.CredentialsExist(session=SESSION),
    errors.StoreLost(session=SESSION),
    errors.SessionLeased(session=SESSION),
    errors.PairingExpired(session=SESSION),
    errors.PairingRejected(session=SESSION),
    errors.ClientOutdated(session=SESSION),
    errors.ExactRestoreUnsafe(backup=BACKUP, why="it is old"),
    errors.BackupNotRestorable(backup=BACKUP, state="suspect"),
    errors.BackupKeyMissing(backup=BACKUP),
    errors.BackupRevoked(backup=BACKUP, why="LOGGED_OUT"),
    errors.BackupTooNew(backup=BACKUP, schema_version="99|99"),
    errors.RestoreRolledBack(backup=BACKUP, session=SESSION, condition="LOGGED_OUT"),
    errors.BackupCorrupt(backup=BACKUP, problem="page 3"),
    errors.TrashItemKept(name="trash/t", why="young", purge_time=datetime(2026, 1, 1, tzinfo=UTC)),
    errors.TrashItemUnusable(name="trash/t", problem="no store"),
    errors.PassphraseWrong(),
    errors.ExportCorrupt(problem="it ends too early"),
    errors.CredentialsInvalid(problem="empty", file="creds.json"),
    errors.ExactImportUnsafe(why="the source may be running"),
    errors.VaultCorrupt(storage_location="storageLocations/s", problem="no config"),
    errors.EtagMismatch(session=SESSION),
    errors.OperationInProgress(session=SESSION, operation="operations/o"),
    errors.OperationCancelled(operation="operations/o"),
    errors.OperationInterrupted(operation="operations/o"),
    errors.CursorExpired(oldest_cursor="c"),
    errors.SubscriberTooSlow(last_cursor="c"),
    errors.QuotaExceeded(limit="sessions"),
    errors.EngineUnavailable(session=SESSION),
    errors.SendTimedOut(session=SESSION, message_id="3EB0"),
    errors.StorageUnavailable(storage_location="storageLocations/s"),
    errors.KeyUnavailable(),
    errors.VaultBusy(storage_location="storageLocations/s"),
    errors.ServerDraining(),
    errors.StorageMisconfigured(storage_location="storageLocations/s"),
    errors.TokenInvalid(),
]
REASONS = set(ErrorReason.keys())
IDS = [type(example).__name__ for example in EXAMPLES]
PROTO = Path(__file__).parents[2] / "protos/roost/v1/error_reason.proto"
METADATA_KEY = re.compile(r"[a-z][a-zA-Z0-9-_]+")


def all_errors(cls=errors.DomainError):
    """Every class with a reason of its own."""
    for child in cls.__subclasses__():
        if "reason" in child.__dict__:
            yield child
        yield from all_errors(child)


def test_every_domain_error_has_a_row_and_an_example_here():
    """A new error cannot be forgotten."""
    assert all(spec_of(cls) is not None for cls in all_errors())
    assert {type(example) for example in EXAMPLES} == set(all_errors())


def test_the_code_is_what_the_contract_says():
    """error_reason.proto documents each reason's code; both must agree."""
    source = PROTO.read_text()
    documented = {
        reason: text for text, reason in re.findall(r"// ([^\n]+)\n  ERROR_REASON_(\w+) = ", source)
    }
    for example in EXAMPLES:
        code = spec_of(type(example)).code.name
        assert code in documented[example.reason], example.reason


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_an_error_has_exactly_one_error_info_with_a_known_reason(example):
    """Clients switch on it."""
    (info,) = toy.unpacked(status_of(example), ErrorInfo)
    assert info.domain == "roost.v1"
    assert f"ERROR_REASON_{info.reason}" in REASONS
    assert dict(info.metadata) == example.metadata()
    assert all(METADATA_KEY.fullmatch(key) for key in info.metadata)
    assert status_of(example).message == example.message


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
async def test_it_arrives_whole_through_unary_calls_and_streams(example):
    """Also after a stream has already sent something."""
    async with toy.serving() as served:
        served.service.fail = example
        calls = [
            served.unary(StringValue(), metadata=toy.METADATA),
            served.stream(StringValue(), metadata=toy.METADATA),
            served.writing(StringValue(), metadata=toy.METADATA),
            served.collect([StringValue()], metadata=toy.METADATA),
        ]
        for call in calls:
            status = await toy.status_of(call)
            assert await call.code() is spec_of(type(example)).code
            assert toy.reason_of(status) == example.reason
            assert status.message == example.message
            assert len(toy.unpacked(status, RequestInfo)) == 1


async def test_what_was_streamed_before_an_error_is_received():
    """The error does not swallow the responses before it."""
    async with toy.serving() as served:
        served.service.fail = errors.CursorExpired(oldest_cursor="c")
        for stream in (served.stream, served.writing):
            call = stream(StringValue(), metadata=toy.METADATA)
            assert (await call.read()).value == "first"
            with pytest.raises(grpc.aio.AioRpcError):
                await call.read()
            assert await call.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_a_bug_tells_the_client_nothing_but_a_request_id():
    """The exception's text may hold anything."""
    async with toy.serving() as served:
        served.service.fail = ValueError("planted")
        for method in (served.unary, served.stream, served.writing):
            call = method(StringValue(), metadata=(*toy.METADATA, ("x-request-id", "r-1")))
            status = await toy.status_of(call)
            assert (await call.code(), status.message) == (
                grpc.StatusCode.INTERNAL,
                "internal error",
            )
            assert toy.reason_of(status) == "INTERNAL"
            assert toy.unpacked(status, RequestInfo)[0].request_id == "r-1"
            assert "planted" not in str(await call.trailing_metadata())


def detail(example, kind):
    (found,) = toy.unpacked(status_of(example), kind)
    return found


def test_bad_fields_are_all_listed():
    """A form can mark each of them."""
    found = detail(EXAMPLES[0], BadRequest).field_violations
    assert [(each.field, each.description) for each in found] == [
        ("name", "bad"),
        ("etag", "worse"),
    ]


def test_a_missing_resource_is_named_with_its_type():
    """ResourceInfo, as the contract says."""
    found = detail(errors.BackupNotFound(name=BACKUP), ResourceInfo)
    assert (found.resource_type, found.resource_name) == ("roost.v1/Backup", BACKUP)
    assert detail(errors.SessionExists(session=SESSION), ResourceInfo).resource_name == SESSION
    assert detail(EXAMPLES[IDS.index("BackupCorrupt")], ResourceInfo).resource_name == BACKUP


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES if isinstance(each, errors.Precondition)]
)
def test_a_precondition_names_its_subject(example):
    """What has to change before a retry."""
    (violation,) = detail(example, PreconditionFailure).violations
    assert (violation.type, violation.subject) == (example.reason, SESSION)


def test_a_retry_says_when():
    """RetryInfo carries the error's own delay."""
    example = errors.StorageUnavailable(storage_location="s", retry_delay=timedelta(seconds=7))
    assert detail(example, RetryInfo).retry_delay.ToTimedelta() == timedelta(seconds=7)


def test_a_quota_is_named():
    """QuotaFailure."""
    assert (
        detail(errors.QuotaExceeded(limit="sessions"), QuotaFailure).violations[0].subject
        == "sessions"
    )


def test_a_status_fits_into_trailers():
    """Clients refuse trailers beyond 8 KiB, and with them the whole status."""
    more = tuple(FieldViolation(field="f" * 5000, problem="p" * 5000) for _ in range(500))
    example = errors.FieldInvalid(field="f" * 5000, problem="p" * 5000, more=more)
    assert status_of(example, "r" * 64).ByteSize() < 6000


def test_an_error_without_a_reason_is_a_bug():
    """The inner nodes of the tree are never raised by themselves."""
    assert status_of(errors.DomainError()).message == "internal error"
    assert status_of(errors.NotFound(name="x")).message == "internal error"
