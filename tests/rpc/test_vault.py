"""VaultService over gRPC: keys, on real backups."""

import uuid

import pytest
from roost.v1 import backup_pb2, vault_pb2
from roost.v1 import backup_service_pb2 as backups_pb
from roost.v1 import vault_service_pb2 as pb

from server.vault.masterkeys.file import FileKey
from tests.rpc.conftest import failure, fields_of
from tests.rpc.test_backups import NAME, back_up, watched

ALL = "sessions/-"


async def rotated(api, parent=ALL, **fields):
    response = await api.vault.RotateKeys(pb.RotateKeysRequest(parent=parent, **fields))
    return (await watched(api, response.operation.name))[-1]


async def master_keys(api):
    return await api.vault.ListMasterKeys(pb.ListMasterKeysRequest())


async def stats(api, **fields):
    return (await api.vault.GetVaultStats(pb.GetVaultStatsRequest(**fields))).stats


async def test_a_vault_in_figures(api):
    """What is there, who can open it, and what each session has."""
    await api.pair("a")
    await api.pair("b")
    backup = await back_up(api)
    found = await stats(api)
    assert found == await stats(api, storage_location="storageLocations/local")
    assert found.storage_location == "storageLocations/local"
    assert len(found.repository_id) == 32
    assert (found.format_version, found.objects > 4) == (2, True)
    assert found.logical_bytes > found.stored_bytes > 0
    (key,) = found.master_keys
    assert (key.kind, key.wraps, len(key.id)) == ("file", 2, 16)
    a, b = found.sessions
    assert (a.name, a.backups, a.trashed, a.terms) == (NAME, 2, 0, 1)
    assert (a.newest, a.newest_good) == (backup.name, backup.name)
    assert a.newest_time == a.newest_good_time == backup.create_time
    assert (b.name, b.backups) == ("sessions/b", 1)
    assert a.stored_bytes + b.stored_bytes < found.stored_bytes


async def test_rotation(api):
    """Of one session or of all; the old backup stays readable, the next one is a full one."""
    await api.pair()
    first = await back_up(api)
    assert (await rotated(api, NAME)).rotation.rotated == 1
    assert (await back_up(api)).new_bytes > first.new_bytes
    done = await rotated(api)
    assert (done.target, done.rotation.rotated) == (ALL, 1)
    found = await master_keys(api)
    assert found.data_keys == 3
    (key,) = found.master_keys
    assert (key.kind, key.wraps) == ("file", 3)


async def test_rotation_is_repeated_safely(api):
    """The same request id is the same operation."""
    await api.pair()
    request = pb.RotateKeysRequest(parent=NAME, request_id=str(uuid.uuid4()))
    names = {(await api.vault.RotateKeys(request)).operation.name for _ in range(3)}
    assert len(names) == 1
    await watched(api, names.pop())
    assert (await master_keys(api)).data_keys == 2


async def test_rewrapping(api, tmp_path):
    """What is damaged is told and mended, here from memory; then nothing is any more."""
    await api.pair()
    response = await api.vault.RewrapKeys(pb.RewrapKeysRequest(parent=ALL))
    rotation = (await watched(api, response.operation.name))[-1].rotation
    assert (rotation.wraps_present, rotation.wraps_added, list(rotation.unreadable)) == (1, 0, [])
    (wrapped,) = (tmp_path / "data" / "backups" / "keys" / "a").glob("*/*")
    wrapped.write_bytes(wrapped.read_bytes()[:-1])
    response = await api.vault.RewrapKeys(pb.RewrapKeysRequest(parent=NAME))
    rotation = (await watched(api, response.operation.name))[-1].rotation
    assert (rotation.wraps_present, rotation.wraps_repaired) == (0, 1)
    response = await api.vault.RewrapKeys(pb.RewrapKeysRequest(parent=NAME))
    rotation = (await watched(api, response.operation.name))[-1].rotation
    assert (rotation.wraps_present, rotation.wraps_repaired) == (1, 0)


async def test_retiring(api):
    """A configured master key is refused; one that is not there has nothing to remove."""
    await api.pair()
    (key,) = (await master_keys(api)).master_keys
    response = await api.vault.RetireMasterKey(pb.RetireMasterKeyRequest(master_key=key.id))
    done = (await watched(api, response.operation.name))[-1]
    assert done.WhichOneof("result") == "error"
    other = pb.RetireMasterKeyRequest(master_key=FileKey.generate().id)
    response = await api.vault.RetireMasterKey(other)
    done = (await watched(api, response.operation.name))[-1]
    assert done.WhichOneof("result") == "rotation"
    assert done.rotation.wraps_removed == 0


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("RotateKeys", pb.RotateKeysRequest(parent="x"), "parent"),
        ("RotateKeys", pb.RotateKeysRequest(parent=ALL, request_id="x"), "request_id"),
        ("RewrapKeys", pb.RewrapKeysRequest(), "parent"),
        ("RetireMasterKey", pb.RetireMasterKeyRequest(master_key="XYZ"), "master_key"),
        ("ListMasterKeys", pb.ListMasterKeysRequest(storage_location="x"), "storage_location"),
        ("GetVaultStats", pb.GetVaultStatsRequest(storage_location="x"), "storage_location"),
    ],
)
async def test_bad_fields(api, method, request_, field):
    """Each is named."""
    assert fields_of(await failure(getattr(api.vault, method)(request_), "FIELD_INVALID")) == [
        field
    ]


async def test_unknown_names(api):
    """NOT_FOUND, not an empty answer."""
    nobody = pb.RotateKeysRequest(parent="sessions/nobody")
    await failure(api.vault.RotateKeys(nobody), "SESSION_NOT_FOUND")
    nowhere = pb.ListMasterKeysRequest(storage_location="storageLocations/nowhere")
    await failure(api.vault.ListMasterKeys(nowhere), "STORAGE_LOCATION_NOT_FOUND")
    nowhere = pb.GetVaultStatsRequest(storage_location="storageLocations/nowhere")
    await failure(api.vault.GetVaultStats(nowhere), "STORAGE_LOCATION_NOT_FOUND")


async def checked(api, **fields):
    response = await api.vault.CheckVault(pb.CheckVaultRequest(**fields))
    return (await watched(api, response.operation.name))[-1].check


async def test_a_check_names_what_is_wrong(api, tmp_path):
    """Each object with what is wrong with it; what can be restored is told all the same."""
    await api.pair()
    first, second = await back_up(api), await back_up(api)
    found = await checked(api, read_data=True)
    assert (found.storage_location, found.read_data) == ("storageLocations/local", True)
    assert list(found.problems) == []
    assert (found.objects > 5, found.bytes > second.size_bytes) == (True, True)
    (session,) = found.sessions
    assert (session.name, session.backups, session.newest_good) == (NAME, 3, second.name)
    manifest = tmp_path / "data" / "backups" / "snapshots" / "a" / second.name.split("/")[-1]
    data = bytearray(manifest.read_bytes())
    data[len(data) // 2] ^= 1
    manifest.write_bytes(data)
    found = await checked(api, storage_location="storageLocations/local")
    (problem,) = found.problems
    assert problem.object == f"snapshots/a/{manifest.name}"
    assert (problem.kind, bool(problem.detail)) == ("DAMAGED", True)
    assert found.sessions[0].newest_good == first.name
    manifest.unlink()
    (problem,) = (await checked(api)).problems
    assert problem.kind == "MISSING"


async def test_deleted_backups_can_be_listed_and_brought_back(api):
    """They are in trash until their purge time."""
    await api.pair()
    backup = await back_up(api)
    gone = (await api.backups.DeleteBackup(backups_pb.DeleteBackupRequest(name=backup.name))).backup
    assert gone.delete_time.ToDatetime() < gone.purge_time.ToDatetime()

    async def listed(**fields):
        request = backups_pb.ListBackupsRequest(parent=ALL, **fields)
        return (await api.backups.ListBackups(request)).backups

    live = [each.name for each in await listed()]
    assert (len(live), backup.name in live) == (1, False)
    everything = await listed(show_deleted=True)
    assert [each.name for each in everything] == [backup.name, *live]
    assert everything[0] == gone
    assert [each.name for each in await listed(show_deleted=True, page_size=1)] == [backup.name]
    request = backups_pb.UndeleteBackupRequest(name=backup.name)
    back = (await api.backups.UndeleteBackup(request)).backup
    assert not back.HasField("purge_time")
    assert [each.name for each in await listed()] == [backup.name, *live]


async def test_retention_is_planned_and_applied(api):
    """The plan has a reason for each; a pin counts."""
    await api.pair()
    for _ in range(2):
        await back_up(api)
    request = backups_pb.GetBackupPolicyRequest(parent=NAME)
    policy = (await api.backups.GetBackupPolicy(request)).policy
    policy.parent = NAME
    policy.retention.CopyFrom(vault_pb2.BackupPolicy.Retention(keep_last=1))
    await api.backups.SetBackupPolicy(backups_pb.SetBackupPolicyRequest(policy=policy))
    planned = (await api.vault.PlanRetention(pb.PlanRetentionRequest(parent=NAME))).result
    newest, *older = planned.plan.items
    assert (newest.keep, planned.trashed) == (True, len(older))
    assert "one of the last 1" in newest.reasons
    assert {(item.keep, *item.reasons) for item in older} == {(False, "no rule keeps it")}
    pin = backups_pb.PinBackupRequest(name=older[0].backup, pinned=True)
    assert (await api.backups.PinBackup(pin)).backup.pinned
    response = await api.vault.ApplyRetention(pb.ApplyRetentionRequest(parent=ALL))
    done = (await watched(api, response.operation.name))[-1].retention
    kept = [item.backup for item in done.plan.items if item.keep]
    assert kept == [newest.backup, older[0].backup]
    assert (done.trashed, done.purged, list(done.notes)) == (len(older) - 1, 0, [])


async def test_recovery(api):
    """Of sessions that are here nothing is done, and that is told."""
    await api.pair("a")
    await api.pair("b")
    backup = await back_up(api)
    started = await api.vault.RecoverSessions(pb.RecoverSessionsRequest(dry_run=True))
    result = (await watched(api, started.operation.name))[-1].recover
    assert (result.storage_location, result.dry_run) == ("storageLocations/local", True)
    outcome = backup_pb2.RecoverResult.Session.Outcome
    assert [each.outcome for each in result.sessions] == [outcome.OUTCOME_PRESENT] * 2
    assert {each.reason for each in result.sessions} == {"CREDENTIALS_EXIST"}
    assert [each.name for each in result.sessions] == [NAME, "sessions/b"]
    assert backup.name.startswith(NAME)


async def test_a_recovery_is_repeated_safely(api):
    """The same request id is the same operation."""
    request = pb.RecoverSessionsRequest(request_id=str(uuid.uuid4()))
    names = {(await api.vault.RecoverSessions(request)).operation.name for _ in range(3)}
    assert len(names) == 1
    assert not (await watched(api, names.pop()))[-1].recover.sessions


async def test_a_recovery_of_nothing_known_is_refused(api):
    """Bad names, and locations that are not configured."""
    bad = api.vault.RecoverSessions(pb.RecoverSessionsRequest(storage_location="x"))
    assert fields_of(await failure(bad, "FIELD_INVALID")) == ["storage_location"]
    nowhere = pb.RecoverSessionsRequest(storage_location="storageLocations/elsewhere")
    await failure(api.vault.RecoverSessions(nowhere), "STORAGE_LOCATION_NOT_FOUND")
