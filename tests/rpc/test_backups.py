"""BackupService and OperationService over gRPC, on real stores."""

import asyncio
import uuid

import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from roost.v1 import backup_pb2, operation_pb2
from roost.v1 import backup_service_pb2 as pb
from roost.v1 import operation_service_pb2 as operations_pb
from roost.v1 import session_service_pb2 as sessions_pb

from server.core.errors import DomainError
from server.rpc.errors import recorded_status
from tests.rpc import toy
from tests.rpc.conftest import ACCOUNT, failure, fields_of
from tests.rpc.test_errors import EXAMPLES, all_errors

Backup = backup_pb2.Backup
NAME = "sessions/a"


async def back_up(api, **fields):
    """Makes a backup and waits for it."""
    response = await api.backups.CreateBackup(pb.CreateBackupRequest(parent=NAME, **fields))
    done = (await watched(api, response.operation.name))[-1]
    assert done.WhichOneof("result") == "backup", done
    return done.backup


async def watched(api, name):
    """Every state of an operation until it is done."""
    watch = api.operations.WatchOperation(operations_pb.WatchOperationRequest(name=name))
    async with asyncio.timeout(30):
        return [each.operation for each in await toy.rest(watch)]


async def stop(api, session_id="a"):
    name = f"sessions/{session_id}"
    await api.sessions.StopSession(sessions_pb.StopSessionRequest(name=name))
    await api.in_state("STOPPED", session_id)


async def list_backups(api, parent=NAME, **fields):
    request = pb.ListBackupsRequest(parent=parent, **fields)
    return await api.backups.ListBackups(request)


async def test_pairing_leaves_a_backup(api):
    """Before the pairing's stream says completed."""
    await api.pair()
    (first,) = (await list_backups(api)).backups
    assert first.kind == Backup.KIND_PAIRED
    assert first.state == Backup.STATE_ACTIVE
    assert first.storage_location == "storageLocations/local"
    assert first.size_bytes > 0
    assert len(first.sha256) == 64
    assert first.verify_time.seconds >= first.create_time.seconds > 0
    assert first.verify_level == backup_pb2.VERIFY_LEVEL_IDENTITY
    assert (first.sequence, first.parent, first.pinned) == (1, "", False)
    assert first.new_bytes == first.size_bytes
    got = await api.backups.GetBackup(pb.GetBackupRequest(name=first.name))
    assert got.backup == first


async def test_a_backup_is_an_operation_that_can_be_watched(api):
    """From its start, through its phases, to its result."""
    await api.pair()
    response = await api.backups.CreateBackup(pb.CreateBackupRequest(parent=NAME))
    states = await watched(api, response.operation.name)
    assert not states[0].done
    assert all(not each.done for each in states[:-1])
    done = states[-1]
    assert done.done
    assert done.target == done.backup.name
    assert done.backup.kind == Backup.KIND_HOT
    assert done.end_time.seconds >= done.create_time.seconds > 0
    got = await api.operations.GetOperation(operations_pb.GetOperationRequest(name=done.name))
    assert got.operation == done
    assert await watched(api, done.name) == [done]


async def test_a_repeated_request_is_the_same_backup(api):
    """One operation, however often it is asked for."""
    await api.pair()
    asked = pb.CreateBackupRequest(parent=NAME, request_id=str(uuid.uuid4()))
    names = {(await api.backups.CreateBackup(asked)).operation.name for _ in range(3)}
    assert len(names) == 1
    await watched(api, names.pop())
    assert len((await list_backups(api)).backups) == 2


async def test_backups_are_listed_newest_first_in_pages(api):
    """Of one session or of all."""
    await api.pair("a")
    await api.pair("b")
    for _ in range(2):
        await back_up(api)
    first = await list_backups(api, page_size=2)
    second = await list_backups(api, page_size=2, page_token=first.next_page_token)
    names = [each.name for each in (*first.backups, *second.backups)]
    assert names == sorted(names, reverse=True)
    assert len(names) == 3
    assert not second.next_page_token
    every = (await list_backups(api, parent="sessions/-")).backups
    assert {each.name.split("/")[1] for each in every} == {"a", "b"}
    mismatch = list_backups(api, parent="sessions/b", page_token=first.next_page_token)
    with pytest.raises(Exception, match="other filters"):
        await mismatch


async def test_a_restore_can_be_planned_and_carried_out(api):
    """The plan says how and why; the store that was there goes to trash."""
    await api.pair()
    backup = await back_up(api)
    await stop(api)
    plan = await api.backups.RestoreBackup(pb.RestoreBackupRequest(name=backup.name, dry_run=True))
    assert not plan.HasField("operation")
    assert plan.plan.mode == backup_pb2.RESTORE_MODE_REKEY
    assert plan.plan.reasons
    assert plan.plan.losses
    assert plan.plan.replaces_credentials
    refused = api.backups.RestoreBackup(pb.RestoreBackupRequest(name=backup.name))
    await failure(refused, "CREDENTIALS_EXIST")
    exact = pb.RestoreBackupRequest(
        name=backup.name, force=True, mode=backup_pb2.RESTORE_MODE_EXACT
    )
    await failure(api.backups.RestoreBackup(exact), "EXACT_RESTORE_UNSAFE")
    started = await api.backups.RestoreBackup(
        pb.RestoreBackupRequest(name=backup.name, force=True, request_id=str(uuid.uuid4()))
    )
    done = (await watched(api, started.operation.name))[-1]
    assert done.WhichOneof("result") == "restore", done
    assert done.restore.plan.mode == backup_pb2.RESTORE_MODE_REKEY
    assert done.restore.trash.startswith("trash/")
    await api.sessions.StartSession(sessions_pb.StartSessionRequest(name=NAME))
    assert (await api.in_state("ACTIVE")).account.jid == ACCOUNT.jid


async def verified(api, name, level=backup_pb2.VERIFY_LEVEL_UNSPECIFIED):
    """What a check finds."""
    request = pb.VerifyBackupRequest(name=name, level=level)
    operation = (await api.backups.VerifyBackup(request)).operation
    done = (await watched(api, operation.name))[-1]
    assert done.WhichOneof("result") == "verify", done
    return done.verify


async def test_a_backup_is_verified_up_to_a_level(api, tmp_path):
    """Each level by itself; damage is named, and stops the check."""
    await api.pair()
    backup = await back_up(api)
    found = await verified(api, f"{NAME}/backups/-")
    assert found.backup.name == backup.name
    assert [step.level for step in found.steps] == [1, 2, 3, 4, 5]
    assert all(step.passed and not step.problem for step in found.steps)
    some = await verified(api, backup.name, backup_pb2.VERIFY_LEVEL_PACKS)
    assert len(some.steps) == 2
    for pack in (tmp_path / "data" / "backups" / "packs").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(pack.read_bytes()[:-1])
    broken = await verified(api, backup.name)
    assert [step.passed for step in broken.steps] == [True, False]
    assert "packs/a/" in broken.steps[-1].problem
    assert broken.backup.state == Backup.STATE_SUSPECT


async def test_the_newest_good_backup_needs_no_name(api):
    """The newest of all, or before a moment; nothing before that is not found."""
    await api.pair()
    first = (await list_backups(api)).backups[0]
    second = await back_up(api)
    await stop(api)  # after which another backup is made, in a while
    asked = pb.RestoreBackupRequest(name=f"{NAME}/backups/-", dry_run=True)
    found = (await api.backups.RestoreBackup(asked)).plan.backup
    assert found in {second.name, (await list_backups(api)).backups[0].name}
    asked.before_time.CopyFrom(second.create_time)
    assert (await api.backups.RestoreBackup(asked)).plan.backup == first.name
    asked.before_time.CopyFrom(first.create_time)
    await failure(api.backups.RestoreBackup(asked), "BACKUP_NOT_FOUND")


async def test_a_restore_into_another_session(api):
    """Made on the way if this server does not know it."""
    await api.pair()
    backup = await back_up(api)
    await stop(api)
    started = await api.backups.RestoreBackup(
        pb.RestoreBackupRequest(name=backup.name, target_session="sessions/copy")
    )
    assert started.plan.target_session == "sessions/copy"
    assert (await watched(api, started.operation.name))[-1].HasField("restore")
    assert (await api.get("copy")).account.jid == ACCOUNT.jid


async def test_a_running_session_is_not_restored_into(api):
    """Its keys would fork."""
    await api.pair()
    backup = await back_up(api)
    call = api.backups.RestoreBackup(pb.RestoreBackupRequest(name=backup.name, force=True))
    await failure(call, "SESSION_WRONG_STATE")


async def test_a_damaged_backup_is_data_loss(api, tmp_path):
    """And no restore begins."""
    await api.pair()
    backup = await back_up(api)
    await stop(api)
    backup_id = backup.name.rpartition("/")[2]
    (manifest,) = (tmp_path / "data" / "backups").rglob(f"snapshots/*/{backup_id}*")
    manifest.chmod(0o600)
    manifest.write_bytes(manifest.read_bytes()[:-1] + b"x")
    for call in (
        api.backups.GetBackup(pb.GetBackupRequest(name=backup.name)),
        api.backups.RestoreBackup(pb.RestoreBackupRequest(name=backup.name, force=True)),
    ):
        await failure(call, "BACKUP_CORRUPT")


async def test_a_backup_of_another_key_is_told_apart(new_api, tmp_path):
    """It is not damaged; the key is missing."""
    async with new_api() as first:
        await first.pair()
        backup = await back_up(first)
    (tmp_path / "data" / "backup.key").unlink()
    async with new_api() as second:
        call = second.backups.GetBackup(pb.GetBackupRequest(name=backup.name))
        await failure(call, "BACKUP_KEY_MISSING")


async def test_what_does_not_exist_is_not_found(api):
    """Each kind with its own reason."""
    await api.pair()
    nothing = f"{NAME}/backups/none"
    unknown = pb.CreateBackupRequest(parent=NAME, storage_location="storageLocations/none")
    for call, reason in [
        (api.backups.GetBackup(pb.GetBackupRequest(name=nothing)), "BACKUP_NOT_FOUND"),
        (api.backups.RestoreBackup(pb.RestoreBackupRequest(name=nothing)), "BACKUP_NOT_FOUND"),
        (api.backups.CreateBackup(unknown), "STORAGE_LOCATION_NOT_FOUND"),
        (
            api.backups.CreateBackup(pb.CreateBackupRequest(parent="sessions/none")),
            "SESSION_NOT_FOUND",
        ),
    ]:
        await failure(call, reason)
    await api.create("new")
    call = api.backups.CreateBackup(pb.CreateBackupRequest(parent="sessions/new"))
    await failure(call, "SESSION_NOT_PAIRED")


async def test_bad_fields_are_named(api):
    """By every method."""
    for call, fields in [
        (
            api.backups.CreateBackup(
                pb.CreateBackupRequest(parent="a", storage_location="b", request_id="c")
            ),
            ["parent", "storage_location", "request_id"],
        ),
        (api.backups.GetBackup(pb.GetBackupRequest(name=NAME)), ["name"]),
        (api.backups.ListBackups(pb.ListBackupsRequest()), ["parent"]),
        (
            api.backups.ListBackups(pb.ListBackupsRequest(parent=NAME, page_token="x")),
            ["page_token"],
        ),
        (
            api.backups.RestoreBackup(
                pb.RestoreBackupRequest(name="x", target_session="y", mode=77, request_id="z")
            ),
            ["name", "target_session", "mode", "request_id"],
        ),
        (
            api.backups.RestoreBackup(
                pb.RestoreBackupRequest(name=f"{NAME}/backups/b", before_time={"seconds": 1})
            ),
            ["before_time"],
        ),
        (
            api.backups.RestoreBackup(
                pb.RestoreBackupRequest(name="x/backups/-", before_time={"seconds": 1 << 60})
            ),
            ["name", "before_time"],
        ),
        (
            api.backups.VerifyBackup(pb.VerifyBackupRequest(name="x", level=77)),
            ["name", "level"],
        ),
        (
            api.backups.ListStorageLocations(pb.ListStorageLocationsRequest(page_size=-1)),
            ["page_size"],
        ),
        (api.operations.GetOperation(operations_pb.GetOperationRequest(name="x")), ["name"]),
        (api.operations.CancelOperation(operations_pb.CancelOperationRequest(name="x")), ["name"]),
        (api.operations.WatchOperation(operations_pb.WatchOperationRequest(name="x")), ["name"]),
        (
            api.operations.ListOperations(operations_pb.ListOperationsRequest(page_token="x")),
            ["page_token"],
        ),
    ]:
        assert fields_of(await failure(call, "FIELD_INVALID")) == fields


async def test_storage_locations_are_listed_in_pages(new_api):
    """The primary first; no URL and no secret is shown."""
    urls = {"b": "memory://planted", "a": "memory://y"}
    async with new_api(backup={"locations": urls}) as api:
        request = pb.ListStorageLocationsRequest(page_size=1)
        first = await api.backups.ListStorageLocations(request)
        request.page_token = first.next_page_token
        second = await api.backups.ListStorageLocations(request)
    found = [*first.storage_locations, *second.storage_locations]
    assert [(each.name, each.scheme, each.primary) for each in found] == [
        ("storageLocations/b", "memory", True),
        ("storageLocations/a", "memory", False),
    ]
    assert not second.next_page_token
    assert "planted" not in str(found)


async def test_operations_are_listed_newest_first(api):
    """All, or those on one resource."""
    await api.pair()
    names = []
    for _ in range(3):
        response = await api.backups.CreateBackup(pb.CreateBackupRequest(parent=NAME))
        names.append(response.operation.name)
        await watched(api, names[-1])
    request = operations_pb.ListOperationsRequest(page_size=2)
    first = await api.operations.ListOperations(request)
    request.page_token = first.next_page_token
    second = await api.operations.ListOperations(request)
    found = [*first.operations, *second.operations]
    assert [each.name for each in found] == names[::-1]
    only = operations_pb.ListOperationsRequest(target=found[0].target)
    assert [each.name for each in (await api.operations.ListOperations(only)).operations] == [
        names[-1]
    ]


async def test_an_operation_that_does_not_exist_is_not_found(api):
    """By every method, the stream included."""
    name = "operations/none"
    for call in (
        api.operations.GetOperation(operations_pb.GetOperationRequest(name=name)),
        api.operations.WatchOperation(operations_pb.WatchOperationRequest(name=name)),
        api.operations.CancelOperation(operations_pb.CancelOperationRequest(name=name)),
    ):
        await failure(call, "OPERATION_NOT_FOUND")


async def test_a_cancelled_operation_says_so(api):
    """It ends as an error, and cancelling it again changes nothing."""
    await api.pair()
    response = await api.backups.CreateBackup(pb.CreateBackupRequest(parent=NAME))
    cancel = operations_pb.CancelOperationRequest(name=response.operation.name)
    await api.operations.CancelOperation(cancel)
    done = (await watched(api, response.operation.name))[-1]
    assert done.WhichOneof("result") == "error", done
    assert toy.reason_of(done.error) == "OPERATION_CANCELLED"
    await api.operations.CancelOperation(cancel)


async def test_two_operations_on_one_session_do_not_meet(api):
    """The second is told which one runs."""
    await api.pair()
    first = await api.backups.CreateBackup(pb.CreateBackupRequest(parent=NAME))
    status = await failure(
        api.backups.CreateBackup(pb.CreateBackupRequest(parent=NAME)), "OPERATION_IN_PROGRESS"
    )
    (info,) = toy.unpacked(status, ErrorInfo)
    assert info.metadata["operation"] == first.operation.name
    await watched(api, first.operation.name)


async def test_a_watcher_hears_that_the_server_stops(new_api):
    """The operation ends as interrupted, on the wire and in the records."""
    async with asyncio.TaskGroup() as group, new_api() as api:
        await api.pair()
        response = await api.backups.CreateBackup(pb.CreateBackupRequest(parent=NAME))
        name = response.operation.name
        watch = api.operations.WatchOperation(operations_pb.WatchOperationRequest(name=name))
        await watch.read()
        told = group.create_task(toy.rest(watch))
    done = told.result()[-1].operation
    assert done.done
    async with new_api() as second:
        got = await second.operations.GetOperation(operations_pb.GetOperationRequest(name=name))
    assert got.operation.done
    assert got.operation.WhichOneof("result") == done.WhichOneof("result")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_failed_operation_carries_its_reason(example):
    """As the call itself would, from what was stored."""
    status = recorded_status(example.reason, example.message, example.metadata())
    assert toy.reason_of(status) == example.reason
    assert status.code > 0
    assert operation_pb2.Operation(error=status).error.message == example.message


def test_every_reason_belongs_to_one_error():
    """So that a stored reason finds its code again."""
    reasons = [kind.reason for kind in all_errors(DomainError)]
    assert len(reasons) == len(set(reasons))
    assert recorded_status("INTERNAL", "internal error", {}).code == 13
