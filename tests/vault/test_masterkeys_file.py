"""Master keys in a file."""

import os
import stat
import subprocess
import sys

import pytest

from server.vault.masterkeys.base import MasterKeyUnusable, WrapBroken
from server.vault.masterkeys.file import FileKey

KEY = FileKey(bytes(32))
SECRET = bytes(range(32))
WRAPPED = KEY.wrap(SECRET, b"context")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "backup.key"


def test_made_at_first_start(path):
    """The first start makes a private file with one key, the next one reads the same key."""
    before = os.umask(0)
    try:
        first = FileKey.load_or_create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert FileKey.load_or_create(path) == first
    assert len(first) == 1


def test_each_first_start_makes_another_key(tmp_path):
    """Two servers have two keys, and one does not open what the other wrapped."""
    [a], [b] = (FileKey.load_or_create(tmp_path / name) for name in "ab")
    assert a.id != b.id
    with pytest.raises(WrapBroken):
        b.unwrap(a.wrap(SECRET, b""), b"")


def test_every_line_is_a_key(path):
    """A second line is a second master key; a line given twice is one."""
    old = FileKey.load_or_create(path)
    new = FileKey.generate()
    path.write_text(f"{new.line()}\n\n{old[0].line()}\n{new.line()}\n")
    assert FileKey.load_or_create(path) == [new, *old]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_readable_by_others(path, mode):
    """A key that others may read is refused, and the message says how to mend it."""
    FileKey.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(MasterKeyUnusable, match="chmod 600"):
        FileKey.load_or_create(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda text: text[:-3],
        lambda text: "x" + text,
        lambda text: text[:-2] + ("0" if text[-2] != "0" else "1"),
        lambda text: text + FileKey.generate().line()[:-1],
    ],
    ids=["empty", "cut", "label", "one-digit", "second-line-cut"],
)
def test_damaged_file(path, change):
    """An empty, cut or changed file is refused, not replaced: backups depend on it."""
    FileKey.load_or_create(path)
    damaged = change(path.read_text())
    path.write_text(damaged)
    with pytest.raises(MasterKeyUnusable, match="damaged") as caught:
        FileKey.load_or_create(path)
    assert path.read_text() == damaged
    assert not any(word in str(caught.value) for word in damaged.split())


def test_not_a_file(path):
    """What cannot be read is an error that names the place and no secret."""
    path.mkdir(parents=True, mode=0o700)
    with pytest.raises(MasterKeyUnusable, match=r"backup\.key"):
        FileKey.load_or_create(path)


def test_round_trip():
    """What was wrapped is unwrapped, in its own context only."""
    assert KEY.unwrap(WRAPPED, b"context") == SECRET
    for other in (b"", b"contex", b"context0"):
        with pytest.raises(WrapBroken):
            KEY.unwrap(WRAPPED, other)


@pytest.mark.parametrize("position", range(len(WRAPPED)))
def test_every_flipped_bit_is_found(position):
    """No byte of a wrapped key can change unnoticed, the header's included."""
    for bit in range(8):
        changed = bytearray(WRAPPED)
        changed[position] ^= 1 << bit
        with pytest.raises(WrapBroken):
            KEY.unwrap(bytes(changed), b"context")


@pytest.mark.parametrize("length", range(len(WRAPPED)))
def test_every_cut_is_found(length):
    """Nor can it be cut anywhere, or be made longer."""
    with pytest.raises(WrapBroken):
        KEY.unwrap(WRAPPED[:length], b"context")
    with pytest.raises(WrapBroken):
        KEY.unwrap(WRAPPED + WRAPPED[: length + 1], b"context")


def test_nothing_repeats():
    """Two wraps of one secret share the plain front and nothing else."""
    a, b = (KEY.wrap(SECRET, b"") for _ in range(2))
    assert a[:17] == b[:17]
    assert a[17:49] != b[17:49]
    assert a[51:] != b[51:]


def test_repr_tells_no_secret():
    """Keys do not reach logs by accident."""
    key = FileKey(b"\x01" * 32)
    assert "01" * 4 not in repr(key)
    assert "\\x01" not in repr(key)


def test_fresh_line_for_the_file(path):
    """The documented command prints a line that the file takes, another one each time."""
    command = [sys.executable, "-m", "server.vault.masterkeys"]
    lines = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)
    ]
    path.parent.mkdir()
    path.write_text("".join(lines))
    path.chmod(0o600)
    assert len(FileKey.load_or_create(path)) == 2
