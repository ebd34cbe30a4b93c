"""The one place that repeats failed calls."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from .base import ObjectInfo, StorageBackend
from .errors import ObjectChanged, ObjectExists, ObjectNotFound, StorageError
from .layers import Layer

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long: delays double from `first` to `longest`, each half by chance."""

    attempts: int = 5
    first: timedelta = timedelta(milliseconds=100)
    longest: timedelta = timedelta(seconds=5)

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1)."""
        full = min(self.first.total_seconds() * 2.0 ** (attempt - 1), self.longest.total_seconds())
        return full * (0.5 + chance / 2)


class Retrying(Layer):
    """Repeats calls that failed with a retryable error, and knows its own earlier success.

    A write that failed with BackendUnavailable may have been done. When its repetition is then
    refused because "somebody else" was there, the object is read: if it holds exactly the bytes of
    this call, it is ours and the call has succeeded. Callers whose bytes are not unique (two
    writers of equal bytes) get two winners, and must not care which of them wrote.
    """

    def __init__(
        self,
        inner: StorageBackend,
        policy: RetryPolicy | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._chance = chance

    def open(self) -> None:
        """Repeats."""
        self._repeat(super().open)

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Repeats; see the class for `if_absent`."""
        put = super().put
        return self._repeat_write(
            key, data, lambda: put(key, data, if_absent=if_absent, sha256=sha256)
        )

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Repeats."""
        get = super().get
        return self._repeat(lambda: get(key, offset=offset, length=length))

    def stat(self, key: str) -> ObjectInfo:
        """Repeats."""
        stat = super().stat
        return self._repeat(lambda: stat(key))

    def delete(self, key: str) -> None:
        """Repeats; that is why deleting a missing object is no error."""
        delete = super().delete
        self._repeat(lambda: delete(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Repeats from the last key that was given: the order makes that exact."""
        last, attempt = "", 0
        while True:
            try:
                for info in super().list(prefix):
                    if info.key > last:
                        last, attempt = info.key, 0
                        yield info
            except StorageError as exc:
                attempt += 1
                if not (exc.retryable and self._wait(attempt)):
                    raise
            else:
                return

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Repeats; see the class."""
        cas = super().cas
        return self._repeat_write(key, data, lambda: cas(key, data, expected=expected))

    def _repeat(self, call: Callable[[], T]) -> T:
        attempt = 0
        while True:
            try:
                return call()
            except StorageError as exc:
                attempt += 1
                if not (exc.retryable and self._wait(attempt)):
                    raise

    def _repeat_write(self, key: str, data: bytes, call: Callable[[], ObjectInfo]) -> ObjectInfo:
        repeated = False

        def once() -> ObjectInfo:
            nonlocal repeated
            try:
                return call()
            except (ObjectExists, ObjectChanged):
                info = self._ours(key, data) if repeated else None
                if info is None:
                    raise
                return info
            finally:
                repeated = True

        return self._repeat(once)

    def _ours(self, key: str, data: bytes) -> ObjectInfo | None:
        try:
            info = self.stat(key)  # before the bytes: a later change then shows in its etag
            return info if self.get(key) == data else None
        except ObjectNotFound:
            return None

    def _wait(self, attempt: int) -> bool:
        """Waits before the next attempt; False: there is none."""
        if attempt >= self._policy.attempts:
            return False
        self._sleep(self._policy.delay(attempt, self._chance()))
        return True
