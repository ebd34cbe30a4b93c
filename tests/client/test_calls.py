"""Every method of the client reaches its RPC with what the caller said."""

from datetime import timedelta

import grpc
import pytest
from google.protobuf import message_factory
from roost.v1 import admin_service_pb2, backup_service_pb2, session_service_pb2
from roost.v1.backup_pb2 import RESTORE_MODE_EXACT, RestorePlan
from roost.v1.operation_pb2 import Operation
from roost.v1.session_pb2 import Session
from roost_client import AsyncClient, Client, RoostError
from roost_client.portal import Blocking, Iterating

from tests.support.scripted import METHODS, rich

UNARY = {
    "SessionService.CreateSession": lambda c: c.sessions.create("a"),
    "SessionService.GetSession": lambda c: c.sessions.get("a"),
    "SessionService.ListSessions": lambda c: c.sessions.list_page(),
    "SessionService.UpdateSession": lambda c: c.sessions.update("a", display_name="A"),
    "SessionService.DeleteSession": lambda c: c.sessions.delete("a"),
    "SessionService.UndeleteSession": lambda c: c.sessions.undelete("a"),
    "SessionService.StartSession": lambda c: c.sessions.start("a"),
    "SessionService.StopSession": lambda c: c.sessions.stop("a", grace=timedelta(seconds=3)),
    "SessionService.UnlinkSession": lambda c: c.sessions.unlink("a"),
    "MessageService.SendMessage": lambda c: c.messages.send_text("a", "+1555", "hi"),
    "BackupService.CreateBackup": lambda c: c.backups.create("a"),
    "BackupService.GetBackup": lambda c: c.backups.get("sessions/a/backups/b"),
    "BackupService.VerifyBackup": lambda c: c.backups.verify("sessions/a/backups/b"),
    "BackupService.GetBackupPolicy": lambda c: c.backups.policy("a"),
    "BackupService.SetBackupPolicy": lambda c: c.backups.reset_policy("a"),
    "BackupService.ImportBackup": lambda c: c.backups.import_file(__file__, "a", "words"),
    "BackupService.ImportCredentials": lambda c: c.backups.import_credentials(__file__, "a"),
    "VaultService.RecoverSessions": lambda c: c.vault.recover(),
    "VaultService.GetVaultStats": lambda c: c.vault.stats(),
    "MaintenanceService.RestoreFromTrash": lambda c: c.trash.restore("x"),
    "MaintenanceService.PurgeTrash": lambda c: c.trash.plan_purge(),
    "BackupService.RestoreBackup": lambda c: c.backups.restore("sessions/a/backups/b"),
    "VaultService.ListMasterKeys": lambda c: c.vault.master_keys(),
    "VaultService.RotateKeys": lambda c: c.vault.rotate(),
    "VaultService.RewrapKeys": lambda c: c.vault.rewrap("a"),
    "VaultService.CheckVault": lambda c: c.vault.check(),
    "VaultService.PlanRetention": lambda c: c.vault.plan_retention(),
    "VaultService.ApplyRetention": lambda c: c.vault.apply_retention(),
    "BackupService.DeleteBackup": lambda c: c.backups.delete("x"),
    "BackupService.UndeleteBackup": lambda c: c.backups.undelete("x"),
    "BackupService.PinBackup": lambda c: c.backups.pin("x"),
    "VaultService.RetireMasterKey": lambda c: c.vault.retire("0123456789abcdef"),
    "OperationService.GetOperation": lambda c: c.operations.get("x"),
    "OperationService.CancelOperation": lambda c: c.operations.cancel("x"),
    "AdminService.GetServerInfo": lambda c: c.admin.info(),
    "AdminService.DrainServer": lambda c: c.admin.drain(),
}
STREAMS = {
    "SessionService.PairSession": lambda c: c.sessions.pair("a"),
    "EventService.SubscribeEvents": lambda c: c.events.subscribe(),
    "OperationService.WatchOperation": lambda c: c.operations.watch("x"),
    "BackupService.ExportBackup": lambda c: c.backups.export_stream("x", "words"),
    "MaintenanceService.ListTrash": lambda c: c.trash.list(),
    "BackupService.ListBackups": lambda c: c.backups.list(),
    "BackupService.ListStorageLocations": lambda c: c.backups.locations(),
    "OperationService.ListOperations": lambda c: c.operations.list(),
}


def test_every_rpc_has_a_method_here():
    """An RPC that the client lacks would show as a name that is missing above."""
    assert set(UNARY) | set(STREAMS) == set(METHODS)


def empty(method):
    """The method's response with nothing in it."""
    return message_factory.GetMessageClass(METHODS[method].output_type)()


@pytest.mark.parametrize("method", UNARY)
async def test_a_method_calls_its_rpc_with_the_key(method, script, roost):
    """One call, with the key, and a response of the RPC's own type is understood."""
    script.answer(method, empty(method))
    await UNARY[method](roost)
    assert [called for called, _ in script.calls] == [method]
    assert script.keys == ["Bearer secret"]


@pytest.mark.parametrize("method", STREAMS)
async def test_a_stream_calls_its_rpc_and_raises_its_error(method, script, roost):
    """What the server refuses is raised from the iteration."""
    script.answer(method, rich(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "no"))
    with pytest.raises(RoostError) as error:
        async for _ in STREAMS[method](roost):
            raise AssertionError
    assert error.value.reason == "FIELD_INVALID"
    assert [called for called, _ in script.calls] == [method]


async def test_bare_ids_become_names(script, roost):
    """`a` and `sessions/a` are the same session."""
    script.answer("SessionService.GetSession", session_service_pb2.GetSessionResponse())
    await roost.sessions.get("a")
    await roost.sessions.get("sessions/a")
    first, second = script.requests("SessionService.GetSession")
    assert first == second
    assert first.name == "sessions/a"


async def test_update_names_what_changes(script, roost):
    """The mask holds what was given, empty values included, and nothing else."""
    script.answer("SessionService.UpdateSession", session_service_pb2.UpdateSessionResponse())
    await roost.sessions.update("a", display_name="", labels={"k": "v"}, etag="e")
    (request,) = script.requests("SessionService.UpdateSession")
    assert sorted(request.update_mask.paths) == ["display_name", "labels"]
    assert request.session.labels == {"k": "v"}
    assert request.session.etag == "e"


async def test_lists_read_all_pages(script, roost):
    """The second page is asked for with the first one's token and the same filter."""
    response = session_service_pb2.ListSessionsResponse
    script.answer(
        "SessionService.ListSessions",
        response(sessions=[Session(name="sessions/a")], next_page_token="t"),
    )
    script.answer("SessionService.ListSessions", response(sessions=[Session(name="sessions/b")]))
    names = [s.name async for s in roost.sessions.list(states=[Session.STATE_ACTIVE])]
    assert names == ["sessions/a", "sessions/b"]
    first, second = script.requests("SessionService.ListSessions")
    assert (first.page_token, second.page_token) == ("", "t")
    assert list(first.states) == list(second.states) == [Session.STATE_ACTIVE]


async def test_a_plan_is_a_dry_run(script, roost):
    """plan_restore changes nothing; restore says what to do with credentials that are there."""
    response = backup_service_pb2.RestoreBackupResponse
    script.answer("BackupService.RestoreBackup", response(plan=RestorePlan(target_session="t")))
    plan = await roost.backups.plan_restore("sessions/a/backups/b", mode="exact")
    await roost.backups.restore("sessions/a/backups/b", target="c", force=True)
    assert plan.target_session == "t"
    dry, real = script.requests("BackupService.RestoreBackup")
    assert dry.dry_run
    assert dry.mode == RESTORE_MODE_EXACT
    assert not real.dry_run
    assert real.force
    assert real.target_session == "sessions/c"


@pytest.mark.parametrize(
    "method",
    [
        "SessionService.CreateSession",
        "MessageService.SendMessage",
        "BackupService.CreateBackup",
        "BackupService.RestoreBackup",
    ],
)
async def test_a_repeated_call_has_the_same_request_id(method, script, roost):
    """The server can tell a retry from a second wish; two calls of the caller are two wishes."""
    script.answer(method, rich(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING"))
    script.answer(method, empty(method))
    await UNARY[method](roost)
    await UNARY[method](roost)
    first, retry, second = (request.request_id for request in script.requests(method))
    assert first
    assert first == retry != second


async def test_a_retry_waits_as_long_as_the_server_asks(script, roost):
    """And gives up when that is longer than the caller's patience."""
    method = "AdminService.GetServerInfo"
    script.answer(
        method, rich(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry=timedelta(hours=1))
    )
    with pytest.raises(RoostError) as error:
        await roost.admin.info()
    assert error.value.retry_delay == timedelta(hours=1)
    assert len(script.calls) == 1


async def test_an_unknown_outcome_is_not_repeated(script, roost):
    """The text may have left: sending it again is the caller's decision."""
    method = "MessageService.SendMessage"
    script.answer(method, rich(grpc.StatusCode.UNAVAILABLE, "SEND_TIMED_OUT"))
    with pytest.raises(RoostError) as error:
        await roost.messages.send_text("a", "+1555", "hi")
    assert not error.value.is_transient
    assert len(script.calls) == 1


async def test_an_error_carries_everything_the_server_said(script, roost):
    """Reason, text, metadata, field violations and the request id."""
    script.answer(
        "SessionService.GetSession",
        rich(
            grpc.StatusCode.INVALID_ARGUMENT,
            "FIELD_INVALID",
            "name: bad",
            metadata={"session": "sessions/a"},
            violations={"name": "bad"},
            request_id="r1",
        ),
    )
    with pytest.raises(RoostError) as caught:
        await roost.sessions.get("A!")
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert str(error) == "FIELD_INVALID: name: bad"
    assert error.metadata == {"session": "sessions/a"}
    assert [(v.field, v.problem) for v in error.violations] == [("name", "bad")]
    assert error.request_id == "r1"
    assert error.is_from_roost


async def test_no_server_is_unavailable():
    """Nobody listens there: the reason is the status code's name."""
    async with AsyncClient("127.0.0.1:1", "k", patience=timedelta()) as nobody:
        with pytest.raises(RoostError) as error:
            await nobody.admin.info()
    assert error.value.reason == "UNAVAILABLE"
    assert not error.value.is_from_roost


async def test_an_operation_is_watched_to_its_end_over_a_lost_connection(script, roost):
    """The stream breaks after the first update; waiting goes on with a new one."""
    method = "OperationService.WatchOperation"
    response = message_factory.GetMessageClass(METHODS[method].output_type)
    running, done = Operation(name="operations/x"), Operation(name="operations/x", done=True)
    done.backup.name = "sessions/a/backups/b"
    script.answer(method, response(operation=running), grpc.StatusCode.UNAVAILABLE)
    script.answer(method, response(operation=running), response(operation=done))
    result = await roost.operations.wait(running)
    assert result.backup.name == "sessions/a/backups/b"
    assert len(script.calls) == 2


async def test_a_failed_operation_raises_its_error(script, roost):
    """With the reason that the operation carries."""
    method = "OperationService.WatchOperation"
    failed = Operation(name="operations/x", done=True)
    failed.error.CopyFrom(rich(grpc.StatusCode.DATA_LOSS, "BACKUP_CORRUPT", "damaged"))
    script.answer(
        method, message_factory.GetMessageClass(METHODS[method].output_type)(operation=failed)
    )
    with pytest.raises(RoostError) as error:
        await roost.operations.wait("x")
    assert (error.value.code, error.value.reason) == (grpc.StatusCode.DATA_LOSS, "BACKUP_CORRUPT")


def test_the_blocking_client_has_every_method():
    """Same groups, same public names."""
    asynchronous = AsyncClient("127.0.0.1:1")
    with Client("127.0.0.1:1") as blocking:
        for name, group in vars(asynchronous).items():
            if name.startswith("_"):
                continue
            wanted = {method for method in dir(group) if not method.startswith("_")}
            there = {
                method
                for method, value in vars(type(getattr(blocking, name))).items()
                if isinstance(value, Blocking | Iterating) and value.__doc__
            }
            assert there == wanted


def test_the_blocking_client_calls_and_iterates(apart, blocking):
    """A call returns its result; leaving an iteration early ends the stream."""
    info = admin_service_pb2.GetServerInfoResponse(server_version="1.2.3")
    apart.answer("AdminService.GetServerInfo", info)
    assert blocking.admin.info() == info
    apart.answer(
        "SessionService.PairSession",
        *(session_service_pb2.PairSessionResponse(qr_code={"attempt": n}) for n in (1, 2)),
    )
    apart.hang.add("SessionService.PairSession")
    for step in blocking.sessions.pair("a"):
        if step.qr_code.attempt == 2:
            break
    assert blocking.admin.info() == info


def test_an_iteration_may_outlive_the_client(apart, blocking):
    """As in `roost backups --json | head -1`, whose output nobody reads any more."""
    page = backup_service_pb2.ListBackupsResponse(backups=[{"name": "x"}, {"name": "y"}])
    apart.answer("BackupService.ListBackups", page)
    found = blocking.backups.list("a")
    assert next(found).name == "x"
    blocking.close()
    found.close()


def test_the_blocking_client_raises(apart, blocking):
    """The same errors."""
    apart.answer("SessionService.GetSession", rich(grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND"))
    with pytest.raises(RoostError) as error:
        blocking.sessions.get("a")
    assert error.value.reason == "SESSION_NOT_FOUND"


def test_closing_twice_is_fine():
    """`close` inside the with block does no harm."""
    with Client("127.0.0.1:1") as client:
        client.close()


async def test_every_list_reads_all_pages(script, roost):
    """Backups, locations and operations, as sessions do."""
    lists = {
        "BackupService.ListBackups": (roost.backups.list("a"), "backups"),
        "BackupService.ListStorageLocations": (roost.backups.locations(), "storage_locations"),
        "OperationService.ListOperations": (roost.operations.list(target="t"), "operations"),
    }
    for method, (found, field) in lists.items():
        first, last = empty(method), empty(method)
        getattr(first, field).add(name="one")
        first.next_page_token = "t"
        getattr(last, field).add(name="two")
        script.answer(method, first)
        script.answer(method, last)
        assert [item.name async for item in found] == ["one", "two"]
        assert [request.page_token for request in script.requests(method)] == ["", "t"]
