"""Two processes on one storage: who writes, who counts, and who is killed in between."""

import os
import signal
import subprocess
import sys

import pytest

from storage_backends.file import FileBackend, FileConfig
from storage_backends.registry import Registry
from tests.support.s3 import ACCESS_KEY, SECRET_KEY


@pytest.fixture(params=["file", "postgresql", "s3"])
def url(request, tmp_path, monkeypatch):
    if request.param == "file":
        return f"file://{tmp_path}/objects"
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    config = request.getfixturevalue("s3_config")
    settings = f"endpoint={config.endpoint}&region=us-east-1&path_style=true"
    return f"s3://{config.bucket}/{config.prefix}?{settings}"


RACER = """
import sys
from storage_backends.errors import ObjectChanged, ObjectExists
from storage_backends.registry import Registry, stack
with stack(Registry.with_plugins().create(sys.argv[1])) as backend:
    print("ready", flush=True)
    sys.stdin.readline()
    won = 0
    for number in range(10):
        try:
            backend.put(f"first/{number}", sys.argv[2].encode(), if_absent=True)
            won += 1
        except ObjectExists:
            pass
    left = 25
    while left:
        etag = backend.stat("counter").etag
        value = int(backend.get("counter"))
        try:
            backend.cas("counter", b"%d" % (value + 1), expected=etag)
        except ObjectChanged:
            continue
        left -= 1
    print(won)
"""


def test_two_writers(url):
    """Two processes create each object once between them, and lose no step of one counter."""
    with Registry.with_plugins().create(url) as backend:
        backend.cas("counter", b"0", expected=None)
        children = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, url, name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for name in ("one", "two")
        ]
        for child in children:
            assert child.stdout.readline() == b"ready\n"
        for child in children:
            child.stdin.write(b"\n")
            child.stdin.flush()
        won = [int(child.communicate(timeout=60)[0]) for child in children]
        assert [child.returncode for child in children] == [0, 0]
        assert sum(won) == 10
        owners = [backend.get(f"first/{number}") for number in range(10)]
        assert [owners.count(b"one"), owners.count(b"two")] == won
        assert backend.get("counter") == b"50"


VICTIM = """
import os, signal, sys
from pathlib import Path
from storage_backends.file import FileBackend, FileConfig
how, event = sys.argv[2:]
with FileBackend(FileConfig(root=Path(sys.argv[1]))) as backend:
    etag = backend.stat("a/b").etag if how != "if_absent" else None
    def die(name, arguments):
        if name == event and "~lock" not in str(arguments):
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)
    if how == "cas":
        backend.cas("a/b", b"new" * 1000, expected=etag)
    elif how == "delete":
        backend.delete("a/b")
    else:
        backend.put("a/b", b"new" * 1000, if_absent=how == "if_absent")
"""


@pytest.mark.parametrize(
    ("how", "event", "is_done"),
    [
        ("put", "os.rename", False),
        ("put", "os.remove", True),
        ("if_absent", "os.link", False),
        ("if_absent", "os.remove", True),
        ("cas", "os.rename", False),
        ("cas", "os.remove", True),
        ("delete", "os.remove", False),
    ],
)
def test_killed_between_two_steps(tmp_path, how, event, is_done):
    """Killed before its one atomic step a write was never done, killed after it is whole."""
    root = tmp_path / "objects"
    with FileBackend(FileConfig(root=root)) as backend:
        if how != "if_absent":
            backend.put("a/b", b"old")
        child = subprocess.run(
            [sys.executable, "-c", VICTIM, root, how, event], timeout=60, check=False
        )
        assert child.returncode == -signal.SIGKILL
        before = [] if how == "if_absent" else [b"old"]
        listed = [backend.get(info.key) for info in backend.list()]
        assert listed == ([b"new" * 1000] if is_done else before)
        backend.put("a/b", b"next")  # nobody holds the dead one's lock
        assert backend.cas("a/b", b"last", expected=backend.stat("a/b").etag).size_bytes == 4
        for left in root.glob("a/~*"):
            os.utime(left, (0, 0))
    with FileBackend(FileConfig(root=root)):
        assert [path.name for path in (root / "a").iterdir()] == ["b"]
