"""The server as a process: how it starts, what it refuses, how it stops."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from roost.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
)

from server.settings import names
from tests.support.kms import Kms
from tests.support.server import ServerProcess


@pytest.fixture
def server(tmp_path):
    """A server on a fresh data directory."""
    with ServerProcess(tmp_path / "data") as running:
        yield running


def stub(server, kind):
    return kind(grpc.insecure_channel(server.address))


def run(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_serves_with_nothing_set_and_keeps_its_files_private(server):
    """Every file 0600, every folder 0700, whatever the umask was."""
    found = list(server.data_dir.rglob("*"))
    assert {path.name for path in found} >= {"admin.key", "backup.key", "roost.db", "server.json"}
    for path in [server.data_dir, *found]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} {mode:o}"
    assert json.loads((server.data_dir / "server.json").read_text()) == {
        "address": server.address,
        "tls": False,
        "pid": server.pid,
    }


def test_only_the_key_opens_it(server):
    """Health is open to all."""
    health = stub(server, health_pb2_grpc.HealthStub)
    status = health.Check(health_pb2.HealthCheckRequest(service="roost.v1.SessionService")).status
    assert status == health_pb2.HealthCheckResponse.SERVING
    admin = stub(server, admin_service_pb2_grpc.AdminServiceStub)
    with pytest.raises(grpc.RpcError) as error:
        admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest())
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    info = admin.GetServerInfo(admin_service_pb2.GetServerInfoRequest(), metadata=server.metadata)
    assert info.engine_version.startswith("neonize/")
    assert info.server_version
    assert info.event_retention.seconds == 7 * 24 * 3600
    assert {"file", "memory"} <= set(info.storage_schemes)
    assert not info.simulator


def test_a_planned_end_is_clean(server):
    """Streams end with a bookmark and OK; the exit code is 0; the announcement is gone."""
    events = stub(server, event_service_pb2_grpc.EventServiceStub).SubscribeEvents(
        event_service_pb2.SubscribeEventsRequest(from_snapshot={}), metadata=server.metadata
    )
    next(events)
    os.kill(server.pid, signal.SIGTERM)
    *_, last = events
    assert last.bookmark.reason == event_service_pb2.SubscribeEventsResponse.Bookmark.REASON_CLOSING
    assert events.code() is grpc.StatusCode.OK
    assert server.wait() == 0
    assert not (server.data_dir / "server.json").exists()
    assert [each["event"] for each in server.log()][-2:] == ["server.draining", "server.stopped"]


def test_draining_by_call_ends_it_too(server):
    """As SIGTERM does, with the caller's grace."""
    admin = stub(server, admin_service_pb2_grpc.AdminServiceStub)
    request = admin_service_pb2.DrainServerRequest(grace_period={"seconds": 601})
    with pytest.raises(grpc.RpcError) as error:
        admin.DrainServer(request, metadata=server.metadata)
    assert rpc_status.from_call(error.value).code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    request.grace_period.seconds = 5
    admin.DrainServer(request, metadata=server.metadata)
    assert server.wait() == 0


def test_a_killed_server_starts_again_on_the_same_files(server):
    """With the same key, the same sessions, and no leftover announcement in the way."""
    sessions = session_service_pb2_grpc.SessionServiceStub
    request = session_service_pb2.CreateSessionRequest(session_id="a")
    stub(server, sessions).CreateSession(request, metadata=server.metadata)
    key = server.key
    server.kill()
    assert (server.data_dir / "server.json").exists()
    server.start()
    assert server.key == key
    found = stub(server, sessions).GetSession(
        session_service_pb2.GetSessionRequest(name="sessions/a"), metadata=server.metadata
    )
    assert found.session.name == "sessions/a"


def test_two_servers_do_not_share_a_data_directory(server):
    """Exit code 3; the first one is not disturbed."""
    second = run("--data-dir", str(server.data_dir), "--listen", "127.0.0.1:0")
    assert second.returncode == 3
    assert "another server" in second.stderr
    health = stub(server, health_pb2_grpc.HealthStub)
    assert health.Check(health_pb2.HealthCheckRequest()).status


def test_two_servers_do_not_share_a_port(server, tmp_path):
    """Exit code 4, where gRPC's default would split the calls between them."""
    second = run("--data-dir", str(tmp_path / "other"), "--listen", server.address)
    assert second.returncode == 4
    assert server.address in second.stderr
    assert not (tmp_path / "other" / "server.json").exists()


def test_a_misspelt_setting_fails_the_start(tmp_path):
    """Exit code 2, naming the setting that was meant, before anything is touched."""
    done = run("--data-dir", str(tmp_path / "data"), ROOST_LISTN="x")
    assert done.returncode == 2
    assert done.stderr == "ROOST_LISTN: no such setting; did you mean ROOST_LISTEN?\n"
    assert not (tmp_path / "data").exists()


def test_the_network_needs_tls_or_a_plain_word(tmp_path):
    """Exit code 2 for an address of other machines without TLS."""
    done = run("--data-dir", str(tmp_path / "data"), "--listen", "0.0.0.0:0")
    assert done.returncode == 2
    assert "ROOST_INSECURE" in done.stderr


def test_the_configuration_can_be_checked(tmp_path):
    """Every setting, secrets masked; nothing is started or made."""
    url = "postgresql://ann:planted@db/roost"
    done = run("--check-config", "--data-dir", str(tmp_path / "data"), ROOST_DATABASE_URL=url)
    assert done.returncode == 0
    assert {line.partition("=")[0] for line in done.stdout.splitlines()} == set(names())
    assert f"ROOST_DATA_DIR={tmp_path}/data" in done.stdout
    assert "planted" not in done.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"ROOST_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"},
        {"ROOST_BACKUP__LOCATIONS": '{"a": "unheard-of://x"}'},
        {"ROOST_ADMIN_KEY_FILE": "/dev/null"},
        {"ROOST_TLS__CERT_FILE": "/nowhere/cert", "ROOST_TLS__KEY_FILE": "/nowhere/key"},
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path, environment):
    """Exit code 5 and a problem, no traceback."""
    done = run("--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", **environment)
    assert done.returncode == 5, done.stderr
    last = json.loads(done.stderr.splitlines()[-1])
    assert last["event"] == "server.not_started"
    assert last["problem"]


@pytest.mark.parametrize("mode", ["plain", "forgets"])
def test_a_master_key_that_would_lose_keys_fails_the_start(tmp_path, mode):
    """Exit code 5 although the key file is a good one, before anything depends on the bad one."""
    setting = Kms(tmp_path / "kms").setting(mode)
    listen = ("--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    done = run(*listen, ROOST_BACKUP__KEY_FILE=str(tmp_path / "backup.key"), **setting)
    assert done.returncode == 5, done.stderr
    last = json.loads(done.stderr.splitlines()[-1])
    assert last["event"] == "server.not_started"
    assert last["problem"].startswith("the external key's program did not")


def test_an_external_key_that_is_away_is_warned_of(tmp_path):
    """The server serves as long as another master key works; alone it is exit code 5."""
    setting = Kms(tmp_path / "kms").setting("fails")
    env = setting | {"ROOST_BACKUP__PASSPHRASE": "correct horse battery"}
    with ServerProcess(tmp_path / "data", env) as server:
        (warning,) = [line for line in server.log() if line["event"] == "vault.master_key_away"]
        assert warning["problem"] == "the external key's program ended with code 3"
        assert b"horse" not in server.output()
    done = run("--data-dir", str(tmp_path / "other"), "--listen", "127.0.0.1:0", **setting)
    assert done.returncode == 5
    assert "no master key answers" in done.stderr


def test_a_data_directory_that_is_a_file_is_said_so(tmp_path):
    """Exit code 5."""
    (tmp_path / "data").touch()
    done = run("--data-dir", str(tmp_path / "data"))
    assert done.returncode == 5


def test_the_port_is_free_again_after_the_end(server):
    """Nothing of the server is left."""
    host, _, port = server.address.rpartition(":")
    assert server.terminate() == 0
    with socket.socket() as probe:
        probe.bind((host, int(port)))


def test_a_second_signal_ends_it_at_once(server):
    """For those who cannot wait; the first one is waiting for a health watch here."""
    health = stub(server, health_pb2_grpc.HealthStub)
    watch = health.Watch(health_pb2.HealthCheckRequest())
    next(watch)
    os.kill(server.pid, signal.SIGTERM)
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait() == -signal.SIGTERM
    server.start()


def test_a_server_whose_database_was_taken_over_ends(tmp_path):
    """Two on one database would each believe in its own log; the older one gives up, code 5."""
    env = {"ROOST_DATABASE_URL": f"sqlite:///{tmp_path}/shared.db"}
    sessions = session_service_pb2_grpc.SessionServiceStub
    with ServerProcess(tmp_path / "old", env) as old, ServerProcess(tmp_path / "new", env) as new:
        request = session_service_pb2.CreateSessionRequest(session_id="a")
        with pytest.raises(grpc.RpcError):
            stub(old, sessions).CreateSession(request, metadata=old.metadata)
        assert old.wait() == 5
        problems = [each["problem"] for each in old.log() if "problem" in each]
        assert ["Another server" in problem for problem in problems] == [True]
        stub(new, sessions).CreateSession(request, metadata=new.metadata)
