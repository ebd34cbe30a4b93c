"""A backend that fails on purpose: every way in which storage goes wrong, where a test wants it."""

import enum
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import ClassVar, TypeAlias, TypeVar

from .base import ObjectInfo, StorageBackend
from .errors import BackendTimeout, BackendUnavailable, ObjectCorrupt, QuotaExceeded
from .layers import Layer

T = TypeVar("T")


class Fault(enum.Enum):
    """What happens to a call."""

    UNAVAILABLE = enum.auto()
    """Nothing is done; BackendUnavailable."""
    TIMEOUT_AFTER_SUCCESS = enum.auto()
    """It is done, but the answer is lost: BackendTimeout. A list breaks off after half."""
    FULL = enum.auto()
    """A write is refused with QuotaExceeded."""
    TORN = enum.auto()
    """A broken storage: half of the bytes become visible, then BackendUnavailable."""
    TORN_SILENTLY = enum.auto()
    """A broken storage: half of the bytes become visible, and it reports success."""
    LOST_SILENTLY = enum.auto()
    """A broken storage: reports a success that never was."""
    DAMAGED = enum.auto()
    """One bit flips: of what is read, or on the way to storage, where a checksum catches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as a rule sees it."""

    number: int
    """From 1, in the order of arrival."""
    verb: str
    key: str


Rule: TypeAlias = Callable[[Call], Fault | None]
"""Decides the fate of a call. It may also raise, or end the process: a crash at that very point."""


def on_call(number: int, fault: Fault) -> Rule:
    """The one call with this number fails."""
    return lambda call: fault if call.number == number else None


def first(count: int, fault: Fault) -> Rule:
    """The first `count` calls fail."""
    return lambda call: fault if call.number <= count else None


def every(interval: int, fault: Fault, *verbs: str) -> Rule:
    """Each `interval`-th call fails; only of these verbs, if any are given."""
    return lambda call: (
        fault if call.number % interval == 0 and (not verbs or call.verb in verbs) else None
    )


def flip_bit(data: bytes, position: int | None = None) -> bytes:
    """Flips one bit of the byte at `position`; of the middle one by default."""
    at = len(data) // 2 if position is None else position
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else data


class Faulty(Layer):
    """Asks `rule` before each call. `calls` has them all.

    `clock` says by how much the storage's clock is wrong, anew for every time that is told.
    """

    def __init__(
        self,
        inner: StorageBackend,
        rule: Rule = lambda _: None,
        *,
        clock: Callable[[], timedelta] = timedelta,
    ) -> None:
        super().__init__(inner)
        self.rule = rule
        self.clock = clock
        self.calls: list[Call] = []
        self._lock = threading.Lock()

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Passes on, or fails."""

        def write(data: bytes, sha256: str | None) -> ObjectInfo:
            info = self._inner.put(key, data, if_absent=if_absent, sha256=sha256)
            return self._dated(info)

        return self._write("put", key, data, write, sha256)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Passes on, or fails."""
        fault = self._ask("get", key)
        data = self._after(fault, key, lambda: self._inner.get(key, offset=offset, length=length))
        return flip_bit(data) if fault is Fault.DAMAGED else data

    def stat(self, key: str) -> ObjectInfo:
        """Passes on, or fails."""
        fault = self._ask("stat", key)
        return self._dated(self._after(fault, key, lambda: self._inner.stat(key)))

    def delete(self, key: str) -> None:
        """Passes on, or fails."""
        fault = self._ask("delete", key)
        if fault is not Fault.LOST_SILENTLY:
            self._after(fault, key, lambda: self._inner.delete(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Passes on, or fails."""
        fault = self._ask("list", prefix)
        if fault is Fault.UNAVAILABLE:
            raise BackendUnavailable(backend=self.name, key=prefix)
        found = [self._dated(info) for info in self._inner.list(prefix)]
        if fault is Fault.TIMEOUT_AFTER_SUCCESS:
            yield from islice(found, len(found) // 2)
            raise BackendTimeout(backend=self.name, key=prefix)
        yield from found

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Passes on, or fails."""

        def write(data: bytes, _: str | None) -> ObjectInfo:
            return self._dated(self._inner.cas(key, data, expected=expected))

        return self._write("cas", key, data, write, None)

    def _dated(self, info: ObjectInfo) -> ObjectInfo:
        return replace(info, modify_time=info.modify_time + self.clock())

    def _ask(self, verb: str, key: str) -> Fault | None:
        with self._lock:
            call = Call(number=len(self.calls) + 1, verb=verb, key=key)
            self.calls.append(call)
        return self.rule(call)

    def _after(self, fault: Fault | None, key: str, call: Callable[[], T]) -> T:
        if fault is Fault.UNAVAILABLE:
            raise BackendUnavailable(backend=self.name, key=key)
        result = call()
        if fault is Fault.TIMEOUT_AFTER_SUCCESS:
            raise BackendTimeout(backend=self.name, key=key)
        return result

    def _write(
        self,
        verb: str,
        key: str,
        data: bytes,
        write: Callable[[bytes, str | None], ObjectInfo],
        sha256: str | None,
    ) -> ObjectInfo:
        fault = self._ask(verb, key)
        if fault is Fault.FULL:
            raise QuotaExceeded(backend=self.name, key=key)
        if fault is Fault.TORN:
            write(data[: len(data) // 2], None)
            raise BackendUnavailable(backend=self.name, key=key)
        if fault is Fault.TORN_SILENTLY:
            return write(data[: len(data) // 2], None)
        if fault is Fault.LOST_SILENTLY:
            return _written(key, data)
        if fault is Fault.DAMAGED:
            if sha256 is not None:
                raise ObjectCorrupt(backend=self.name, key=key)
            return write(flip_bit(data), None)
        return self._after(fault, key, lambda: write(data, sha256))


def _written(key: str, data: bytes) -> ObjectInfo:
    return ObjectInfo(key=key, size_bytes=len(data), modify_time=datetime.now(UTC), etag="lost")


class Moment(enum.Enum):
    """When a process dies, seen from one call."""

    BEFORE = enum.auto()
    DURING = enum.auto()
    """A file's bytes are written, the step that gives or takes its name is not done."""
    AFTER = enum.auto()
    """It is done, and nobody was told."""


class KillAt(Layer):
    """Counts calls; at number `number` the process really dies, by SIGKILL. 0: it never does.

    DURING needs a backend that works with files; with another one, or if the call changes nothing,
    it is the same as AFTER. Several storages of one process count together if they share `calls`.
    """

    _lock: ClassVar = threading.Lock()

    def __init__(
        self,
        inner: StorageBackend,
        number: int,
        moment: Moment,
        *,
        calls: list[Call] | None = None,
    ) -> None:
        super().__init__(inner)
        self.calls = [] if calls is None else calls
        self._number = number
        self._moment = moment

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Passes on, unless it is the last."""
        inner = self._inner
        return self._call(
            "put", key, lambda: inner.put(key, data, if_absent=if_absent, sha256=sha256)
        )

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Passes on, unless it is the last."""
        return self._call("get", key, lambda: self._inner.get(key, offset=offset, length=length))

    def stat(self, key: str) -> ObjectInfo:
        """Passes on, unless it is the last."""
        return self._call("stat", key, lambda: self._inner.stat(key))

    def delete(self, key: str) -> None:
        """Passes on, unless it is the last."""
        self._call("delete", key, lambda: self._inner.delete(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Passes on, unless it is the last."""
        return iter(self._call("list", prefix, lambda: list(self._inner.list(prefix))))

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Passes on, unless it is the last."""
        return self._call("cas", key, lambda: self._inner.cas(key, data, expected=expected))

    def _call(self, verb: str, key: str, call: Callable[[], T]) -> T:
        with self._lock:
            self.calls.append(Call(number=len(self.calls) + 1, verb=verb, key=key))
            is_last = len(self.calls) == self._number
        if not is_last:
            return call()
        if self._moment is Moment.BEFORE:
            die()
        if self._moment is Moment.DURING:
            _die_at_the_next_step_of_this_thread()
        try:
            return call()
        finally:
            die()


def die() -> None:
    """Ends this process at once, without any clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_the_next_step_of_this_thread() -> None:
    thread = threading.get_ident()

    def watch(event: str, _: object) -> None:
        if event in _STEPS and threading.get_ident() == thread:
            die()

    sys.addaudithook(watch)


_STEPS = frozenset({"os.rename", "os.link", "os.remove"})
