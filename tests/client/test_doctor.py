"""`roost doctor` tells a healthy machine from one with a problem."""

import json
import os
import socket

import grpc
import pytest
from roost.v1.admin_service_pb2 import GetServerInfoResponse
from roost_cli import checks, exits
from roost_cli.main import main

from tests.support.scripted import rich


@pytest.fixture
def folder(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("ROOST_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ROOST_LISTEN", "127.0.0.1:0")  # this machine may run a server
    return tmp_path


def doctor(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--json", *arguments])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return end.value.code, {check["name"]: check for check in found}


def test_a_machine_without_a_server_is_healthy(folder, capsys):
    """Nothing runs yet: that is a warning, and every library is there."""
    code, found = doctor(capsys, "--address", "127.0.0.1:1")
    assert code == exits.OK
    assert found["server"]["status"] == "warning"
    assert {name for name, check in found.items() if check["status"] != "ok"} == {"server"}


def test_the_server_is_asked(folder, apart, capsys):
    """Its version is shown, and that a simulator stands in for WhatsApp."""
    apart.answer(
        "AdminService.GetServerInfo", GetServerInfoResponse(server_version="9.9", simulator=True)
    )
    code, found = doctor(capsys, "--address", apart.address)
    assert code == exits.OK
    assert "9.9" in found["server"]["detail"]
    assert found["whatsapp"]["status"] == "warning"


def test_a_key_that_the_server_refuses_is_a_problem(folder, apart, capsys):
    """With what to do about it."""
    apart.answer(
        "AdminService.GetServerInfo", rich(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    )
    code, found = doctor(capsys, "--address", apart.address)
    assert code == exits.UNHEALTHY
    assert "ROOST_API_KEY" in found["server"]["action"]


def test_a_key_file_open_to_others_is_a_problem(folder, capsys):
    """Exit code 9, and what to do."""
    (folder / "admin.key").write_text("k")
    (folder / "admin.key").chmod(0o644)
    (folder / "backup.key").touch(0o600)
    code, found = doctor(capsys, "--address", "127.0.0.1:1")
    assert code == exits.UNHEALTHY
    assert found["admin key"]["action"] == "chmod 600 it"
    assert "empty" in found["backup key"]["detail"]


def test_a_misspelt_setting_is_a_problem(folder, capsys, monkeypatch):
    """The server would not start; nothing else can be checked then."""
    monkeypatch.setenv("ROOST_LISTN", "127.0.0.1:1")
    code, found = doctor(capsys, "--address", "127.0.0.1:1")
    assert code == exits.UNHEALTHY
    assert "ROOST_LISTEN" in found["configuration"]["detail"]


def test_backup_locations_are_tried(folder, capsys, monkeypatch):
    """A place that is there, one that is not yet, and one that cannot be."""
    (folder / "there").mkdir()
    (folder / "over there").mkdir()
    (folder / "file").touch()
    urls = {
        "good": f"file://{folder}/there",
        "spaced": f"file://{folder}/over%20there",
        "new": f"file://{folder}/not-yet",
        "bad": f"file://{folder}/file",
        "odd": "gopher://nowhere",
    }
    monkeypatch.setenv("ROOST_BACKUP__LOCATIONS", json.dumps(urls))
    code, found = doctor(capsys, "--address", "127.0.0.1:1")
    assert code == exits.UNHEALTHY
    results = {name: found[f"backups in {name}"] for name in urls}
    statuses = {name: check["status"] for name, check in results.items()}
    usable = {"good": "ok", "spaced": "ok", "new": "ok"}
    assert statuses == {**usable, "bad": "problem", "odd": "problem"}
    made_later = {name for name, check in results.items() if "made at" in check["detail"]}
    assert made_later == {"new"}
    assert not (folder / "not-yet").exists()


def test_an_open_data_directory_is_a_problem(tmp_path):
    """Stores hold keys."""
    tmp_path.chmod(0o755)
    assert checks.data_dir(tmp_path).status == "problem"


def test_a_taken_port_is_a_problem_unless_our_server_has_it(tmp_path):
    """server.json with a living process says whose it is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert checks.port(listen, tmp_path).status == "problem"
        facts = {"address": listen, "pid": os.getpid()}
        (tmp_path / "server.json").write_text(json.dumps(facts))
        assert checks.port(listen, tmp_path).status == "ok"
    assert checks.running_pid(tmp_path) == os.getpid()


def test_a_running_server_that_does_not_answer_is_a_problem(folder, capsys):
    """Its process lives, but nobody listens."""
    facts = {"address": "127.0.0.1:1", "pid": os.getpid()}
    (folder / "server.json").write_text(json.dumps(facts))
    code, found = doctor(capsys)
    assert code == exits.UNHEALTHY
    assert found["server"]["status"] == "problem"


def test_master_keys_are_counted(folder, capsys, monkeypatch):
    """Each is looked at; with a second one the only advice is gone."""
    _, found = doctor(capsys, "--address", "127.0.0.1:1")
    assert "copy of it elsewhere" in found["master keys"]["action"]
    words = folder / "words"
    monkeypatch.setenv("ROOST_BACKUP__PASSPHRASE_FILE", str(words))
    monkeypatch.setenv("ROOST_BACKUP__EXTERNAL_KEY", '["no-such-program"]')
    _, found = doctor(capsys, "--address", "127.0.0.1:1")
    assert "backup key" not in found
    assert found["backup passphrase"]["detail"] == f"{words} does not exist"
    assert found["external key"]["detail"] == "no-such-program is no program"
    assert found["master keys"]["detail"].startswith("2")
    words.write_text("correct horse battery")
    words.chmod(0o600)
    monkeypatch.setenv("ROOST_BACKUP__EXTERNAL_KEY", '["true"]')
    _, found = doctor(capsys, "--address", "127.0.0.1:1")
    assert {found[name]["status"] for name in ("backup passphrase", "external key")} == {"ok"}
