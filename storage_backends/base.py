"""The contract of a storage backend: eight blocking verbs, and what each promises.

Backends block on purpose: file systems, boto3 and SQLAlchemy all do. `threaded.py` is the one async
face. `testing.BackendSuite` tests every promise made here; a backend that passes it is a backend.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self, final

MAX_KEY_BYTES = 200
MAX_OBJECT_BYTES = 256 * 1024 * 1024
_SEGMENT = re.compile(r"(?!\.{1,2}$)[a-z0-9._-]+")


def is_key(text: str) -> bool:
    """Whether `text` is a key: segments of `[a-z0-9._-]` joined by `/`, at most 200 bytes.

    No segment is empty, `.` or `..`. A key that is a folder of another key (`a` and `a/b`) is
    allowed by this rule, but a backend may refuse the second of the two with KeyInvalid.
    """
    return len(text) <= MAX_KEY_BYTES and all(map(is_segment, text.split("/")))


def is_segment(text: str) -> bool:
    """Whether `text` can stand between two slashes of a key."""
    return _SEGMENT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """How a backend differs from others: callers and tests ask here, never for its name."""

    connections: int
    """How many calls at once are worth while; sizes the thread pool and the semaphore."""
    max_object_bytes: int = MAX_OBJECT_BYTES
    """Larger objects are refused with ObjectTooLarge."""
    atomic_if_absent: bool = True
    """`put(if_absent=True)` has exactly one winner. False: it raises NotSupported."""
    compare_and_swap: bool = True
    """`cas` works. False: it raises NotSupported, and the storage cannot hold leases."""
    strong_list: bool = True
    """`list` sees every finished `put` and `delete` at once. False: soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What is known of one object without reading it."""

    key: str
    size_bytes: int
    modify_time: datetime
    """When it was last written, aware, by the storage's clock."""
    etag: str = ""
    """Opaque. Two different contents of one key never have the same one. Empty from `list`."""


class StorageBackend(ABC):
    """Keys and bytes in one place.

    Callers may rely on this, and `testing.BackendSuite` checks it:

    * A write is atomic and durable when the call returns. A reader sees the old bytes or the new
      ones, never a mixture; a failed write leaves what was there before. Only after
      BackendUnavailable either may be there.
    * No method retries; `layers.Retrying` does. A blocking call has its own time limit and then
      raises BackendTimeout.
    * Methods may be called from any thread at the same time.
    * Every error is a StorageError with `backend` and `key` set, and carries no secret in its text.
      A library's exception is its `__cause__`.
    * Keys, sizes, checksums and the open/closed state are checked once, in `layers.Checked`, which
      the registry puts around every backend: a backend may assume that they are right.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Scheme and place for errors and logs, without secrets: `file:/var/backups`."""

    @property
    @abstractmethod
    def properties(self) -> Properties:
        """How this backend differs. The same for its whole life, also before `open`."""

    @abstractmethod
    def open(self) -> None:
        """Makes the backend ready and proves that the storage is there.

        Called once before anything else; a closed backend may be opened again. Creates the last
        part of the place (folder, table) if only that is missing.

        Raises:
            BackendMisconfigured: the place does not exist or is something else.
            AccessDenied: the storage refuses these credentials.
            BackendUnavailable: it does not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Gives everything back. Idempotent; never raises for work that was already durable."""

    @abstractmethod
    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """Stores `data` under `key`, replacing what was there.

        With `if_absent` nothing is ever replaced, and of any number of callers at once exactly one
        succeeds. `sha256` (lower-case hex) is compared before anything becomes visible; a backend
        that can make the far side check it does.

        Raises:
            ObjectExists: with `if_absent`, somebody else's object is there.
            ObjectCorrupt: `data` is not what `sha256` says, here or on arrival.
            QuotaExceeded: the storage is full.
            KeyInvalid: the key is a folder of another key, or the other way round.
        """

    @abstractmethod
    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Reads an object, or the part that `data[offset:offset + length]` would give.

        A range beyond the end is shorter or empty, never an error.

        Raises:
            ObjectNotFound: there is none.
            ObjectCorrupt: the storage itself knows that the bytes are damaged.
        """

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo:
        """Describes an object, with its etag.

        Raises:
            ObjectNotFound: there is none.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Removes one object and nothing else. A missing one is no error, so this can be repeated.

        A folder's name is a missing object: its contents stay.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects below the folder `prefix` (whole segments; empty: everything), by key.

        `list("a/b")` gives `a/b/c` but neither `a/b` nor `a/bc`. Sorted by the key's bytes,
        complete however many there are, without temporaries of writes under way. A folder without
        objects is empty, not an error.
        """

    @abstractmethod
    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """Replaces the object if its etag is still `expected`; None: creates it if absent.

        For leases: small objects that are written through `cas` only. Read the etag with `stat`
        *before* reading the bytes with `get`; then whatever happened in between makes this fail.

        Raises:
            ObjectChanged: somebody else was faster, or the object is gone.
        """

    @final
    def __enter__(self) -> Self:
        self.open()
        return self

    @final
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
