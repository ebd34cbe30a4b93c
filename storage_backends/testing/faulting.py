"""Fault injection: what a caller sees when this storage goes wrong, in each way."""

import hashlib
from datetime import timedelta
from itertools import cycle

import pytest

from ..base import StorageBackend
from ..errors import (
    BackendTimeout,
    BackendUnavailable,
    ObjectChanged,
    ObjectCorrupt,
    ObjectExists,
    ObjectNotFound,
    QuotaExceeded,
    StorageError,
)
from ..faults import Call, Fault, Faulty, every, first, on_call
from ..retrying import Retrying, RetryPolicy
from .calling import attempt, in_threads
from .conditions import WRITERS
from .fixtures import SuiteFixtures

PATIENT = RetryPolicy(attempts=10, first=timedelta(0), longest=timedelta(0))
WRITES = ("put", "if_absent", "cas", "swap", "delete")
ON_EVERY_WRITE = pytest.mark.parametrize("write", WRITES, indirect=True)
YEARS = timedelta(days=1000)


class FaultTests(SuiteFixtures):
    """Faults between a caller and this storage; `Retrying` has to find out what was done."""

    @pytest.fixture
    def write(self, request: pytest.FixtureRequest, backend: StorageBackend) -> str:
        """A kind of write; `swap` and `delete` find the object `a` there already."""
        if request.param in {"swap", "delete"}:
            backend.put("a", b"old")
        return str(request.param)

    def do(self, write: str, storage: StorageBackend, etag: str | None) -> bytes | None:
        """Does that write on `a` and returns what is there afterwards."""
        data = b"mine" * 1000
        if write == "delete":
            storage.delete("a")
            return None
        if write == "put":
            info = storage.put("a", data)
        elif write == "if_absent":
            info = storage.put("a", data, if_absent=True)
        else:
            info = storage.cas("a", data, expected=etag)
        assert info.etag == storage.stat("a").etag
        return data

    def is_supported(self, write: str, backend: StorageBackend) -> bool:
        """Whether the backend says that it can do that write."""
        facts = backend.properties
        return {"if_absent": facts.atomic_if_absent}.get(write, True) and (
            write not in {"cas", "swap"} or facts.compare_and_swap
        )

    def etag(self, write: str, backend: StorageBackend) -> str | None:
        """What a swap expects to find."""
        return backend.stat("a").etag if write == "swap" else None

    def content(self, backend: StorageBackend) -> bytes | None:
        """The bytes of `a`, None without one."""
        try:
            return backend.get("a")
        except ObjectNotFound:
            return None

    @ON_EVERY_WRITE
    @pytest.mark.parametrize("fault", [Fault.TIMEOUT_AFTER_SUCCESS, Fault.UNAVAILABLE])
    def test_lost_call(self, backend: StorageBackend, write: str, fault: Fault) -> None:
        """A write whose call or answer is lost is repeated and done exactly once."""
        if not self.is_supported(write, backend):
            return
        flaky = Faulty(backend, on_call(1, fault))
        written = self.do(write, Retrying(flaky, PATIENT), self.etag(write, backend))
        assert self.content(backend) == written
        assert len(flaky.calls) > 1

    @ON_EVERY_WRITE
    def test_timeout_after_success(self, backend: StorageBackend, write: str) -> None:
        """Without retries the caller is told of the timeout, and the whole write is there."""
        if not self.is_supported(write, backend):
            return
        flaky = Faulty(backend, on_call(1, Fault.TIMEOUT_AFTER_SUCCESS))
        error = attempt(self.do, write, flaky, self.etag(write, backend))
        assert error is BackendTimeout
        assert self.content(backend) == (None if write == "delete" else b"mine" * 1000)

    @pytest.mark.parametrize("write", ["if_absent", "cas", "swap"], indirect=True)
    @pytest.mark.parametrize("fault", [Fault.TIMEOUT_AFTER_SUCCESS, Fault.UNAVAILABLE])
    def test_faster_neighbour(
        self, backend: StorageBackend, other: StorageBackend, write: str, fault: Fault
    ) -> None:
        """Who was overtaken while it waited to repeat a conditional write has lost."""
        if not self.is_supported(write, backend):
            return

        def overtake(call: Call) -> Fault | None:
            if call.number == 2:
                other.put("a", b"theirs")
            return fault if call.number == 1 else None

        etag = self.etag(write, backend)
        error = attempt(self.do, write, Retrying(Faulty(backend, overtake), PATIENT), etag)
        assert error is (ObjectExists if write == "if_absent" else ObjectChanged)
        assert backend.get("a") == b"theirs"

    @pytest.mark.parametrize("write", WRITES[:-1], indirect=True)
    def test_torn_write(self, backend: StorageBackend, write: str) -> None:
        """Half an object is written anew, and is never taken for the success of the whole one."""
        if not self.is_supported(write, backend):
            return
        flaky = Faulty(backend, on_call(1, Fault.TORN))
        error = attempt(self.do, write, Retrying(flaky, PATIENT), self.etag(write, backend))
        if write == "put":
            assert error is None
            assert self.content(backend) == b"mine" * 1000
        else:
            assert error is (ObjectExists if write == "if_absent" else ObjectChanged)

    @pytest.mark.parametrize("write", WRITES[:-1], indirect=True)
    def test_no_space(self, backend: StorageBackend, write: str) -> None:
        """A full storage is not asked again, and keeps what was there."""
        if not self.is_supported(write, backend):
            return
        before, etag = self.content(backend), self.etag(write, backend)
        full = Faulty(backend, lambda _: Fault.FULL)
        assert attempt(self.do, write, Retrying(full, PATIENT), etag) is QuotaExceeded
        assert len(full.calls) == 1
        assert self.content(backend) == before

    def test_damaged_on_the_way(self, backend: StorageBackend) -> None:
        """With a checksum, bytes that are damaged on the way never replace good ones."""
        backend.put("a", b"old")
        damaging = Retrying(Faulty(backend, lambda _: Fault.DAMAGED), PATIENT)
        digest = hashlib.sha256(b"new").hexdigest()
        assert attempt(damaging.put, "a", b"new", sha256=digest) is ObjectCorrupt
        assert backend.get("a") == b"old"

    def test_list_that_breaks_off(self, backend: StorageBackend) -> None:
        """A list that ends in an error is continued where it was, without gaps or doubles."""
        keys = [f"n/{number:02}" for number in range(20)]
        for key in keys:
            backend.put(key, b"")
        self.assert_keys(backend, "n", keys)
        for fault in (Fault.TIMEOUT_AFTER_SUCCESS, Fault.UNAVAILABLE):
            flaky = Faulty(backend, first(3, fault))
            assert [info.key for info in Retrying(flaky, PATIENT).list("n")] == keys
            assert len(flaky.calls) == 4
        broken = Faulty(backend, lambda _: Fault.UNAVAILABLE)
        assert attempt(lambda: [*broken.list("n")]) is BackendUnavailable

    def test_two_writers_on_a_bad_line(
        self, backend: StorageBackend, other: StorageBackend
    ) -> None:
        """Writers that race for one object while every third answer is lost: one wins."""
        if not backend.properties.atomic_if_absent:
            return
        bad = [
            Retrying(Faulty(each, every(3, Fault.TIMEOUT_AFTER_SUCCESS)), PATIENT)
            for each in (backend, other)
        ]

        def create(index: int) -> type[StorageError] | None:
            return attempt(bad[index % 2].put, "a", bytes([index]) * 9999, if_absent=True)

        results = in_threads(WRITERS // 2, create)
        assert results.count(None) == 1
        assert backend.get("a") == bytes([results.index(None)]) * 9999

    def test_clock_jumps(self, backend: StorageBackend) -> None:
        """Nothing but `modify_time` depends on the storage's clock, which may jump both ways."""
        jumps = cycle([YEARS, -YEARS, timedelta(0), -3 * YEARS])
        flaky = Faulty(backend, every(4, Fault.TIMEOUT_AFTER_SUCCESS), clock=lambda: next(jumps))
        storage = Retrying(flaky, PATIENT)
        etags = {storage.put("a", b"%d" % number).etag for number in range(6)}
        assert len(etags) == 6
        if backend.properties.compare_and_swap:
            storage.cas("l", b"0", expected=None)
            for number in range(1, 6):
                info = storage.cas("l", b"%d" % number, expected=storage.stat("l").etag)
                assert info.etag == storage.stat("l").etag
            storage.delete("l")
        for key in ("c", "b"):
            storage.put(key, b"x")
        self.assert_keys(storage, "", ["a", "b", "c"])
