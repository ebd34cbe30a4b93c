"""Lists, deletes and missing objects."""

from concurrent.futures import ThreadPoolExecutor

from ..base import StorageBackend
from ..errors import ObjectNotFound
from .calling import attempt, in_threads
from .fixtures import SuiteFixtures
from .writing import PRECISION


class ListTests(SuiteFixtures):
    """What `list` and `delete` promise, and what is not there."""

    def test_missing_object(self, backend: StorageBackend) -> None:
        """Reading or describing what is not there raises ObjectNotFound; a folder is not there."""
        backend.put("a/b", b"x")
        for key in ("b", "a", "a/c", "a/b/c"):
            assert attempt(backend.get, key) is ObjectNotFound
            assert attempt(backend.get, key, offset=1, length=1) is ObjectNotFound
            assert attempt(backend.stat, key) is ObjectNotFound

    def test_delete(self, backend: StorageBackend) -> None:
        """Delete removes that object and nothing else, and can be repeated."""
        for key in ("a/b", "a/bc", "a/d/e", "z"):
            backend.put(key, b"x")
        for key in ("a/b", "a/b", "a", "a/d", "nothing", "no/thing", "z/z"):
            backend.delete(key)
        assert attempt(backend.get, "a/b") is ObjectNotFound
        self.assert_keys(backend, "", ["a/bc", "a/d/e", "z"])

    # --- listing

    def test_list_is_sorted_and_bound_to_folders(self, backend: StorageBackend) -> None:
        """A list has everything below the folder, by the key's bytes, and nothing beside it."""
        keys = ["a-b/1", "a.b/1", "a/-", "a/b", "a/b-c", "a/b.c/x", "a/bc", "a/c/b/1", "a0/1", "b"]
        for key in reversed(keys):
            backend.put(key, b"x")
        assert keys == sorted(keys)
        self.assert_keys(backend, "", keys)
        self.assert_keys(backend, "a", [key for key in keys if key.startswith("a/")])
        self.assert_keys(backend, "a/c", ["a/c/b/1"])
        for nothing in ("b", "a/b", "c", "a/c/b/1", "a/c/d"):
            self.assert_keys(backend, nothing, [])

    def test_list_describes(self, backend: StorageBackend) -> None:
        """A listed object has its size and time; the etag is left to stat."""
        info = backend.put("a/b", b"12345")
        self.assert_keys(backend, "", ["a/b"])
        (listed,) = backend.list("a")
        assert (listed.key, listed.size_bytes, listed.etag) == ("a/b", 5, "")
        assert abs(listed.modify_time - info.modify_time) < PRECISION

    def test_list_of_many(self, backend: StorageBackend) -> None:
        """More than a thousand objects are listed completely and in order."""
        keys = [f"n/{number:04}" for number in range(1100)]

        def fill(index: int) -> None:
            for key in keys[index::8]:
                backend.put(key, b"")

        in_threads(8, fill)
        self.assert_keys(backend, "n", keys)

        def clear(index: int) -> None:
            for key in keys[index::8]:
                backend.delete(key)

        in_threads(8, clear)
        self.assert_keys(backend, "", [])

    def test_list_shows_no_write_under_way(
        self, backend: StorageBackend, other: StorageBackend
    ) -> None:
        """While an object is being replaced, a list shows it whole and shows nothing else."""
        size = 2 * 1024 * 1024
        backend.put("a/b", b"0" * size)
        self.assert_keys(other, "", ["a/b"])
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(lambda: [backend.put("a/b", b"1" * size) for _ in range(10)])
            while not writing.done():
                assert [(info.key, info.size_bytes) for info in other.list()] == [("a/b", size)]
            writing.result(timeout=120)
