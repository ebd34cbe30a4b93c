"""The key file and the seal."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.backups.keyring import (
    HEADER_BYTES,
    Key,
    KeyFileError,
    Keyring,
    KeyUnknown,
    SealBroken,
)

KEYRING = Keyring([Key(bytes(32))])
SEALED = KEYRING.seal(b"the credentials", b"context")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "backup.key"


def test_made_at_first_start(path):
    """The first start makes a private file, the next one reads the same key."""
    before = os.umask(0)
    try:
        first = Keyring.load_or_create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    second = Keyring.load_or_create(path)
    assert second.key_id == first.key_id
    assert second.open(first.seal(b"x", b""), b"") == b"x"


def test_each_first_start_makes_another_key(tmp_path):
    """Two servers have two keys."""
    keyrings = [Keyring.load_or_create(tmp_path / name) for name in "ab"]
    assert keyrings[0].key_id != keyrings[1].key_id
    with pytest.raises(KeyUnknown):
        keyrings[1].open(keyrings[0].seal(b"x", b""), b"")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_readable_by_others(path, mode):
    """A key that others may read is refused, and the message says how to mend it."""
    Keyring.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Keyring.load_or_create(path)


@pytest.mark.parametrize(
    "change",
    [lambda _: "", lambda text: text[:-3], lambda text: "x" + text],
    ids=["empty", "cut", "changed"],
)
def test_damaged_file(path, change):
    """An empty, cut or changed file is refused, not replaced: backups depend on it."""
    Keyring.load_or_create(path)
    damaged = change(path.read_text())
    path.write_text(damaged)
    with pytest.raises(KeyFileError, match="damaged"):
        Keyring.load_or_create(path)
    assert path.read_text() == damaged


def test_one_wrong_digit(path):
    """The id finds a single wrong digit of the key."""
    Keyring.load_or_create(path)
    text = path.read_text().rstrip()
    path.write_text(text[:-1] + ("0" if text[-1] != "0" else "1"))
    with pytest.raises(KeyFileError, match="damaged"):
        Keyring.load_or_create(path)


def test_not_a_file(path):
    """What cannot be read is an error that names the place and no secret."""
    path.mkdir(parents=True, mode=0o700)
    with pytest.raises(KeyFileError, match=r"backup\.key"):
        Keyring.load_or_create(path)


def test_rotation(path):
    """A new key on top seals; the old one below still opens."""
    old = Keyring.load_or_create(path)
    sealed = old.seal(b"old", b"c")
    fresh = Key.generate()
    path.write_text(fresh.line() + "\n\n" + path.read_text())
    keyring = Keyring.load_or_create(path)
    assert keyring.key_id == fresh.id.hex() != old.key_id
    assert keyring.open(sealed, b"c") == b"old"
    with pytest.raises(KeyUnknown):
        old.open(keyring.seal(b"new", b"c"), b"c")


@given(st.binary(max_size=2000), st.binary(max_size=50))
def test_round_trip(data, context):
    """What was sealed is opened, in its own context only."""
    sealed = KEYRING.seal(data, context)
    assert KEYRING.open(sealed, context) == data
    with pytest.raises(SealBroken):
        KEYRING.open(sealed, context + b"x")


@pytest.mark.parametrize("position", range(len(SEALED)))
def test_every_flipped_bit_is_found(position):
    """No byte of a sealed object can change unnoticed, the header's included."""
    for bit in range(8):
        changed = bytearray(SEALED)
        changed[position] ^= 1 << bit
        with pytest.raises((SealBroken, KeyUnknown)):
            KEYRING.open(bytes(changed), b"context")


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_every_cut_is_found(length):
    """Nor can it be cut anywhere."""
    with pytest.raises(SealBroken):
        KEYRING.open(SEALED[:length], b"context")


def test_nothing_repeats():
    """Two seals of the same bytes share nothing but magic and key id."""
    a, b = (KEYRING.seal(bytes(64), b"") for _ in range(2))
    assert a[:16] == b[:16]
    assert a[16:HEADER_BYTES] != b[16:HEADER_BYTES]
    assert a[HEADER_BYTES:] != b[HEADER_BYTES:]


def test_repr_tells_no_secret():
    """Keys do not reach logs by accident."""
    key = Key(b"\x01" * 32)
    assert "01" * 4 not in repr(key)
    assert "\\x01" not in repr(key)
