"""Backup policies over gRPC."""

from datetime import timedelta

from roost.v1 import backup_service_pb2 as pb
from roost.v1 import vault_pb2

from tests.rpc.conftest import failure, fields_of

NAME = "sessions/a"
ALL = "sessions/-"
MINE = vault_pb2.BackupPolicy(
    parent=NAME,
    every={"seconds": 3600},
    debounce={"seconds": 5},
    max_delay={"seconds": 60},
    retention={"keep_within": {"seconds": 7200}, "keep_last": 3, "monthly": 2},
)


async def get(api, parent=NAME):
    request = pb.GetBackupPolicyRequest(parent=parent)
    return (await api.backups.GetBackupPolicy(request)).policy


def setting(api, policy, **fields):
    return api.backups.SetBackupPolicy(pb.SetBackupPolicyRequest(policy=policy, **fields))


async def test_a_session_follows_its_own_policy_else_the_one_for_all(new_api):
    """Both outlive the server; a reset brings back what is inherited."""
    async with new_api() as api:
        await api.create()
        default = await get(api)
        assert default.inherited
        assert default.every.ToTimedelta() == timedelta(hours=6)
        assert default.retention.keep_last == 10
        assert (await setting(api, MINE)).policy == MINE
        for_all = vault_pb2.BackupPolicy()
        for_all.CopyFrom(MINE)
        for_all.parent = ALL
        for_all.retention.keep_last = 77
        assert (await setting(api, for_all)).policy == for_all
    async with new_api() as api:
        assert await get(api) == MINE
        assert await get(api, ALL) == for_all
        only = vault_pb2.BackupPolicy(parent=NAME)
        now = (await setting(api, only, reset=True)).policy
        assert (now.retention.keep_last, now.inherited) == (77, True)


async def test_zero_switches_schedule_and_changes_off(api):
    """But never the latest delay."""
    await api.create()
    off = vault_pb2.BackupPolicy(parent=NAME, max_delay={"seconds": 1}, retention={"keep_last": 1})
    shown = (await setting(api, off)).policy
    assert shown.every.ToTimedelta() == shown.debounce.ToTimedelta() == timedelta()


async def test_bad_fields_are_named(api):
    """All at once; an empty retention among them."""
    bad = vault_pb2.BackupPolicy(
        parent="x",
        every={"nanos": 1000},
        debounce={"seconds": -1},
        retention={"keep_within": {"seconds": -1}, "hourly": -1, "weekly": -2},
    )
    empty = vault_pb2.BackupPolicy(parent=NAME, max_delay={"seconds": 1})
    for call, fields in [
        (
            setting(api, bad),
            [
                "policy.parent",
                "policy.every",
                "policy.debounce",
                "policy.max_delay",
                "policy.retention.keep_within",
                "policy.retention.hourly",
                "policy.retention.weekly",
            ],
        ),
        (setting(api, empty), ["policy.retention"]),
        (
            api.backups.GetBackupPolicy(pb.GetBackupPolicyRequest(parent="x")),
            ["parent"],
        ),
    ]:
        assert fields_of(await failure(call, "FIELD_INVALID")) == fields


async def test_a_session_must_exist_to_have_a_policy(api):
    """NOT_FOUND, not a policy for nobody."""
    request = pb.GetBackupPolicyRequest(parent=NAME)
    await failure(api.backups.GetBackupPolicy(request), "SESSION_NOT_FOUND")
    await failure(setting(api, MINE), "SESSION_NOT_FOUND")
