"""The conformance suite: what a backend promises in `base.StorageBackend`, as tests.

Shipped, so that a backend anywhere can prove itself::

    class TestMine(BackendSuite):
        @pytest.fixture
        def new_backend(self, tmp_path):
            return lambda: MyBackend(MyConfig(folder=tmp_path))

The suite never asks for a backend's name: differences are read from its `Properties`, and what a
backend declares not to do it must refuse with NotSupported. For good assertion messages put
`pytest.register_assert_rewrite("storage_backends.testing")` into your conftest.py.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import pytest

from .base import MAX_KEY_BYTES, StorageBackend
from .errors import (
    BackendClosed,
    KeyInvalid,
    NotSupported,
    ObjectChanged,
    ObjectCorrupt,
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
)
from .layers import Checked

T = TypeVar("T")

APPENDS = 5
WRITERS = 8
PRECISION = timedelta(seconds=2)
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


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    """Runs `work(0)` to `work(count - 1)` at the same moment and gives the results in order."""
    start = threading.Barrier(count)

    def run(index: int) -> T:
        start.wait(timeout=30)
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def attempt(call: Callable[..., object], *args: Any, **named: Any) -> type[StorageError] | None:
    """The class of the StorageError that the call raises, or None."""
    try:
        call(*args, **named)
    except StorageError as exc:
        return type(exc)
    return None


class BackendSuite:
    """Subclass it, override the fixture `new_backend`, and it tests everything."""

    answers_get_lost: ClassVar[bool] = False
    """True for a stack that repeats unanswered calls: what it says was refused may be done."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Strings of the configuration that no error and no name may show."""

    @pytest.fixture
    def new_backend(self) -> Callable[[], StorageBackend]:
        """Override: a function that makes unopened backends, all on the same empty storage."""
        raise NotImplementedError

    @pytest.fixture
    def leftovers(self) -> Callable[[], list[str]]:
        """Override where storage can hold more than objects: whatever else is in it."""
        return list

    @pytest.fixture
    def backend(
        self, new_backend: Callable[[], StorageBackend], leftovers: Callable[[], list[str]]
    ) -> Iterator[StorageBackend]:
        """An open, empty backend; afterwards nothing may be left behind."""
        with Checked(new_backend()) as backend:
            yield backend
            for info in list(backend.list()):
                backend.delete(info.key)
            self.wait_until(backend, lambda: not list(backend.list()))
            assert leftovers() == []

    @pytest.fixture
    def other(self, new_backend: Callable[[], StorageBackend]) -> Iterator[StorageBackend]:
        """A second instance on the same storage, as another process would have."""
        with Checked(new_backend()) as other:
            yield other

    def wait_until(self, backend: StorageBackend, fact: Callable[[], bool]) -> None:
        """Checks at once where lists are strong, else soon."""
        deadline = time.monotonic() + (0 if backend.properties.strong_list else 30)
        while not fact():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def assert_keys(self, backend: StorageBackend, prefix: str, expected: list[str]) -> None:
        """`list(prefix)` gives exactly these keys in this order."""
        self.wait_until(backend, lambda: [info.key for info in backend.list(prefix)] == expected)

    # --- bytes

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

    @pytest.mark.parametrize("key", GOOD_KEYS)
    def test_every_valid_key_works(self, backend: StorageBackend, key: str) -> None:
        """Any key that the rules allow can be stored, listed and deleted."""
        backend.put(key, key.encode())
        assert backend.get(key) == key.encode()
        self.assert_keys(backend, "", [key])
        backend.delete(key)
        self.assert_keys(backend, "", [])

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_every_invalid_key_is_refused(self, backend: StorageBackend, key: str) -> None:
        """A key that breaks the rules is refused by every verb, before anything happens."""
        for call in (
            lambda: backend.put(key, b"x"),
            lambda: backend.get(key),
            lambda: backend.stat(key),
            lambda: backend.delete(key),
            lambda: backend.cas(key, b"x", expected=None),
        ):
            assert attempt(call) is KeyInvalid
        if key:
            assert attempt(backend.list, key) is KeyInvalid
        self.assert_keys(backend, "", [])

    @pytest.mark.parametrize(
        ("offset", "length"),
        [
            (0, None),
            (0, 0),
            (0, 1),
            (3, 4),
            (9, 1),
            (9, 5),
            (10, 1),
            (11, None),
            (99, 9),
            (4, None),
        ],
    )
    def test_range(self, backend: StorageBackend, offset: int, length: int | None) -> None:
        """A range reads like a slice, also at and beyond the end."""
        data = b"0123456789"
        backend.put("a", data)
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

    # --- writing

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

    # --- if absent

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
        for turn in range(3):
            key = f"race/{turn}"

            def create(index: int, key: str = key) -> type[StorageError] | None:
                writer = backend if index % 2 else other
                return attempt(writer.put, key, bytes([index]) * 9999, if_absent=True)

            results = in_threads(16, create)
            assert results.count(None) == 1
            assert results.count(ObjectExists) == len(results) - 1
            assert backend.get(key) == bytes([results.index(None)]) * 9999

    # --- compare and swap

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

    # --- missing objects, deleting

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

    # --- instances

    def test_two_instances_see_each_other(
        self, backend: StorageBackend, other: StorageBackend
    ) -> None:
        """What one instance did, another sees at once."""
        backend.put("a", b"1")
        assert other.get("a") == b"1"
        self.assert_keys(other, "", ["a"])
        other.put("a", b"2")
        assert backend.get("a") == b"2"
        other.delete("a")
        assert attempt(backend.get, "a") is ObjectNotFound

    def test_reopen(self, new_backend: Callable[[], StorageBackend]) -> None:
        """Objects outlive the instance, and a closed instance can be opened again."""
        first = Checked(new_backend())
        with first:
            first.put("a", b"x")
        with Checked(new_backend()) as second:
            assert second.get("a") == b"x"
        with first:
            assert first.get("a") == b"x"
            first.delete("a")

    def test_closed_backend_refuses(self, new_backend: Callable[[], StorageBackend]) -> None:
        """Before open and after close every verb raises BackendClosed; close can be repeated."""
        backend = Checked(new_backend())

        def assert_closed() -> None:
            for call in (
                lambda: backend.put("a", b"x"),
                lambda: backend.get("a"),
                lambda: backend.stat("a"),
                lambda: backend.delete("a"),
                lambda: list(backend.list()),
                lambda: backend.cas("a", b"x", expected=None),
            ):
                assert attempt(call) is BackendClosed

        assert_closed()
        backend.open()
        assert list(backend.list()) == []
        backend.close()
        backend.close()
        assert_closed()

    # --- errors

    def test_errors_say_where_and_tell_no_secret(self, backend: StorageBackend) -> None:
        """An error carries backend and key, its text has both, and no secret is in any of it."""
        with pytest.raises(ObjectNotFound) as caught:
            backend.get("a/b")
        assert (caught.value.backend, caught.value.key) == (backend.name, "a/b")
        assert str(caught.value).startswith(f"{backend.name}: a/b: ")
        for secret in self.secrets:
            assert secret not in f"{caught.value!r}{caught.value}{backend.name}"

    def test_properties_do_not_change(self, new_backend: Callable[[], StorageBackend]) -> None:
        """Name and properties are known before open and stay the same."""
        backend = new_backend()
        before = (backend.name, backend.properties)
        with backend:
            assert (backend.name, backend.properties) == before
        assert (backend.name, backend.properties) == before
        assert before[1].connections > 0
