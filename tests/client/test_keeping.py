"""`roost vault check` and `retention`, `roost backup delete, undelete, pin, unpin`."""

from datetime import UTC, datetime

import pytest
from roost.v1 import backup_service_pb2 as backups_pb
from roost.v1 import operation_service_pb2, vault_pb2, vault_service_pb2
from roost.v1.backup_pb2 import Backup
from roost.v1.operation_pb2 import Operation
from roost_cli import exits

from tests.client.test_cli import lines

BACKUP = "sessions/shop/backups/b1"
LATER = datetime(2026, 11, 30, tzinfo=UTC)


def answer(apart, method, response, **result):
    done = Operation(name="operations/x", done=True, **result)
    apart.answer(f"VaultService.{method}", response(operation=done))
    update = operation_service_pb2.WatchOperationResponse(operation=done)
    apart.answer("OperationService.WatchOperation", update)


def found(*problems):
    return vault_pb2.VaultCheck(
        storage_location="storageLocations/local",
        objects=7,
        bytes=2048,
        problems=problems,
        sessions=[
            vault_pb2.VaultCheck.Session(name="sessions/shop", backups=2, newest_good=BACKUP)
        ],
    )


def test_a_sound_vault(apart, cli):
    """Says so, and that data was not read."""
    answer(apart, "CheckVault", vault_service_pb2.CheckVaultResponse, check=found())
    code, out, _ = cli("vault", "check")
    assert code == 0
    assert "local: 7 objects" in out
    assert "--read-data" in out
    assert "no problem found" in out
    assert ["shop", "2", BACKUP] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_damaged_vault(arguments, apart, cli):
    """Names each object, and the exit code says so too."""
    problem = vault_pb2.VaultProblem(object="packs/shop/p", kind="MISSING", detail="needed")
    answer(apart, "CheckVault", vault_service_pb2.CheckVaultResponse, check=found(problem))
    code, out, _ = cli("vault", "check", "--read-data", "--location", "local", *arguments)
    assert code == exits.UNHEALTHY
    if arguments:
        (shown,) = lines(out)
        assert shown["problems"] == [
            {"object": "packs/shop/p", "kind": "MISSING", "detail": "needed"}
        ]
    else:
        assert ["packs/shop/p", "MISSING", "needed"] in [line.split() for line in out.splitlines()]
    (request,) = [each for name, each in apart.calls if name == "VaultService.CheckVault"]
    assert (request.read_data, request.storage_location) == (True, "storageLocations/local")


@pytest.mark.parametrize("is_applied", [False, True])
def test_retention(is_applied, apart, cli):
    """Every backup with what becomes of it and why; only with --apply anything is done."""
    items = [
        vault_pb2.RetentionPlan.Item(backup=BACKUP, keep=True, reasons=["pinned", "newest"]),
        vault_pb2.RetentionPlan.Item(backup="sessions/shop/backups/b0", reasons=["no rule"]),
    ]
    result = vault_pb2.RetentionResult(
        plan={"items": items}, trashed=1, collected_bytes=2048, notes=["shop: a note"]
    )
    if is_applied:
        response = vault_service_pb2.ApplyRetentionResponse
        answer(apart, "ApplyRetention", response, retention=result)
        code, out, _ = cli("vault", "retention", "shop", "--apply")
    else:
        planned = vault_service_pb2.PlanRetentionResponse(result=result)
        apart.answer("VaultService.PlanRetention", planned)
        code, out, _ = cli("vault", "retention", "shop")
    assert code == 0
    rows = out.splitlines()
    assert rows[1].split() == [BACKUP, "stays", "pinned;", "newest"]
    assert rows[2].split() == ["sessions/shop/backups/b0", "goes", "no", "rule"]
    assert rows[3].startswith("1 moved" if is_applied else "1 would be moved")
    assert rows[4] == "shop: a note"


@pytest.mark.parametrize(
    ("command", "method", "said"),
    [
        ("delete", "DeleteBackup", "in trash until"),
        ("undelete", "UndeleteBackup", BACKUP),
        ("pin", "PinBackup", "is pinned"),
        ("unpin", "PinBackup", "is not pinned any more"),
    ],
)
def test_one_backup(command, method, said, apart, cli):
    """Each command calls its method and says what is so now."""
    backup = Backup(name=BACKUP, purge_time=LATER)
    response = getattr(backups_pb, f"{method}Response")
    apart.answer(f"BackupService.{method}", response(backup=backup))
    code, out, _ = cli("backup", command, BACKUP)
    assert code == 0
    assert said in out
    ((name, request),) = apart.calls
    assert (name, request.name) == (f"BackupService.{method}", BACKUP)
    if method == "PinBackup":
        assert request.pinned is (command == "pin")


def test_deleted_backups_are_listed_when_asked_for(apart, cli):
    """With the time until which they are in trash."""
    backup = Backup(name=BACKUP, purge_time=LATER, pinned=True)
    apart.answer("BackupService.ListBackups", backups_pb.ListBackupsResponse(backups=[backup]))
    code, out, _ = cli("backups", "shop", "--deleted")
    assert code == 0
    assert "pinned; in trash until" in out
    ((_, request),) = apart.calls
    assert request.show_deleted
