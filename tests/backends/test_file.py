"""The file backend: the suite, and what only files can get wrong."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest

from storage_backends.errors import (
    AccessDenied,
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    ObjectExists,
    QuotaExceeded,
)
from storage_backends.file import _BY_ERRNO, LOCK_NAME, FileBackend, FileConfig, _by_errno
from storage_backends.retrying import Retrying
from storage_backends.testing import BackendSuite


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


class TestFile(BackendSuite):
    @pytest.fixture
    def new_backend(self, new_file):
        return new_file

    @pytest.fixture
    def leftovers(self, tmp_path):
        return lambda: [name for name in files(tmp_path / "objects") if name != LOCK_NAME]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "objects"


@pytest.fixture
def backend(root):
    with FileBackend(FileConfig(root=root, lock_timeout=timedelta(seconds=0.2))) as backend:
        yield backend


@contextmanager
def without_root_rights():
    """Root may do everything; be nobody for a moment."""
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(uid)


@contextmanager
def files_limited_to(size):
    """The kernel writes up to `size` bytes of a file and then fails: a real torn write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_modes(backend, root):
    """Files are for the owner only, whatever the umask."""
    before = os.umask(0)
    try:
        backend.put("a/b", b"x")
        backend.cas("l", b"x", expected=None)
    finally:
        os.umask(before)
    assert (root.stat().st_mode & 0o777) == 0o700
    assert ((root / "a").stat().st_mode & 0o777) == 0o700
    for name in ("a/b", "l", LOCK_NAME):
        assert ((root / name).stat().st_mode & 0o777) == 0o600


def test_missing_parent(tmp_path):
    """A folder whose parent is missing is a mistake in the configuration."""
    with pytest.raises(BackendMisconfigured, match="parent"):
        FileBackend(FileConfig(root=tmp_path / "no" / "objects")).open()


def test_root_that_is_a_file(tmp_path):
    """So is a file where the folder should be."""
    (tmp_path / "objects").write_bytes(b"")
    with pytest.raises(BackendMisconfigured):
        FileBackend(FileConfig(root=tmp_path / "objects")).open()


def test_folder_that_went_away(backend, root):
    """A disk that is gone is neither empty nor made up anew."""
    backend.put("a/b", b"x")
    root.rename(root.with_name("gone"))
    for call in (
        lambda: backend.get("a/b"),
        lambda: backend.stat("a/b"),
        lambda: list(backend.list()),
        lambda: list(backend.list("a")),
        lambda: backend.put("a/b", b"y"),
        lambda: backend.put("c/d/e", b"y"),
    ):
        with pytest.raises(BackendMisconfigured, match="gone"):
            call()
    assert not root.exists()


def test_no_write_permission(backend, root):
    """A folder that may not be written is AccessDenied."""
    backend.put("a", b"x")
    root.chmod(0o500)
    try:
        with without_root_rights(), pytest.raises(AccessDenied) as caught:
            backend.put("b", b"x")
    finally:
        root.chmod(0o700)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_no_read_permission(backend, root):
    """So is a file that may not be read."""
    backend.put("a", b"x")
    (root / "a").chmod(0)
    with without_root_rights(), pytest.raises(AccessDenied):
        backend.get("a")


@pytest.mark.parametrize("how", ["put", "if_absent", "cas"])
def test_torn_write(backend, root, how):
    """A write that the disk breaks off leaves the old object and no temporary."""
    backend.put("a", b"old")
    etag = backend.stat("a").etag
    calls = {
        "put": lambda: backend.put("a", bytes(1 << 20)),
        "if_absent": lambda: backend.put("b", bytes(1 << 20), if_absent=True),
        "cas": lambda: backend.cas("a", bytes(1 << 20), expected=etag),
    }
    with files_limited_to(1 << 16), pytest.raises(QuotaExceeded):
        calls[how]()
    assert backend.get("a") == b"old"
    assert [name for name in files(root) if name != LOCK_NAME] == ["a"]


WRITER = """
import sys
from pathlib import Path
from storage_backends.file import FileBackend, FileConfig
with FileBackend(FileConfig(root=Path(sys.argv[1]))) as backend:
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        backend.put("a/b", b"%d" % (number % 10) * (1 << 20))
"""


def test_killed_writer(backend, root):
    """A writer killed at any moment leaves a whole object; its temporary is never listed."""
    for turn in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, root], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            deadline = time.monotonic() + 30
            while not (root / "a").exists():
                assert time.monotonic() < deadline
            time.sleep(0.003 * turn)  # a different moment each time; any is right
            child.send_signal(signal.SIGKILL)
        listed = list(backend.list())
        assert [info.key for info in listed] in ([], ["a/b"])
        for info in listed:
            data = backend.get("a/b")
            assert len(data) == info.size_bytes == 1 << 20
            assert data == data[:1] * (1 << 20)


def test_old_temporaries_are_swept(backend, root):
    """Opening removes temporaries older than a day, and only those."""
    backend.put("a/b", b"x")
    for name, age in (("~old", 2 * 86400), ("~new", 60)):
        path = root / "a" / name
        path.write_bytes(b"torn")
        os.utime(path, (time.time() - age, time.time() - age))
    backend.cas("l", b"x", expected=None)
    os.utime(root / LOCK_NAME, (0, 0))
    backend.open()
    assert files(root) == ["a", "a/b", "a/~new", "l", LOCK_NAME]


def test_lock_held_too_long(backend, root):
    """A lock that another process never gives back ends in BackendTimeout, not in waiting."""
    backend.cas("l", b"x", expected=None)
    with (root / LOCK_NAME).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BackendTimeout):
            backend.cas("l", b"y", expected=backend.stat("l").etag)
    backend.cas("l", b"y", expected=backend.stat("l").etag)


def test_objects_are_plain_files(backend, root):
    """An operator can read an object with any tool, under its own key."""
    backend.put("backups/alice/1", b"data")
    assert (root / "backups/alice/1").read_bytes() == b"data"


def test_error_table():
    """Each errno of the table means its class; any other one may pass by itself."""
    for code, error in _BY_ERRNO.items():
        assert _by_errno(OSError(code, "x")) is error
    assert _by_errno(OSError(errno.ENOSPC, "x")) is QuotaExceeded
    assert _by_errno(FileExistsError(errno.EEXIST, "x")) is ObjectExists
    for code in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE):
        assert _by_errno(OSError(code, "x")) is BackendUnavailable
    assert _by_errno(OSError("no errno")) is BackendUnavailable


@pytest.mark.parametrize("how", ["put", "if_absent", "cas"])
def test_clock_of_a_neighbour_jumps_ahead(backend, root, monkeypatch, how):
    """A neighbour whose clock is years ahead sweeps our temporary: the write is repeated."""
    real_sync, real_time = os.fsync, time.time
    neighbour = FileBackend(FileConfig(root=root))

    def sync_and_be_swept(handle):
        real_sync(handle)
        monkeypatch.setattr(os, "fsync", real_sync)
        monkeypatch.setattr(time, "time", lambda: real_time() + 10**8)
        neighbour.open()
        monkeypatch.setattr(time, "time", real_time)

    def write(storage):
        if how == "cas":
            storage.cas("a", b"new", expected=None)
        else:
            storage.put("a", b"new", if_absent=how == "if_absent")

    monkeypatch.setattr(os, "fsync", sync_and_be_swept)
    with pytest.raises(BackendUnavailable):
        write(backend)
    monkeypatch.setattr(os, "fsync", sync_and_be_swept)
    write(Retrying(backend))
    assert backend.get("a") == b"new"
    assert [name for name in files(root) if name != LOCK_NAME] == ["a"]


def test_clock_goes_back(backend, root):
    """Objects and temporaries from the future are read, listed, swapped and left alone."""
    backend.cas("a/b", b"1", expected=None)
    (root / "a" / "~new").write_bytes(b"under way")
    for name in ("b", "~new"):
        os.utime(root / "a" / name, (2**32, 2**32))
    backend.open()
    etag = backend.stat("a/b").etag
    assert [info.key for info in backend.list()] == ["a/b"]
    assert backend.cas("a/b", b"2", expected=etag).etag != etag
    assert files(root / "a") == ["b", "~new"]
