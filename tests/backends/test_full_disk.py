"""A disk that is really full, below files and below PostgreSQL."""

import os
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import pytest

from storage_backends.errors import QuotaExceeded
from storage_backends.layers import Checked
from storage_backends.postgres import PostgresBackend, PostgresConfig
from storage_backends.testing import attempt
from tests.support import postgres
from tests.support.small_disk import on_small_disk

BIG = 1 << 20

FILES = f"""
import errno, os, sys
from pathlib import Path
from storage_backends.errors import QuotaExceeded
from storage_backends.file import LOCK_NAME, FileBackend, FileConfig
root = Path(sys.argv[1])
with FileBackend(FileConfig(root=root)) as backend:
    backend.put("a", b"old")
    etag = backend.stat("a").etag
    for write in (
        lambda: backend.put("a", bytes({BIG})),
        lambda: backend.put("b", bytes({BIG}), if_absent=True),
        lambda: backend.cas("a", bytes({BIG}), expected=etag),
    ):
        try:
            write()
        except QuotaExceeded as error:
            assert error.__cause__.errno == errno.ENOSPC
        else:
            raise AssertionError("there was room")
        assert backend.get("a") == b"old"
        assert {{path.name for path in root.iterdir()}} - {{LOCK_NAME}} == {{"a"}}
    backend.put("a", b"new")
    print(backend.get("a"))
"""


def test_files(tmp_path):
    """A write without room fails, keeps the old object, leaves nothing, and small ones go on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [*on_small_disk(str(disk), "512k"), sys.executable, "-c", FILES, f"{disk}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "b'new'\n"), done.stderr


@pytest.fixture(scope="module")
def full_url(tmp_path_factory):
    """A database on a disk that has room for itself and little more."""
    disk = tmp_path_factory.mktemp("disk")
    for folder in (disk, *disk.parents[:2]):
        folder.chmod(0o755)  # where PostgreSQL runs as somebody else
    with postgres.running_server(on_small_disk(str(disk), "12m")) as server:
        url = server.url("postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            connection.execute("CREATE DATABASE small TABLESPACE small")
        yield server.url("small")


def test_postgresql(full_url):
    """The same in PostgreSQL: 53100, and the transaction never was; room that is made is used."""
    config = PostgresConfig.from_url(urlsplit(full_url))
    ballast = PostgresConfig.from_url(urlsplit(f"{full_url}&schema=ballast"))
    data = os.urandom(BIG)
    with Checked(PostgresBackend(config)) as backend, Checked(PostgresBackend(ballast)) as other:
        etag = backend.put("a", b"old").etag
        filled = 0
        while attempt(other.put, f"{filled}", data) is None:
            filled += 1
        assert filled > 0
        for error in (
            attempt(backend.put, "a", data),
            attempt(backend.put, "b", data, if_absent=True),
            attempt(backend.cas, "a", data, expected=etag),
        ):
            assert error is QuotaExceeded
        assert [(info.key, info.size_bytes) for info in backend.list()] == [("a", 3)]
        assert backend.get("a") == b"old"
        with psycopg.connect(full_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA ballast CASCADE")
        backend.put("a", data)
        assert backend.get("a") == data
