"""Backups, the vault and the trash on the command line."""

import io
import json
import stat
from datetime import timedelta

import grpc
import pytest
from roost.v1 import backup_service_pb2 as pb
from roost.v1 import maintenance_service_pb2, operation_service_pb2, vault_pb2, vault_service_pb2
from roost.v1.backup_pb2 import (
    VERIFY_LEVEL_ENGINE,
    Backup,
    ImportResult,
    RecoverResult,
    RestorePlan,
)
from roost.v1.operation_pb2 import Operation
from roost.v1.trash_pb2 import TrashItem, TrashRestoreResult
from roost_cli import exits
from roost_cli.durations import TIME, written

from tests.support.scripted import rich

BACKUP = "sessions/shop/backups/b1"
WATCH = "OperationService.WatchOperation"
GOOD = Backup(name=BACKUP, state=Backup.STATE_ACTIVE, kind=Backup.KIND_HOT, size_bytes=2048)
ITEM = TrashItem(name="trash/x-shop-restore", session="sessions/shop", reason="restore")


def ends(apart, **result):
    """What a started operation comes to."""
    done = Operation(name="operations/o", done=True, **result)
    apart.answer(WATCH, operation_service_pb2.WatchOperationResponse(operation=done))
    return Operation(name="operations/o")


@pytest.mark.parametrize("words", [("backup", "shop"), ("backup", "create", "shop")])
def test_backup_without_a_command_makes_one(words, apart, cli):
    """As it did before there were others."""
    started = ends(apart, backup=GOOD)
    apart.answer("BackupService.CreateBackup", pb.CreateBackupResponse(operation=started))
    code, out, _ = cli(*words)
    assert (code, out) == (exits.OK, f"{BACKUP}  2 KiB\n")
    assert apart.requests("BackupService.CreateBackup")[0].parent == "sessions/shop"


def test_a_session_stands_for_its_newest_good_backup(apart, cli):
    """Those that do not count are passed over."""
    suspect = Backup(name="sessions/shop/backups/b2", state=Backup.STATE_SUSPECT)
    apart.answer("BackupService.ListBackups", pb.ListBackupsResponse(backups=[suspect, GOOD]))
    apart.answer("BackupService.GetBackup", pb.GetBackupResponse(backup=GOOD))
    code, out, _ = cli("backup", "show", "shop")
    assert code == exits.OK
    assert BACKUP in out
    assert apart.requests("BackupService.GetBackup")[0].name == BACKUP


def test_a_backup_is_exported_with_a_passphrase_from_a_file(apart, cli, tmp_path):
    """To a private file that is not there yet."""
    header = pb.ExportBackupResponse(header={"backup": GOOD})
    apart.answer("BackupService.ExportBackup", header, pb.ExportBackupResponse(chunk=b"x" * 2048))
    words, target = tmp_path / "words", tmp_path / "shop.roost"
    words.write_text("some words\nand more\n")
    line = ("backup", "export", BACKUP, str(target), "--passphrase-file", str(words))
    code, out, _ = cli(*line)
    assert (code, out) == (exits.OK, f"{target}  2 KiB\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert apart.requests("BackupService.ExportBackup")[0].passphrase == "some words"
    code, _, error = cli(*line)
    assert code == exits.FAILED
    assert "exists" in error


def test_a_passphrase_is_never_asked_of_a_program(apart, cli, tmp_path):
    """It gets one from the variable."""
    code, _, error = cli("backup", "export", BACKUP, str(tmp_path / "x"), "--json")
    assert code == exits.USAGE
    assert "ROOST_PASSPHRASE" in error
    assert not apart.calls


def test_an_exported_file_is_imported(apart, cli, tmp_path, monkeypatch):
    """And says what comes next."""
    monkeypatch.setenv("ROOST_PASSPHRASE", "some words")
    source = tmp_path / "shop.roost"
    source.write_bytes(b"x")
    apart.answer("BackupService.ImportBackup", pb.ImportBackupResponse(backup=GOOD))
    code, out, _ = cli("backup", "import", str(source), "shop")
    assert code == exits.OK
    assert f"roost restore {BACKUP}" in out
    header, *_ = apart.uploads["BackupService.ImportBackup"]
    assert (header.header.parent, header.header.passphrase) == ("sessions/shop", "some words")


def test_a_wrong_passphrase_is_a_wrong_command_line(apart, cli, tmp_path, monkeypatch):
    """The file may be good."""
    monkeypatch.setenv("ROOST_PASSPHRASE", "some words")
    source = tmp_path / "shop.roost"
    source.write_bytes(b"x")
    apart.answer(
        "BackupService.ImportBackup", rich(grpc.StatusCode.INVALID_ARGUMENT, "PASSPHRASE_WRONG")
    )
    code, _, error = cli("backup", "import", str(source), "shop")
    assert code == exits.USAGE
    assert "PASSPHRASE_WRONG" in error


def test_other_programs_credentials_are_taken_over(apart, cli, tmp_path):
    """With what was taken, what was left, and how to go on."""
    (tmp_path / "auth").mkdir()
    (tmp_path / "auth" / "creds.json").write_text("{}")
    result = ImportResult(
        session="sessions/shop",
        backup=GOOD,
        mode="RESTORE_MODE_REKEY",
        reasons=["the files were copied live"],
        counts={"sessions": 7},
        warnings=["2 sessions"],
        trash="trash/y",
    )
    started = ends(apart, imported=result)
    method = "BackupService.ImportCredentials"
    apart.answer(method, pb.ImportCredentialsResponse(operation=started))
    code, out, _ = cli(
        "sessions", "import", str(tmp_path / "auth"), "shop", "--force", "--label", "a=b"
    )
    assert code == exits.OK
    for said in ("REKEY", "copied live", "7 sessions", "2 sessions", BACKUP, "trash/y"):
        assert said in out
    assert out.splitlines()[-1] == "connect it with: roost sessions start shop"
    header, file = apart.uploads[method]
    assert (header.header.force, dict(header.header.labels)) == (True, {"a": "b"})
    assert file.file.name == "creds.json"


@pytest.mark.parametrize("command", [("sessions", "import"), ("backup", "import")])
def test_a_source_that_is_not_there_is_usage(command, apart, cli, tmp_path):
    """Before anything is asked."""
    assert cli(*command, str(tmp_path / "none"), "shop")[0] == exits.USAGE
    assert not apart.calls


def test_the_vault_in_figures(apart, cli):
    """A session without a good backup stands out."""
    found = vault_pb2.VaultStats(
        storage_location="storageLocations/local",
        objects=9,
        stored_bytes=2048,
        logical_bytes=8192,
        master_keys=[{"id": "a" * 16, "kind": "file", "wraps": 2}],
        sessions=[{"name": "sessions/shop", "backups": 3, "stored_bytes": 2048}],
    )
    apart.answer("VaultService.GetVaultStats", vault_service_pb2.GetVaultStatsResponse(stats=found))
    code, out, _ = cli("vault", "stats")
    assert code == exits.OK
    assert "local: 2 KiB in 9 objects (4.0 times as much in backups)" in out
    assert "opens 2 data keys" in out
    assert "NONE" in out
    _, out, _ = cli("vault", "stats", "--json")
    assert json.loads(out)["sessions"][0]["name"] == "sessions/shop"


@pytest.fixture
def policy(apart):
    """What the server says, whatever is set."""
    found = vault_pb2.BackupPolicy(
        parent="sessions/shop",
        every={"seconds": 21600},
        debounce={"seconds": 30},
        max_delay={"seconds": 300},
        retention={"keep_within": {"seconds": 86400}, "keep_last": 10, "daily": 30},
        inherited=True,
    )
    apart.answer("BackupService.GetBackupPolicy", pb.GetBackupPolicyResponse(policy=found))
    apart.answer("BackupService.SetBackupPolicy", pb.SetBackupPolicyResponse(policy=found))
    return found


@pytest.mark.usefixtures("policy")
def test_a_policy_is_shown_in_words(apart, cli):
    """And nothing is set."""
    code, out, _ = cli("vault", "policy", "shop")
    assert code == exits.OK
    for said in ("shop (inherited)", "6h", "after 30s, at most 5m", "1d", "10 newest, 30 days"):
        assert said in out
    assert not apart.requests("BackupService.SetBackupPolicy")


@pytest.mark.usefixtures("policy")
def test_a_change_of_a_policy_leaves_the_rest(apart, cli):
    """Read, changed, written."""
    code, _, _ = cli("vault", "policy", "shop", "--every", "1d12h", "--daily", "7")
    assert code == exits.OK
    (request,) = apart.requests("BackupService.SetBackupPolicy")
    sent = request.policy
    assert sent.every.ToTimedelta() == timedelta(days=1, hours=12)
    assert (sent.retention.daily, sent.retention.keep_last) == (7, 10)
    assert not request.reset


@pytest.mark.usefixtures("policy")
def test_a_policy_is_reset_alone(apart, cli):
    """Not together with a change."""
    assert cli("vault", "policy", "shop", "--reset", "--daily", "1")[0] == exits.USAGE
    assert cli("vault", "policy", "shop", "--reset")[0] == exits.OK
    (request,) = apart.requests("BackupService.SetBackupPolicy")
    assert (request.policy.parent, request.reset) == ("sessions/shop", True)


@pytest.mark.parametrize("text", ["0", "1s", "30s", "5m", "6h", "1d12h", "7d1m"])
def test_lengths_of_time_read_back_as_they_are_written(text):
    """In either direction."""
    policy = vault_pb2.BackupPolicy()
    policy.every.FromTimedelta(TIME.convert(text, None, None))
    assert written(policy.every) == text


@pytest.mark.parametrize("text", ["", "5", "5x", "h", "1h!", "-1h", "1.5h"])
def test_what_is_no_length_of_time_is_usage(text, cli):
    """Rather than a guess."""
    assert cli("vault", "policy", "--every", text)[0] == exits.USAGE


def test_the_trash_is_listed(apart, cli):
    """As a table and as JSON."""
    listed = maintenance_service_pb2.ListTrashResponse(items=[ITEM])
    apart.answer("MaintenanceService.ListTrash", listed)
    code, out, _ = cli("trash", "list")
    assert code == exits.OK
    assert "x-shop-restore" in out
    _, out, _ = cli("trash", "list", "--json")
    assert json.loads(out)["name"] == ITEM.name


def test_an_item_comes_back_from_trash(apart, cli):
    """With how to go on."""
    result = TrashRestoreResult(item=ITEM.name, session="sessions/shop")
    method = "MaintenanceService.RestoreFromTrash"
    started = ends(apart, untrashed=result)
    apart.answer(method, maintenance_service_pb2.RestoreFromTrashResponse(operation=started))
    code, out, _ = cli("trash", "restore", "x-shop-restore", "--force")
    assert code == exits.OK
    assert "roost sessions start shop" in out
    (request,) = apart.requests(method)
    assert (request.name, request.force) == (ITEM.name, True)


def plan(*, may, purged=False):
    verdict = {"item": ITEM, "may_purge": may, "kept_because": "" if may else "too young"}
    return maintenance_service_pb2.PurgeTrashResponse(verdicts=[verdict], purged=purged)


PURGE = "MaintenanceService.PurgeTrash"


def test_purging_nothing_shows_what_could_go(apart, cli):
    """And why the rest may not."""
    apart.answer(PURGE, plan(may=False))
    code, out, _ = cli("trash", "purge")
    assert code == exits.OK
    assert "too young" in out
    assert [request.confirm for request in apart.requests(PURGE)] == [""]


def test_purging_asks(apart, cli, monkeypatch):
    """Unless told not to; a program has to say so."""
    apart.answer(PURGE, plan(may=True))
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert cli("trash", "purge", "x-shop-restore")[0] == exits.FAILED
    assert cli("trash", "purge", "x-shop-restore", "--json")[0] == exits.USAGE
    assert all(not request.confirm for request in apart.requests(PURGE))
    code, out, _ = cli("trash", "purge", "x-shop-restore", "--yes")
    assert (code, out) == (exits.OK, "removed x-shop-restore\n")
    assert apart.requests(PURGE)[-1].confirm == ITEM.name


def test_what_is_kept_is_refused_with_the_reason(apart, cli):
    """By the server, not by a guess here."""
    apart.answer(PURGE, plan(may=False))
    apart.answer(PURGE, rich(grpc.StatusCode.FAILED_PRECONDITION, "TRASH_ITEM_KEPT", "too young"))
    code, _, error = cli("trash", "purge", "x-shop-restore")
    assert code == exits.REFUSED
    assert "too young" in error


RESTORE = "BackupService.RestoreBackup"


def test_a_restore_starts_and_takes_over_when_it_is_told_to(apart, cli):
    """And says that nothing is left to do."""
    plan = RestorePlan(backup=BACKUP, target_session="sessions/shop", start=True)
    apart.answer(RESTORE, pb.RestoreBackupResponse(plan=plan))
    started = ends(apart, restore={"plan": plan, "started": True})
    apart.answer(RESTORE, pb.RestoreBackupResponse(plan=plan, operation=started))
    code, out, error = cli("restore", BACKUP, "--start", "--take-over", "--yes")
    assert (code, out) == (exits.OK, "restored shop; it is connected\n")
    assert "all is put back" in error
    planned, asked = apart.requests(RESTORE)
    assert (planned.dry_run, planned.start) == (True, True)
    assert (asked.start, asked.take_over) == (True, True)


def test_an_older_backup_is_found_by_its_time(apart, cli):
    """Of a session only."""
    new = Backup(name="sessions/shop/backups/b9", state=Backup.STATE_ACTIVE)
    new.create_time.FromJsonString("2026-05-02T00:00:00Z")
    old = Backup(name=BACKUP, state=Backup.STATE_ACTIVE)
    old.create_time.FromJsonString("2026-04-01T00:00:00Z")
    apart.answer("BackupService.ListBackups", pb.ListBackupsResponse(backups=[new, old]))
    apart.answer(RESTORE, pb.RestoreBackupResponse(plan=RestorePlan(backup=BACKUP)))
    assert cli("restore", "shop", "--before", "2026-04-20", "--plan")[0] == exits.OK
    assert apart.requests(RESTORE)[0].name == BACKUP
    assert cli("restore", BACKUP, "--before", "2026-04-20", "--plan")[0] == exits.USAGE


RECOVER = "VaultService.RecoverSessions"


def recovering(apart, *sessions, dry_run=False):
    """One recovery, and what becomes of its sessions."""
    done = RecoverResult(
        storage_location="storageLocations/local", dry_run=dry_run, sessions=sessions
    )
    started = ends(apart, recover=done)
    apart.answer(RECOVER, vault_service_pb2.RecoverSessionsResponse(operation=started))


SHOP = {
    "name": "sessions/shop",
    "outcome": "OUTCOME_PLANNED",
    "plan": {"backup": BACKUP, "mode": "RESTORE_MODE_REKEY"},
}


def test_a_recovery_can_be_planned(apart, cli):
    """What would become of each session, and why it would not."""
    leased = {"name": "sessions/b", "outcome": "OUTCOME_SKIPPED", "message": "runs elsewhere"}
    recovering(apart, SHOP, leased, dry_run=True)
    code, out, _ = cli("recover", "--plan", "--location", "far")
    assert code == exits.OK
    for said in ("shop", "PLANNED", "b1", "REKEY", "SKIPPED", "runs elsewhere"):
        assert said in out
    (request,) = apart.requests(RECOVER)
    assert (request.dry_run, request.storage_location) == (True, "storageLocations/far")


def test_a_recovery_asks_and_fails_if_one_session_does(apart, cli, monkeypatch):
    """After it has shown its plan; a program says --yes."""
    recovering(apart, SHOP, dry_run=True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert cli("recover")[0] == exits.FAILED
    assert cli("recover", "--json")[0] == exits.USAGE
    assert all(request.dry_run for request in apart.requests(RECOVER))
    apart.answers.clear()
    recovering(apart, SHOP | {"outcome": "OUTCOME_FAILED", "message": "damaged"})
    code, out, _ = cli("recover", "--yes", "--start", "--take-over", "--json")
    assert code == exits.FAILED
    assert json.loads(out)["sessions"][0]["message"] == "damaged"
    request = apart.requests(RECOVER)[-1]
    assert (request.dry_run, request.start, request.take_over) == (False, True, True)


def test_a_backup_is_verified_level_by_level(apart, cli):
    """A level that does not pass is named, and is the exit code."""
    passed = {"level": "VERIFY_LEVEL_MANIFEST", "passed": True}
    broken = {"level": "VERIFY_LEVEL_PACKS", "problem": "packs/shop/x is missing"}
    method = "BackupService.VerifyBackup"
    for steps, expected in [([passed], exits.OK), ([passed, broken], exits.UNHEALTHY)]:
        apart.answers.clear()
        started = ends(apart, verify={"backup": GOOD, "steps": steps})
        apart.answer(method, pb.VerifyBackupResponse(operation=started))
        code, out, _ = cli("backup", "verify", BACKUP, "--level", "engine")
        assert code == expected
    assert "manifest   in order" in out
    assert "packs      packs/shop/x is missing" in out
    assert apart.requests(method)[0].level == VERIFY_LEVEL_ENGINE


def test_a_question_that_nobody_answers_is_a_wrong_command_line(apart, cli, monkeypatch):
    """In a script: it says what to add, and asks the server for nothing."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, out, err = cli("vault", "retire", "0" * 16)
    assert (code, out) == (exits.USAGE, "")
    assert "--yes" in err
    assert apart.calls == []


def test_a_backup_that_is_not_there_may_be_in_trash(apart, cli):
    """Deleted ones are shown by the list alone."""
    gone = rich(grpc.StatusCode.NOT_FOUND, "BACKUP_NOT_FOUND", f"{BACKUP} does not exist.")
    apart.answer("BackupService.GetBackup", gone)
    code, _, err = cli("backup", "show", BACKUP)
    assert code == exits.NOT_FOUND
    assert "roost backups --deleted" in err
