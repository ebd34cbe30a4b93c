"""Writes: whole or not at all, with the right bytes, beside others."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from ..base import StorageBackend
from ..errors import KeyInvalid, ObjectCorrupt, ObjectNotFound, ObjectTooLarge
from .calling import attempt, in_threads
from .fixtures import SuiteFixtures

PRECISION = timedelta(seconds=2)


class WriteTests(SuiteFixtures):
    """What `put` promises."""

    def test_overwrite(self, backend: StorageBackend) -> None:
        """A second put replaces the first completely, whatever the sizes."""
        for data in (b"long" * 1000, b"short", b"", b"longer" * 1000):
            backend.put("a", data)
            assert backend.get("a") == data
            assert backend.stat("a").size_bytes == len(data)

    def test_overwrite_is_atomic(self, backend: StorageBackend, other: StorageBackend) -> None:
        """A reader sees the old bytes or the new ones, never a mixture and never nothing."""
        size = 512 * 1024
        backend.put("a", b"0" * size)
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(1, 21):
                    backend.put("a", str(number % 10).encode() * size)
            finally:
                done.set()

        def read() -> int:
            reads = 0
            while not done.is_set() or reads == 0:
                data = other.get("a")
                assert len(data) == size
                assert data == data[:1] * size
                reads += 1
            return reads

        with ThreadPoolExecutor(2) as pool:
            writing, reading = pool.submit(write), pool.submit(read)
            writing.result(timeout=120)
            assert reading.result(timeout=120) > 0

    def test_put_describes_what_it_stored(self, backend: StorageBackend) -> None:
        """The result of a put is what stat says afterwards, times to the storage's precision."""
        info, found = backend.put("a/b", b"12345"), backend.stat("a/b")
        assert (info.key, info.size_bytes, info.etag) == ("a/b", 5, found.etag)
        assert (found.key, found.size_bytes) == ("a/b", 5)
        assert abs(info.modify_time - found.modify_time) < PRECISION
        assert abs(info.modify_time - datetime.now(UTC)) < timedelta(minutes=10)

    def test_right_checksum_is_accepted(self, backend: StorageBackend) -> None:
        """A put with the right SHA-256 succeeds."""
        backend.put("a", b"data", sha256=hashlib.sha256(b"data").hexdigest())
        assert backend.get("a") == b"data"

    def test_wrong_checksum_is_refused(self, backend: StorageBackend) -> None:
        """A put with the wrong SHA-256 fails and leaves what was there."""
        backend.put("a", b"old")
        wrong = hashlib.sha256(b"other").hexdigest()
        for key in ("a", "b"):
            assert attempt(backend.put, key, b"new", sha256=wrong) is ObjectCorrupt
        assert backend.get("a") == b"old"
        self.assert_keys(backend, "", ["a"])

    def test_too_large_object_is_refused(self, backend: StorageBackend) -> None:
        """More than `max_object_bytes` is refused and leaves nothing."""
        data = bytes(backend.properties.max_object_bytes + 1)
        assert attempt(backend.put, "a", data) is ObjectTooLarge
        self.assert_keys(backend, "", [])

    def test_folder_and_object_of_one_name(self, backend: StorageBackend) -> None:
        """`a` and `a/b`: the second is stored or refused with KeyInvalid; the first stays."""
        for first, second in (("f", "f/g"), ("h/i", "h")):
            backend.put(first, b"first")
            refused = attempt(backend.put, second, b"second")
            assert refused in {None, KeyInvalid}
            assert backend.get(first) == b"first"
            if refused is None:
                assert backend.get(second) == b"second"
            else:
                assert attempt(backend.get, second) is ObjectNotFound
                assert attempt(backend.stat, second) is ObjectNotFound

    def test_parallel_puts_of_many_keys(self, backend: StorageBackend) -> None:
        """Threads that write different keys into the same new folders do not disturb each other."""
        in_threads(16, lambda index: backend.put(f"a/b/c{index % 4}/{index}", bytes([index])))
        for index in range(16):
            assert backend.get(f"a/b/c{index % 4}/{index}") == bytes([index])

    def test_puts_beside_deletes(self, backend: StorageBackend) -> None:
        """Emptying a folder never breaks a put into it."""

        def work(index: int) -> None:
            for turn in range(10):
                key = f"a/b/{index}-{turn}"
                backend.put(key, b"x")
                assert backend.get(key) == b"x"
                backend.delete(key)

        in_threads(8, work)
        self.assert_keys(backend, "", [])
