"""The data directory."""

import json
import os
import shutil
import stat
import subprocess
import sys

import pytest

from server.datadir import (
    DataDirectory,
    DataDirectoryBusy,
    DataDirectoryUnusable,
    place,
    server_id,
)


@pytest.fixture(autouse=True)
def umask():
    """Entering a data directory changes the process's umask."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_it_is_private_and_says_where_the_server_is(tmp_path):
    """0700, 0600; the announcement goes with a clean exit."""
    with DataDirectory(tmp_path / "a" / "b") as directory:
        directory.announce({"address": "127.0.0.1:1"})
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
        assert stat.S_IMODE(directory.announcement.stat().st_mode) == 0o600
        assert json.loads(directory.announcement.read_text()) == {
            "address": "127.0.0.1:1",
            "pid": os.getpid(),
        }
    assert not directory.announcement.exists()


def test_a_second_server_is_refused_until_the_first_is_gone(tmp_path):
    """Two servers on one directory would connect each session twice."""
    with DataDirectory(tmp_path) as first:
        first.announce({})
        with pytest.raises(DataDirectoryBusy), DataDirectory(tmp_path):
            pass
        assert first.announcement.exists()
    with DataDirectory(tmp_path):
        pass


def test_a_killed_server_leaves_no_lock_and_no_stale_announcement(tmp_path):
    """The kernel drops the lock; the next server drops the file."""
    program = (
        "import os, sys, pathlib\n"
        "from server.datadir import DataDirectory\n"
        "d = DataDirectory(pathlib.Path(sys.argv[1])); d.__enter__(); d.announce({})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert (tmp_path / "server.json").exists()
    with DataDirectory(tmp_path) as directory:
        assert not directory.announcement.exists()


def test_an_unusable_place_says_why(tmp_path):
    """A file is no directory."""
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryUnusable, match="file"), DataDirectory(tmp_path / "file"):
        pass


def test_a_server_keeps_its_id_and_a_copy_has_another_place(tmp_path):
    """Leases are the server's by its id; whether two processes can both have it, by the place."""
    first = tmp_path / "first"
    first.mkdir()
    made = server_id(first)
    assert len(made) == 16
    assert server_id(first) == made
    assert stat.S_IMODE((first / "server.id").stat().st_mode) == 0o600
    shutil.copytree(first, tmp_path / "copy")
    assert server_id(tmp_path / "copy") == made
    assert place(first) == place(first)
    assert place(tmp_path / "copy") != place(first)
    (tmp_path / "other").mkdir()
    assert server_id(tmp_path / "other") != made
