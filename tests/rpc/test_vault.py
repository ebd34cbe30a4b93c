"""VaultService over gRPC: keys, on real backups."""

import uuid

import pytest
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
    """Whatever is damaged or missing is told and mended; here nothing is."""
    await api.pair()
    response = await api.vault.RewrapKeys(pb.RewrapKeysRequest(parent=ALL))
    rotation = (await watched(api, response.operation.name))[-1].rotation
    assert (rotation.wraps_present, rotation.wraps_added, list(rotation.unreadable)) == (1, 0, [])
    (wrapped,) = (tmp_path / "data" / "backups" / "keys" / "a").glob("*/*")
    wrapped.write_bytes(wrapped.read_bytes()[:-1])
    response = await api.vault.RewrapKeys(pb.RewrapKeysRequest(parent=NAME))
    rotation = (await watched(api, response.operation.name))[-1].rotation
    term = wrapped.parent.name
    assert (rotation.wraps_present, list(rotation.unreadable)) == (0, [f"a/{term}"])


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
