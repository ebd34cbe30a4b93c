"""The command line: what it asks the server, what it prints, how it ends."""

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from roost.v1 import (
    admin_service_pb2,
    backup_service_pb2,
    event_service_pb2,
    message_service_pb2,
    operation_service_pb2,
    session_service_pb2,
    vault_service_pb2,
)
from roost.v1.backup_pb2 import Backup, RestorePlan
from roost.v1.event_pb2 import Event
from roost.v1.operation_pb2 import Operation
from roost.v1.session_pb2 import Condition, Session
from roost_cli import exits
from roost_cli.main import COMMANDS, roost

from tests.support.scripted import rich

BACKUP = "sessions/shop/backups/b1"
SESSION = Session(name="sessions/shop", state=Session.STATE_ACTIVE)
PAIR = "SessionService.PairSession"


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def stamp(moment):
    found = Timestamp()
    found.FromDatetime(moment)
    return found


def test_help_imports_no_command():
    """`roost --help` is for people who wait for it: neither grpc nor rich is loaded."""
    code = (
        "import sys; from roost_cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'grpc', 'rich', 'roost_client'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.rstrip().endswith("[]")
    for name, (_, text) in COMMANDS.items():
        assert f"{name} " in out
        assert text in out
    for number, text in exits.described():
        assert f"{number} " in out
        assert text in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there(name):
    """The table names a module with a command, and every command that talks has --json."""
    command = roost.get_command(None, name)
    leaves = getattr(command, "commands", {name: command}).values()
    for leaf in leaves:
        names = {option for parameter in leaf.params for option in parameter.opts}
        assert leaf.help
        assert "--json" in names or name in {"serve", "simulator"}


def test_a_wrong_command_line_is_usage(cli):
    """Exit code 2 and a hint."""
    code, _, err = cli("sessions", "lst")
    assert code == exits.USAGE
    assert "No such command" in err


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        ("INVALID_ARGUMENT", "FIELD_INVALID", exits.USAGE),
        ("UNAUTHENTICATED", "TOKEN_INVALID", exits.UNAUTHENTICATED),
        ("NOT_FOUND", "SESSION_NOT_FOUND", exits.NOT_FOUND),
        ("ALREADY_EXISTS", "SESSION_EXISTS", exits.REFUSED),
        ("FAILED_PRECONDITION", "SESSION_NOT_PAIRED", exits.REFUSED),
        ("FAILED_PRECONDITION", "PAIRING_EXPIRED", exits.PAIRING),
        ("ABORTED", "ETAG_MISMATCH", exits.BUSY),
        ("UNAVAILABLE", "SEND_TIMED_OUT", exits.FAILED),
        ("INTERNAL", "INTERNAL", exits.FAILED),
    ],
)
def test_errors_have_exit_codes(code, reason, exit_code, apart, cli):
    """By reason where that says more than the code; text and JSON on standard error."""
    status = rich(grpc.StatusCode[code], reason, "because", metadata={"session": "sessions/x"})
    apart.answer("SessionService.GetSession", status)
    found, out, err = cli("sessions", "get", "x")
    assert (found, out) == (exit_code, "")
    assert f"Error: {reason}: because" in err
    found, out, err = cli("sessions", "get", "x", "--json")
    assert (found, out) == (exit_code, "")
    (error,) = lines(err)
    assert error["error"]["reason"] == reason
    assert error["error"]["metadata"] == {"session": "sessions/x"}


def test_no_server_is_said_plainly(cli):
    """With what to do."""
    code, _, err = cli("sessions", "get", "x", "--address", "127.0.0.1:1")
    assert code == exits.UNREACHABLE
    assert "roost serve" in err


def test_sessions_are_listed(apart, cli):
    """As a table, and as one object a line."""
    waiting = Session(name="sessions/b", state=Session.STATE_FAILED)
    waiting.condition.reason = "STREAM_REPLACED"
    waiting.condition.user_action = Condition.USER_ACTION_STOP_OTHER_CONNECTION
    apart.answer(
        "SessionService.ListSessions",
        session_service_pb2.ListSessionsResponse(sessions=[SESSION, waiting]),
    )
    code, out, _ = cli("sessions", "list", "--state", "active", "--state", "failed")
    assert code == exits.OK
    assert "STREAM_REPLACED" in out
    assert "stop other connection" in out
    (request,) = apart.requests("SessionService.ListSessions")
    assert list(request.states) == [Session.STATE_ACTIVE, Session.STATE_FAILED]
    _, out, _ = cli("sessions", "list", "--json")
    assert [line["name"] for line in lines(out)] == ["sessions/shop", "sessions/b"]


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        (["create", "shop", "--name", "Shop", "--label", "team=a"], "CreateSession"),
        (["update", "shop", "--name", "Shop", "--label", "team=a"], "UpdateSession"),
        (["get", "shop"], "GetSession"),
        (["start", "shop"], "StartSession"),
        (["stop", "shop", "--grace", "3"], "StopSession"),
        (["delete", "shop", "--etag", "e"], "DeleteSession"),
        (["undelete", "shop"], "UndeleteSession"),
        (["unlink", "shop", "--yes"], "UnlinkSession"),
    ],
)
def test_session_commands(arguments, method, apart, cli):
    """Each calls its RPC and shows the session it gets."""
    response = getattr(session_service_pb2, f"{method}Response")(session=SESSION)
    apart.answer(f"SessionService.{method}", response)
    code, out, err = cli("sessions", *arguments)
    assert (code, err) == (exits.OK, "")
    assert "shop" in out
    (request,) = apart.requests(f"SessionService.{method}")
    if "--label" in arguments:
        assert request.session.labels == {"team": "a"}
        assert request.session.display_name == "Shop"
    if "--grace" in arguments:
        assert request.grace_period.seconds == 3
    code, out, _ = cli("sessions", *arguments, "--json")
    assert lines(out) == [{"name": "sessions/shop", "state": "STATE_ACTIVE"}]


def test_a_bad_label_is_usage(cli):
    """Before anything is asked."""
    code, _, err = cli("sessions", "create", "shop", "--label", "team")
    assert code == exits.USAGE
    assert "KEY=VALUE" in err


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        ("", [], (exits.USAGE, "--yes")),
        ("n\n", [], (exits.FAILED, "nothing was changed")),
        ("y\n", ["--json"], (exits.USAGE, "--yes")),
    ],
)
def test_unlinking_asks(answer, options, expected, apart, cli, monkeypatch):
    """Without a yes nothing is sent; standard output is for results."""
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, out, err = cli("sessions", "unlink", "shop", *options)
    assert (code, out) == (expected[0], "")
    assert expected[1] in err
    assert apart.calls == []


def test_start_can_wait(apart, cli):
    """Until the session is ACTIVE."""
    starting = Session(name="sessions/shop", state=Session.STATE_CONNECTING)
    apart.answer(
        "SessionService.StartSession", session_service_pb2.StartSessionResponse(session=starting)
    )
    active = event_service_pb2.SubscribeEventsResponse(cursor="c", snapshot=SESSION)
    apart.answer("EventService.SubscribeEvents", active)
    code, out, _ = cli("sessions", "start", "shop", "--wait")
    assert code == exits.OK
    assert "shop ACTIVE" in out


def test_pairing_draws_codes_and_says_who(apart, cli):
    """Two QR codes, one account."""
    until = stamp(datetime.now(UTC) + timedelta(seconds=20))
    response = session_service_pb2.PairSessionResponse
    account = {"jid": "15550001111@s.whatsapp.net", "push_name": "Ann"}
    steps = [
        response(qr_code={"payload": f"https://example/{n}", "expire_time": until, "attempt": n})
        for n in (1, 2)
    ]
    apart.answer(PAIR, *steps, response(completed={"account": account}))
    apart.answer(
        "SessionService.CreateSession",
        rich(grpc.StatusCode.ALREADY_EXISTS, "SESSION_EXISTS"),
    )
    code, out, _ = cli("pair", "shop", "--create")
    assert code == exits.OK
    assert out.count("Linked devices") == 2
    assert out.count("▀") + out.count("▄") + out.count("█") > 200
    assert "Linked shop to 15550001111@s.whatsapp.net Ann" in out
    _, out, _ = cli("pair", "shop", "--json")
    assert [next(iter(line)) for line in lines(out)] == ["qrCode", "qrCode", "completed"]


def test_pairing_by_code(apart, cli):
    """The code is shown."""
    response = session_service_pb2.PairSessionResponse
    apart.answer(PAIR, response(pairing_code={"payload": "ABCD-EFGH"}))
    _, out, _ = cli("pair", "shop", "--phone", "+15550001111")
    assert "ABCD-EFGH" in out
    (request,) = apart.requests(PAIR)
    assert request.phone.phone_number == "+15550001111"


def test_a_text_is_sent(apart, cli, monkeypatch):
    """From the command line or from standard input."""
    response = message_service_pb2.SendMessageResponse(message_id="3EB0")
    apart.answer("MessageService.SendMessage", response)
    code, out, _ = cli("send", "shop", "+15550001111", "hello")
    assert (code, out) == (exits.OK, "sent 3EB0\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\n"))
    cli("send", "shop", "+15550001111", "-")
    first, second = apart.requests("MessageService.SendMessage")
    assert (first.session, first.text.body) == ("sessions/shop", "hello")
    assert second.text.body == "from stdin"


def update(cursor, *texts):
    events = [
        Event(session="sessions/shop", sequence=n, message_received={"text": text, "chat": "bob"})
        for n, text in enumerate(texts)
    ]
    return event_service_pb2.SubscribeEventsResponse(cursor=cursor, events=events)


def test_events_are_followed_and_the_place_is_kept(apart, cli, tmp_path):
    """A second run goes on behind what the first one printed."""
    apart.answer("AdminService.GetServerInfo", admin_service_pb2.GetServerInfoResponse())
    apart.answer("EventService.SubscribeEvents", update("c1", "one", "two"), update("c2", "three"))
    apart.hang.add("EventService.SubscribeEvents")
    place = tmp_path / "place"
    code, out, _ = cli(
        "events", "shop", "--kind", "message", "--count", "3", "--cursor-file", str(place), "--json"
    )
    assert code == exits.OK
    found = lines(out)
    assert [line["event"]["messageReceived"]["text"] for line in found] == ["one", "two", "three"]
    assert [line.get("cursor") for line in found] == [None, "c1", "c2"]
    cli("events", "--count", "1", "--cursor-file", str(place))
    first, second = apart.requests("EventService.SubscribeEvents")
    assert first.WhichOneof("start") == "from_snapshot"
    assert list(first.sessions) == ["sessions/shop"]
    assert second.after_cursor == "c2"


def test_events_are_readable(apart, cli):
    """One line each, whatever it is."""
    mixed = update("c1", "hello")
    mixed.events.add(session="sessions/shop").session_changed.session.CopyFrom(SESSION)
    mixed.events.add(session="sessions/shop").receipt_received.type = 2
    mixed.events.add(session="sessions/shop").engine_event.type = "JoinedGroup"
    mixed.events.add(session="sessions/shop")
    apart.answer("AdminService.GetServerInfo", admin_service_pb2.GetServerInfoResponse())
    apart.answer("EventService.SubscribeEvents", mixed)
    _, out, _ = cli("events", "--count", "5")
    text = out.splitlines()
    assert len(text) == 5
    for line, word in zip(text, ("hello", "ACTIVE", "read", "JoinedGroup", "kind"), strict=True):
        assert word in line


def operation(**result):
    return Operation(name="operations/x", done=True, **result)


def test_a_backup_is_followed_to_its_end(apart, cli):
    """Its name is the result."""
    apart.answer(
        "BackupService.CreateBackup",
        backup_service_pb2.CreateBackupResponse(operation={"name": "operations/x"}),
    )
    apart.answer(
        "OperationService.WatchOperation",
        operation_service_pb2.WatchOperationResponse(
            operation=operation(backup=Backup(name=BACKUP, size_bytes=2048))
        ),
    )
    code, out, _ = cli("backup", "shop", "--location", "local")
    assert code == exits.OK
    assert out.split() == [BACKUP, "2", "KiB"]
    (request,) = apart.requests("BackupService.CreateBackup")
    assert request.storage_location == "storageLocations/local"


def test_backups_are_listed(apart, cli):
    """With their full names, never cut."""
    apart.answer(
        "BackupService.ListBackups",
        backup_service_pb2.ListBackupsResponse(
            backups=[Backup(name=BACKUP, state=Backup.STATE_ACTIVE, kind=Backup.KIND_HOT)]
        ),
    )
    code, out, _ = cli("backups")
    assert code == exits.OK
    assert BACKUP in out
    (request,) = apart.requests("BackupService.ListBackups")
    assert request.parent == "sessions/-"
    _, out, _ = cli("backups", "shop", "--json")
    assert lines(out)[0]["kind"] == "KIND_HOT"


@pytest.fixture
def restorable(apart):
    """The newest backup of the session does not count; the one before does."""
    plan = RestorePlan(backup=BACKUP, target_session="sessions/shop", mode=3, reasons=["it is hot"])
    apart.answer(
        "BackupService.ListBackups",
        backup_service_pb2.ListBackupsResponse(
            backups=[
                Backup(name="sessions/shop/backups/b2", state=Backup.STATE_SUSPECT),
                Backup(name=BACKUP, state=Backup.STATE_ACTIVE),
            ]
        ),
    )
    apart.answer(
        "BackupService.RestoreBackup",
        backup_service_pb2.RestoreBackupResponse(operation={"name": "operations/x"}, plan=plan),
    )
    apart.answer(
        "OperationService.WatchOperation",
        operation_service_pb2.WatchOperationResponse(operation=operation(restore={"plan": plan})),
    )
    return plan


def test_a_restore_shows_its_plan_first(apart, cli, restorable):
    """A session means its newest backup that counts; the plan says why and how."""
    code, out, err = cli("restore", "shop", "--yes")
    assert code == exits.OK
    assert "it is hot" in err
    assert "REKEY" in err
    assert "roost sessions start shop" in out
    dry, real = apart.requests("BackupService.RestoreBackup")
    assert dry.dry_run
    assert not real.dry_run
    assert dry.name == real.name == BACKUP


def test_a_plan_changes_nothing(apart, cli, restorable):
    """--plan ends after it."""
    code, out, _ = cli("restore", BACKUP, "--plan", "--json")
    assert code == exits.OK
    assert lines(out)[0]["mode"] == "RESTORE_MODE_REKEY"
    assert [r.dry_run for r in apart.requests("BackupService.RestoreBackup")] == [True]


def test_a_restore_asks_before_and_needs_force(apart, cli, restorable, monkeypatch):
    """No yes, no restore; credentials that are there are not replaced unasked."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, _ = cli("restore", BACKUP)
    assert code == exits.USAGE
    restorable.replaces_credentials = True
    apart.answers["BackupService.RestoreBackup"].clear()
    apart.answer(
        "BackupService.RestoreBackup", backup_service_pb2.RestoreBackupResponse(plan=restorable)
    )
    code, _, err = cli("restore", BACKUP, "--yes")
    assert code == exits.REFUSED
    assert "--force" in err
    assert all(r.dry_run for r in apart.requests("BackupService.RestoreBackup"))


def test_nothing_to_restore_is_not_found(apart, cli):
    """A session without a good backup."""
    apart.answer("BackupService.ListBackups", backup_service_pb2.ListBackupsResponse())
    code, _, err = cli("restore", "shop")
    assert code == exits.NOT_FOUND
    assert "no restorable backup" in err


def test_a_backup_that_does_not_count_says_why(apart, cli):
    """A key that is missing is told apart from a backup that is missing."""
    sealed = Backup(name=BACKUP, state=Backup.STATE_SUSPECT, state_reason="another key sealed it")
    apart.answer(
        "BackupService.ListBackups", backup_service_pb2.ListBackupsResponse(backups=[sealed])
    )
    code, _, err = cli("restore", "shop")
    assert code == exits.NOT_FOUND
    assert BACKUP in err
    assert "another key sealed it" in err


def test_master_keys_are_listed(apart, cli):
    """With how many data keys each opens; one that is not configured is said so."""
    mine, lost = "0123456789abcdef", "fedcba9876543210"
    response = vault_service_pb2.ListMasterKeysResponse(
        master_keys=[{"id": mine, "kind": "file", "wraps": 3}, {"id": lost, "wraps": 2}],
        data_keys=3,
    )
    apart.answer("VaultService.ListMasterKeys", response, response)
    code, out, _ = cli("vault", "keys")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        [mine, "file", "3", "of", "3"],
        [lost, "not", "configured", "2", "of", "3"],
    ]
    (shown,) = lines(cli("vault", "keys", "--json")[1])
    assert shown["masterKeys"][1] == {"id": lost, "wraps": "2"}


@pytest.mark.parametrize(
    ("arguments", "method", "result", "said"),
    [
        (("rotate",), "RotateKeys", {"rotated": 2}, "new keys for 2 sessions"),
        (
            ("rewrap", "shop"),
            "RewrapKeys",
            {"wraps_present": 3, "wraps_repaired": 1, "unreadable": ["shop/1"]},
            "3 in order, 1 mended\nno other master key opens shop/1",
        ),
        (("retire", "0123456789abcdef", "--yes"), "RetireMasterKey", {}, "nothing"),
    ],
)
def test_keys_are_looked_after(arguments, method, result, said, apart, cli):
    """Each command follows its operation and says what it did."""
    done = operation(rotation=result)
    response = getattr(vault_service_pb2, f"{method}Response")(operation=done)
    apart.answer(f"VaultService.{method}", response)
    update = operation_service_pb2.WatchOperationResponse(operation=done)
    apart.answer("OperationService.WatchOperation", update)
    code, out, _ = cli("vault", *arguments)
    assert code == 0
    assert said in out


def test_retiring_asks(apart, cli, monkeypatch):
    """Without a yes nothing is sent."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, _, error = cli("vault", "retire", "0123456789abcdef")
    assert code == 1
    assert "nothing was changed" in error


def test_a_failed_operation_ends_with_its_code(apart, cli, restorable):
    """The error of the operation is the command's."""
    apart.answers["OperationService.WatchOperation"].clear()
    damaged = rich(grpc.StatusCode.DATA_LOSS, "BACKUP_CORRUPT", "damaged")
    apart.answer(
        "OperationService.WatchOperation",
        operation_service_pb2.WatchOperationResponse(operation=operation(error=damaged)),
    )
    code, _, err = cli("restore", BACKUP, "--yes")
    assert code == exits.FAILED
    assert "BACKUP_CORRUPT" in err


def test_a_key_comes_from_a_file(apart, cli, tmp_path):
    """Not from the command line, where every process can read it."""
    apart.answer("SessionService.GetSession", session_service_pb2.GetSessionResponse())
    (tmp_path / "key").write_text("from-file\n")
    cli("sessions", "get", "x", "--key-file", str(tmp_path / "key"))
    assert apart.keys == ["Bearer from-file"]


def test_an_empty_key_file_is_no_key(cli, apart, tmp_path):
    """Another key is not taken in its place."""
    (tmp_path / "key").touch()
    code, _, err = cli("sessions", "list", "--key-file", str(tmp_path / "key"))
    assert code == exits.USAGE
    assert "is empty" in err
    assert apart.calls == []


def test_only_our_own_errors_are_on_standard_error(apart):
    """A failed handshake makes gRPC log to it, unless it is told not to."""
    arguments = ["sessions", "list", "--json", "--address", f"https://{apart.address}"]
    code = f"from roost_cli.main import main; main({arguments!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == exits.UNREACHABLE
    (error,) = lines(ended.stderr)
    assert error["error"]["reason"] == "UNAVAILABLE"


def test_the_documentation_knows_every_command_and_exit_code():
    """docs/cli.md is written by hand; the tables are not."""
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for number, meaning in exits.described():
        assert f"| {number} | {meaning} |" in text
    for name in COMMANDS:
        assert f"`roost {name}" in text
    for name in roost.get_command(None, "sessions").commands:
        assert name in text
