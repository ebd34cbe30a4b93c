"""Bytes, keys and ranges."""

import pytest

from ..base import MAX_KEY_BYTES, StorageBackend
from ..errors import KeyInvalid
from .calling import attempt
from .fixtures import SuiteFixtures

GOOD_KEYS = ("a", "a.b", "a-b_c", "x/y", "0/1/2/3", ".a", "..a", "a..", "k" * MAX_KEY_BYTES)
BAD_KEYS = (
    "",
    "/",
    "/x",
    "x/",
    "x//y",
    ".",
    "..",
    "x/../y",
    "x/./y",
    "X",
    "x y",
    "x\0y",
    "x\n",
    "x\\y",
    "~x",
    "é",
    "k" * (MAX_KEY_BYTES + 1),
)
RANGES = (
    (0, None),
    (0, 0),
    (0, 1),
    (3, 4),
    (4, None),
    (9, 1),
    (9, 5),
    (10, 1),
    (11, None),
    (99, 9),
)


class ContentTests(SuiteFixtures):
    """What is stored under which keys, and reading parts of it."""

    @pytest.mark.parametrize(
        "data",
        [b"", b"\0", bytes(range(256)), b"text\r\n", bytes(range(256)) * (8 * 4096)],
        ids=["empty", "one byte", "all values", "line ends", "8 MiB"],
    )
    def test_round_trip(self, backend: StorageBackend, data: bytes) -> None:
        """What was put is what is got, byte for byte."""
        backend.put("a/b", data)
        assert backend.get("a/b") == data
        assert backend.stat("a/b").size_bytes == len(data)

    def test_every_valid_key_works(self, backend: StorageBackend) -> None:
        """Any key that the rules allow can be stored, listed and deleted."""
        for key in GOOD_KEYS:
            backend.put(key, key.encode())
            assert backend.get(key) == key.encode()
            self.assert_keys(backend, "", [key])
            backend.delete(key)
            self.assert_keys(backend, "", [])

    def test_every_invalid_key_is_refused(self, backend: StorageBackend) -> None:
        """A key that breaks the rules is refused by every verb, before anything happens."""
        for key in BAD_KEYS:
            assert attempt(backend.put, key, b"x") is KeyInvalid, key
            assert attempt(backend.get, key) is KeyInvalid, key
            assert attempt(backend.stat, key) is KeyInvalid, key
            assert attempt(backend.delete, key) is KeyInvalid, key
            assert attempt(backend.cas, key, b"x", expected=None) is KeyInvalid, key
            if key:
                assert attempt(lambda key=key: [*backend.list(key)]) is KeyInvalid, key
        self.assert_keys(backend, "", [])

    def test_range(self, backend: StorageBackend) -> None:
        """A range reads like a slice, also at and beyond the end."""
        data = b"0123456789"
        backend.put("a", data)
        for offset, length in RANGES:
            end = None if length is None else offset + length
            assert backend.get("a", offset=offset, length=length) == data[offset:end]

    def test_range_of_large_object(self, backend: StorageBackend) -> None:
        """Ranges of megabytes are as exact as those of bytes, wherever they begin and end."""
        data = b"".join(number.to_bytes(4, "big") for number in range(3 << 18))
        backend.put("a", data)
        for offset, length in ((1, None), ((1 << 20) - 1, (1 << 20) + 2), (1 << 20, 1 << 20)):
            end = None if length is None else offset + length
            assert backend.get("a", offset=offset, length=length) == data[offset:end]

    def test_range_of_empty_object(self, backend: StorageBackend) -> None:
        """Any range of an empty object is empty."""
        backend.put("a", b"")
        assert backend.get("a", offset=0, length=5) == b""
        assert backend.get("a", offset=5) == b""

    def test_negative_range_is_a_mistake(self, backend: StorageBackend) -> None:
        """Ranges do not count from the end."""
        backend.put("a", b"x")
        with pytest.raises(ValueError, match="range"):
            backend.get("a", offset=-1)
        with pytest.raises(ValueError, match="range"):
            backend.get("a", length=-1)
