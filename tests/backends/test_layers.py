"""The layers: each passes the suite around memory, and does its own work."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from storage_backends.base import Properties
from storage_backends.errors import (
    AccessDenied,
    BackendTimeout,
    BackendUnavailable,
    NotSupported,
    ObjectChanged,
    ObjectCorrupt,
    ObjectExists,
    QuotaExceeded,
)
from storage_backends.faults import Fault, Faulty, every, on_call
from storage_backends.layers import Checked, Layer, Limited, Logged
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.retrying import Retrying, RetryPolicy
from storage_backends.testing import BackendSuite, in_threads

PATIENT = RetryPolicy(attempts=10, first=timedelta(0), longest=timedelta(0))


class LayerSuite(BackendSuite):
    @pytest.fixture
    def new_backend(self):
        space = MemorySpace()
        return lambda: self.around(MemoryBackend(space))


class TestRetryingUnavailable(LayerSuite):
    """Every third call fails before anything is done; nobody notices."""

    def around(self, backend):
        return Retrying(Faulty(backend, every(3, Fault.UNAVAILABLE)), PATIENT)


class TestRetryingTimeouts(LayerSuite):
    """Every third call is done but its answer is lost; nobody notices that either."""

    answers_get_lost = True

    def around(self, backend):
        return Retrying(Faulty(backend, every(3, Fault.TIMEOUT_AFTER_SUCCESS)), PATIENT)


class Weak(Layer):
    """A storage that can neither create nor swap conditionally."""

    @property
    def properties(self):
        return Properties(
            connections=1, atomic_if_absent=False, compare_and_swap=False, strong_list=False
        )


class TestWeak(LayerSuite):
    """The suite takes a backend at its word about what it cannot do."""

    around = Weak


@pytest.fixture
def memory():
    with Checked(MemoryBackend()) as backend:
        yield backend


def faulty(memory, rule):
    return Faulty(memory, rule)


class TestRetries:
    def test_gives_up(self, memory):
        """After the last attempt the error itself comes out, and the delays have doubled."""
        delays = []
        broken = faulty(memory, lambda _: Fault.UNAVAILABLE)
        policy = RetryPolicy(attempts=5, first=timedelta(seconds=1), longest=timedelta(seconds=3))
        backend = Retrying(broken, policy, sleep=delays.append, chance=lambda: 1.0)
        with pytest.raises(BackendUnavailable):
            backend.put("a", b"x")
        assert len(broken.calls) == 5
        assert delays == [1, 2, 3, 3]

    def test_chance_takes_up_to_half(self):
        """Delays are spread, so that many callers do not come back together."""
        policy = RetryPolicy(first=timedelta(seconds=2))
        assert (policy.delay(1, 0.0), policy.delay(1, 1.0)) == (1.0, 2.0)

    def test_list_gives_up(self, memory):
        """A list that never gets further ends in the error."""
        memory.put("a", b"")
        backend = Retrying(
            faulty(memory, lambda _: Fault.TIMEOUT_AFTER_SUCCESS), PATIENT, sleep=lambda _: None
        )
        with pytest.raises(BackendTimeout):
            list(backend.list())

    def test_permanent_errors_are_not_repeated(self, memory):
        """What will not get better is reported at once."""
        full = faulty(memory, lambda _: Fault.FULL)
        with pytest.raises(QuotaExceeded):
            Retrying(full, PATIENT).put("a", b"x")
        assert len(full.calls) == 1

    def test_own_success_is_recognised(self, memory):
        """A conditional write that was done although it timed out counts as done."""
        for number, verb in ((1, "put"), (1, "cas")):
            flaky = faulty(memory, on_call(number, Fault.TIMEOUT_AFTER_SUCCESS))
            backend = Retrying(flaky, PATIENT)
            if verb == "put":
                info = backend.put(verb, b"mine", if_absent=True)
            else:
                info = backend.cas(verb, b"mine", expected=None)
            assert info == memory.stat(verb)

    def test_foreign_success_is_not_ours(self, memory):
        """If another writer was faster during the outage, we lose."""
        for rule in (on_call(1, Fault.UNAVAILABLE), on_call(99, Fault.UNAVAILABLE)):
            memory.put("a", b"theirs")
            with pytest.raises(ObjectExists):
                Retrying(faulty(memory, rule), PATIENT).put("a", b"mine", if_absent=True)
            with pytest.raises(ObjectChanged):
                Retrying(faulty(memory, rule), PATIENT).cas("a", b"mine", expected=None)

    def test_equal_bytes_without_an_outage_lose(self, memory):
        """Equal bytes of another writer are only taken for ours after an unclear failure."""
        memory.put("a", b"same")
        with pytest.raises(ObjectExists):
            Retrying(memory, PATIENT).put("a", b"same", if_absent=True)

    def test_vanished_object_is_not_ours(self, memory):
        """An object that appeared and vanished during the outage is not taken for ours."""
        memory.put("a", b"theirs")
        flaky = faulty(memory, on_call(1, Fault.UNAVAILABLE))
        backend = Retrying(flaky, PATIENT)
        ask = flaky.rule

        def vanish(call):
            if call.verb == "stat":
                memory.delete("a")
            return ask(call)

        flaky.rule = vanish
        with pytest.raises(ObjectExists):
            backend.put("a", b"mine", if_absent=True)

    def test_open_is_repeated(self):
        """A storage that is not up yet is waited for."""

        class Late(Layer):
            opens = 0

            def open(self):
                self.opens += 1
                if self.opens < 3:
                    raise BackendUnavailable(backend=self.name)

        late = Late(MemoryBackend())
        with Retrying(late, PATIENT):
            assert late.opens == 3


class Gate(Layer):
    """Counts calls under way and lets them end when told to."""

    def __init__(self, inner):
        super().__init__(inner)
        self.lock, self.running, self.most = threading.Lock(), 0, 0
        self.release = threading.Event()

    def get(self, key, *, offset=0, length=None):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            assert self.release.wait(timeout=30)
            return super().get(key, offset=offset, length=length)
        finally:
            with self.lock:
                self.running -= 1


class TestLimits:
    def test_no_more_than_connections(self, memory):
        """Calls beyond `connections` wait for a slot and are then done."""
        gate = Gate(memory)
        backend = Limited(gate)
        backend.put("a", b"x")
        with ThreadPoolExecutor(12) as pool:
            calls = [pool.submit(backend.get, "a") for _ in range(12)]
            while gate.running < memory.properties.connections:
                pass
            gate.release.set()
            assert [call.result(timeout=30) for call in calls] == [b"x"] * 12
        assert gate.most == memory.properties.connections

    def test_waiting_has_an_end(self, memory):
        """Who gets no slot in time is told so."""
        gate = Gate(memory)
        backend = Limited(gate, max_wait=timedelta(seconds=0.05))
        backend.put("a", b"x")
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(backend.get, "a") for _ in range(4)]
            while gate.running < memory.properties.connections:
                pass
            with pytest.raises(BackendTimeout):
                backend.get("a")
            gate.release.set()
            for call in calls:
                call.result(timeout=30)

    def test_calls_while_listing(self):
        """With a single connection a reader of a list may still call."""
        with Checked(MemoryBackend()) as memory:
            backend = Limited(Weak(memory), max_wait=timedelta(seconds=1))
            for key in "abc":
                backend.put(key, b"x")
            for info in backend.list():
                backend.delete(info.key)
            assert list(backend.list()) == []


class TestLog:
    def test_records(self, memory, caplog):
        """One record per call with verb, key, size and time; failures are warnings; no bytes."""
        backend = Logged(faulty(memory, on_call(3, Fault.UNAVAILABLE)))
        with caplog.at_level(logging.DEBUG, "storage_backends"):
            backend.put("a", b"planted secret")
            with pytest.raises(ObjectExists):
                backend.put("a", b"planted secret", if_absent=True)
            with pytest.raises(BackendUnavailable):
                backend.get("a")
        called, refused, failed = caplog.records
        assert (called.msg, called.levelno) == ("storage.called", logging.DEBUG)
        assert (called.verb, called.key, called.size_bytes) == ("put", "a", 14)
        assert called.duration_seconds >= 0
        assert (refused.msg, refused.levelno) == ("storage.refused", logging.DEBUG)
        assert (failed.msg, failed.levelno) == ("storage.failed", logging.WARNING)
        assert failed.error == "BackendUnavailable"
        for record in caplog.records:
            assert "planted" not in repr(vars(record))


class TestSupport:
    def test_declared_weakness_is_refused(self, memory):
        """A backend that cannot do it is never asked to."""
        weak = Checked(Weak(memory))
        with weak:
            for call in (
                lambda: weak.put("a", b"", if_absent=True),
                lambda: weak.cas("a", b"", expected=None),
            ):
                with pytest.raises(NotSupported):
                    call()

    def test_open_twice(self):
        """Opening an open backend does nothing; a failed open leaves it closed."""

        class Refusing(Layer):
            opens = 0

            def open(self):
                self.opens += 1
                if self.opens == 1:
                    raise AccessDenied(backend=self.name)

        refusing = Refusing(MemoryBackend())
        backend = Checked(refusing)
        with pytest.raises(AccessDenied):
            backend.open()
        backend.open()
        backend.open()
        assert refusing.opens == 2


class TestFaults:
    """The faults do what they say, or the tests that use them prove nothing."""

    def test_broken_storages(self, memory):
        """Torn, lost and damaged objects look the way each fault says."""
        data = bytes(1000)
        backend = faulty(memory, lambda _: Fault.TORN)
        with pytest.raises(BackendUnavailable):
            backend.put("torn", data)
        assert memory.get("torn") == data[:500]
        backend.rule = lambda _: Fault.TORN_SILENTLY
        backend.put("a", data, sha256=None)
        assert memory.get("a") == data[:500]
        backend.rule = lambda _: Fault.LOST_SILENTLY
        assert backend.put("b", data).size_bytes == 1000
        backend.delete("a")
        assert [info.key for info in memory.list()] == ["a", "torn"]
        backend.rule = lambda _: Fault.DAMAGED
        backend.put("a", data)
        assert sum(memory.get("a")) == 1
        memory.put("a", data)
        assert sum(backend.get("a")) == 1
        with pytest.raises(ObjectCorrupt):
            backend.put("a", data, sha256="0" * 64)
        assert memory.get("a") == data

    def test_unavailable_and_lost_answers(self, memory):
        """Before and after are told apart for every verb."""
        memory.put("a", b"1")
        memory.put("b", b"1")
        backend = faulty(memory, lambda _: Fault.UNAVAILABLE)
        for call in (
            lambda: backend.put("a", b"2"),
            lambda: backend.get("a"),
            lambda: backend.stat("a"),
            lambda: backend.delete("a"),
            lambda: list(backend.list()),
            lambda: backend.cas("a", b"2", expected=memory.stat("a").etag),
        ):
            with pytest.raises(BackendUnavailable):
                call()
        assert memory.get("a") == b"1"
        backend.rule = lambda _: Fault.TIMEOUT_AFTER_SUCCESS
        seen = []
        with pytest.raises(BackendTimeout):
            seen.extend(info.key for info in backend.list())
        with pytest.raises(BackendTimeout):
            backend.put("a", b"2")
        assert memory.get("a") == b"2"
        with pytest.raises(BackendTimeout):
            backend.delete("a")
        assert [info.key for info in memory.list()] == ["b"]
        assert [call.number for call in backend.calls] == list(range(1, 10))

    def test_rules(self, memory):
        """`every` counts calls and may be bound to verbs."""
        backend = faulty(memory, every(2, Fault.FULL, "put"))
        backend.put("a", b"")
        backend.get("a")
        backend.put("a", b"")
        with pytest.raises(QuotaExceeded):
            backend.put("a", b"")
        in_threads(8, lambda _: backend.stat("a"))
        assert len({call.number for call in backend.calls}) == 12
