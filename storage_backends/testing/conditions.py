"""Conditional writes: one winner, and no update lost."""

import time

from ..base import StorageBackend
from ..errors import NotSupported, ObjectChanged, ObjectExists, StorageError
from .calling import attempt, in_threads
from .fixtures import SuiteFixtures

APPENDS = 5
WRITERS = 8
TURNS = 5
ENOUGH_SECONDS = 1.0


class ConditionTests(SuiteFixtures):
    """What `if_absent` and `cas` promise."""

    def test_if_absent(self, backend: StorageBackend) -> None:
        """`if_absent` creates and never replaces; after a delete it creates again."""
        if not backend.properties.atomic_if_absent:
            assert attempt(backend.put, "a", b"x", if_absent=True) is NotSupported
            return
        info = backend.put("a", b"first", if_absent=True)
        assert info.etag == backend.stat("a").etag
        assert attempt(backend.put, "a", b"second", if_absent=True) is ObjectExists
        assert backend.get("a") == b"first"
        backend.delete("a")
        backend.put("a", b"third", if_absent=True)
        assert backend.get("a") == b"third"

    def test_if_absent_has_one_winner(self, backend: StorageBackend, other: StorageBackend) -> None:
        """Of 16 writers at once, over two instances, exactly one creates the object."""
        if not backend.properties.atomic_if_absent:
            return
        started = time.monotonic()
        for turn in range(TURNS):
            key = f"race/{turn}"

            def create(index: int, key: str = key) -> type[StorageError] | None:
                writer = backend if index % 2 else other
                return attempt(writer.put, key, bytes([index]) * 9999, if_absent=True)

            results = in_threads(2 * WRITERS, create)
            assert results.count(None) == 1
            assert results.count(ObjectExists) == len(results) - 1
            assert backend.get(key) == bytes([results.index(None)]) * 9999
            if time.monotonic() - started > ENOUGH_SECONDS:  # some servers queue such writers
                break

    def test_cas(self, backend: StorageBackend, other: StorageBackend) -> None:
        """`cas` creates if absent, swaps what is as expected, and refuses everything else."""
        if not backend.properties.compare_and_swap:
            assert attempt(backend.cas, "a", b"x", expected=None) is NotSupported
            return
        first = backend.cas("l/a", b"1", expected=None)
        assert first.etag == other.stat("l/a").etag != ""
        assert attempt(other.cas, "l/a", b"2", expected=None) is ObjectChanged
        second = other.cas("l/a", b"2", expected=first.etag)
        assert second.etag != first.etag
        assert attempt(backend.cas, "l/a", b"3", expected=first.etag) is ObjectChanged
        assert backend.get("l/a") == b"2"
        backend.delete("l/a")
        assert attempt(backend.cas, "l/a", b"4", expected=second.etag) is ObjectChanged
        self.assert_keys(backend, "", [])

    def test_cas_loses_no_update(self, backend: StorageBackend, other: StorageBackend) -> None:
        """Eight writers that append to one object, over two instances, lose no line."""
        if not backend.properties.compare_and_swap:
            return
        backend.cas("lines", b"", expected=None)

        def append(index: int) -> list[str]:
            storage = backend if index % 2 else other
            done: list[str] = []
            for number in range(1000):
                line = f"{index}-{number}"
                etag = storage.stat("lines").etag
                data = storage.get("lines") + f"{line}\n".encode()
                if attempt(storage.cas, "lines", data, expected=etag) is None:
                    done.append(line)
                    if len(done) == APPENDS:
                        break
            return done

        done = [line for lines in in_threads(WRITERS, append) for line in lines]
        found = backend.get("lines").decode().split()
        assert len(done) == WRITERS * APPENDS
        assert len(set(found)) == len(found)
        assert set(done) <= set(found)
        assert self.answers_get_lost or len(found) == len(done)

    def test_etags_differ_with_contents(self, backend: StorageBackend) -> None:
        """Two contents of one key never have the same etag."""
        etags = [backend.put("a", data).etag for data in (b"", b"1", b"2", b"22", b"x" * 70000)]
        assert len(set(etags)) == len(etags)
