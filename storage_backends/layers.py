"""What every backend needs, written once: each layer is a StorageBackend around another.

The usual order, innermost first: the backend, `Checked` (the registry puts it there), `Logged`,
`Limited`, `retrying.Retrying`. `registry.stack` builds it.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from .base import ObjectInfo, Properties, StorageBackend, is_key
from .errors import (
    BackendClosed,
    BackendTimeout,
    KeyInvalid,
    NotSupported,
    ObjectChanged,
    ObjectCorrupt,
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    StorageError,
)


class Layer(StorageBackend):
    """Passes every call on. The base of the others, and of fault injection."""

    def __init__(self, inner: StorageBackend) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """The inner one's."""
        return self._inner.name

    @property
    def properties(self) -> Properties:
        """The inner one's."""
        return self._inner.properties

    def open(self) -> None:
        """Passes on."""
        self._inner.open()

    def close(self) -> None:
        """Passes on."""
        self._inner.close()

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Passes on."""
        return self._inner.put(key, data, if_absent=if_absent, sha256=sha256)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Passes on."""
        return self._inner.get(key, offset=offset, length=length)

    def stat(self, key: str) -> ObjectInfo:
        """Passes on."""
        return self._inner.stat(key)

    def delete(self, key: str) -> None:
        """Passes on."""
        self._inner.delete(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Passes on."""
        return self._inner.list(prefix)

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Passes on."""
        return self._inner.cas(key, data, expected=expected)


class Checked(Layer):
    """Owns what no backend should repeat: its life, key rules, sizes, checksums, support.

    Its life: opening an open backend and closing a closed one does nothing; every verb before
    `open` and after `close` raises BackendClosed; after an `open` that failed it is closed and may
    be opened again, as after `close`.
    """

    def __init__(self, inner: StorageBackend) -> None:
        super().__init__(inner)
        self._open = False

    def open(self) -> None:
        """Opens the inner one once; opening an open backend does nothing."""
        if not self._open:
            self._inner.open()
            self._open = True

    def close(self) -> None:
        """Closes; idempotent."""
        if self._open:
            self._open = False
            self._inner.close()

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Checks, then passes on."""
        self._check(key)
        self._check_size(key, data)
        if if_absent and not self.properties.atomic_if_absent:
            raise NotSupported(backend=self.name, key=key)
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise ObjectCorrupt(backend=self.name, key=key)
        return super().put(key, data, if_absent=if_absent, sha256=sha256)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Checks, then passes on."""
        self._check(key)
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("a range does not count from the end")
        return super().get(key, offset=offset, length=length)

    def stat(self, key: str) -> ObjectInfo:
        """Checks, then passes on."""
        self._check(key)
        return super().stat(key)

    def delete(self, key: str) -> None:
        """Checks, then passes on."""
        self._check(key)
        super().delete(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Checks, then passes on."""
        self._check(prefix or "any")
        return super().list(prefix)

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Checks, then passes on."""
        self._check(key)
        self._check_size(key, data)
        if not self.properties.compare_and_swap:
            raise NotSupported(backend=self.name, key=key)
        return super().cas(key, data, expected=expected)

    def _check(self, key: str) -> None:
        if not self._open:
            raise BackendClosed(backend=self.name, key=key if is_key(key) else "")
        if not is_key(key):  # not repeated in the error: it may be anything
            raise KeyInvalid(backend=self.name)

    def _check_size(self, key: str, data: bytes) -> None:
        if len(data) > self.properties.max_object_bytes:
            raise ObjectTooLarge(backend=self.name, key=key)


class Limited(Layer):
    """At most `Properties.connections` calls at once; others wait, but not for ever."""

    def __init__(
        self, inner: StorageBackend, *, max_wait: timedelta = timedelta(seconds=60)
    ) -> None:
        super().__init__(inner)
        self._slots = threading.BoundedSemaphore(inner.properties.connections)
        self._max_wait = max_wait.total_seconds()

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Passes on in a slot."""
        with self._slot(key):
            return super().put(key, data, if_absent=if_absent, sha256=sha256)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Passes on in a slot."""
        with self._slot(key):
            return super().get(key, offset=offset, length=length)

    def stat(self, key: str) -> ObjectInfo:
        """Passes on in a slot."""
        with self._slot(key):
            return super().stat(key)

    def delete(self, key: str) -> None:
        """Passes on in a slot."""
        with self._slot(key):
            super().delete(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Reads the whole list in a slot, so that the reader may call while it iterates."""
        with self._slot(prefix):
            return iter(list(super().list(prefix)))

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Passes on in a slot."""
        with self._slot(key):
            return super().cas(key, data, expected=expected)

    @contextmanager
    def _slot(self, key: str) -> Iterator[None]:
        if not self._slots.acquire(timeout=self._max_wait):
            raise BackendTimeout(backend=self.name, key=key)
        try:
            yield
        finally:
            self._slots.release()


class Logged(Layer):
    """One debug record per call with its time, a warning per failure; never the bytes."""

    def __init__(self, inner: StorageBackend, *, logger: logging.Logger | None = None) -> None:
        super().__init__(inner)
        self._logger = logger or logging.getLogger("storage_backends")

    def open(self) -> None:
        """Passes on."""
        with self._call("open", ""):
            super().open()

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Passes on."""
        with self._call("put", key, size_bytes=len(data)):
            return super().put(key, data, if_absent=if_absent, sha256=sha256)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Passes on."""
        with self._call("get", key):
            return super().get(key, offset=offset, length=length)

    def stat(self, key: str) -> ObjectInfo:
        """Passes on."""
        with self._call("stat", key):
            return super().stat(key)

    def delete(self, key: str) -> None:
        """Passes on."""
        with self._call("delete", key):
            super().delete(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Passes on; timed until the reader has seen the last one."""
        with self._call("list", prefix):
            yield from super().list(prefix)

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Passes on."""
        with self._call("cas", key, size_bytes=len(data)):
            return super().cas(key, data, expected=expected)

    @contextmanager
    def _call(self, verb: str, key: str, **facts: int) -> Iterator[None]:
        facts_of_call = {"verb": verb, "backend": self.name, "key": key, **facts}
        started = time.monotonic()
        try:
            yield
        except StorageError as exc:
            # A missing object or a lost race is an answer, not a failure.
            answer = isinstance(exc, ObjectNotFound | ObjectExists | ObjectChanged)
            self._logger.log(
                logging.DEBUG if answer else logging.WARNING,
                "storage.refused" if answer else "storage.failed",
                extra={**facts_of_call, "error": type(exc).__name__, **_since(started)},
            )
            raise
        self._logger.debug("storage.called", extra={**facts_of_call, **_since(started)})


def _since(started: float) -> dict[str, float]:
    return {"duration_seconds": time.monotonic() - started}
