"""Where S3 is, how its buckets are named, and where credentials come from: on a real server."""

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlsplit

import botocore.auth
import pytest

from storage_backends.errors import AccessDenied, BackendMisconfigured
from storage_backends.layers import Checked
from storage_backends.registry import Registry
from storage_backends.s3 import S3Backend
from storage_backends.testing import attempt
from tests.support.relay import Relay
from tests.support.s3 import ACCESS_KEY, BUCKET, DOMAIN, KEYS, SECRET_KEY


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    """No credentials but those that a test gives, wherever it runs."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "BOTO_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def by_url(config):
    settings = f"endpoint={config.endpoint}&region=us-east-1&path_style=true"
    return Registry.with_plugins().create(f"s3://{config.bucket}/{config.prefix}?{settings}")


def works(config):
    with by_url(config) as backend:
        backend.put("a", b"x")
        return backend.get("a") == b"x"


def test_no_credentials(s3_config):
    """Without any the backend says so, and asks nobody else."""
    assert attempt(by_url(s3_config).open) is AccessDenied


def test_environment(s3_config, monkeypatch):
    """Credentials of the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    assert works(s3_config)


def test_profile(s3_config, monkeypatch, tmp_path):
    """Credentials of a named profile in a shared file; one that is not there is a mistake."""
    shared = tmp_path / "credentials"
    shared.write_text(
        "[default]\naws_access_key_id = other\naws_secret_access_key = other\n"
        f"[roost]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    assert attempt(by_url(s3_config).open) is AccessDenied
    monkeypatch.setenv("AWS_PROFILE", "roost")
    assert works(s3_config)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert attempt(by_url(s3_config).open) is BackendMisconfigured


def credentials(valid_for):
    expiry = (datetime.now(UTC) + valid_for).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": ACCESS_KEY,
        "SecretAccessKey": SECRET_KEY,
        "Token": "",
        "Expiration": expiry,
        "LastUpdated": "2026-01-01T00:00:00Z",
    }


@contextmanager
def metadata_service(answers):
    """An HTTP service on loopback that answers by path, and counts."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer = answers[self.path]()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_PUT(self):
            self.do_GET()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            port = server.server_address[1]
            yield SimpleNamespace(url=f"http://127.0.0.1:{port}", asked=asked)
        finally:
            server.shutdown()
            thread.join()


def test_container(s3_config, monkeypatch):
    """Credentials of a container's role, fetched again while the backend is open."""
    short = timedelta(minutes=5)  # less than botocore wants to have left: asked each time

    def answer():
        return json.dumps(credentials(short)).encode()

    with metadata_service({"/role": answer}) as service:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/role")
        with by_url(s3_config) as backend:
            first = len(service.asked)
            backend.put("a", b"x")
            assert backend.get("a") == b"x"
        assert len(service.asked) > first > 0


def test_instance(s3_config, monkeypatch):
    """Credentials of a machine's role, by the metadata service of the cloud."""
    path = "/latest/meta-data/iam/security-credentials/"
    answers = {
        "/latest/api/token": lambda: b"token",
        path: lambda: b"roost",
        f"{path}roost": lambda: json.dumps(credentials(timedelta(hours=6))).encode(),
    }
    with metadata_service(answers) as service:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        assert works(s3_config)
        assert service.asked == ["/latest/api/token", path, f"{path}roost"]


def test_clock_of_this_machine_is_wrong(s3_config, monkeypatch):
    """Signatures of another day are refused; that is no damage, and nothing is written."""
    with Checked(S3Backend(s3_config, **KEYS)) as backend:
        backend.put("a", b"old")
        real = botocore.auth.get_current_datetime
        for days in (-1, 1):
            wrong = timedelta(days=days)
            monkeypatch.setattr(
                botocore.auth, "get_current_datetime", lambda wrong=wrong, **kw: real(**kw) + wrong
            )
            assert attempt(backend.put, "a", b"new") is AccessDenied
            assert attempt(backend.get, "a") is AccessDenied
        monkeypatch.setattr(botocore.auth, "get_current_datetime", real)
        assert backend.get("a") == b"old"


@pytest.mark.parametrize("path_style", [None, True, False])
def test_bucket_in_path_or_host(s3_config, monkeypatch, path_style):
    """The bucket is in the host's name or in the path, as said; of an endpoint in its path."""
    place = urlsplit(s3_config.endpoint)
    real = socket.getaddrinfo

    def resolve(host, *rest, **named):
        return real("127.0.0.1" if host.endswith(DOMAIN) else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    seen = []

    class Watching(Relay):
        def take(self, data):
            if data.startswith((b"PUT", b"GET", b"HEAD")):
                lines = data.decode("latin-1").split("\r\n")
                host = next(line[6:] for line in lines if line.lower().startswith("host: "))
                seen.append((lines[0].split()[1].split("?")[0], host.split(":")[0]))

    def connect():
        return socket.create_connection((place.hostname, place.port))

    with Watching.to(connect) as relay:
        config = replace(s3_config, endpoint=f"http://{DOMAIN}:{relay.port}", path_style=path_style)
        with Checked(S3Backend(config, **KEYS)) as backend:
            backend.put("a", b"x")
            assert backend.get("a") == b"x"
    if path_style is False:
        assert set(seen[1:]) == {(f"/{config.prefix}/a", f"{BUCKET}.{DOMAIN}")}
    else:
        assert set(seen[1:]) == {(f"/{BUCKET}/{config.prefix}/a", DOMAIN)}
    assert len(seen) == 3
