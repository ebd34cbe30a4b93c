"""What storage can answer instead of doing what it was asked.

The tree (R: retryable, the same call may succeed later)::

    StorageError
    ├── ObjectNotFound, ObjectExists, ObjectChanged
    ├── ObjectCorrupt, ObjectTooLarge
    ├── KeyInvalid, NotSupported, BackendClosed
    ├── AccessDenied, QuotaExceeded, BackendMisconfigured
    └── BackendUnavailable (R)
        └── BackendTimeout (R)

Message texts live here, never at the raise site, and are made of the backend's name and the key
only: what a library said stays in `__cause__`, because it may hold passwords.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, TypeAlias


class StorageError(Exception):
    """The storage could not do what it was asked."""

    retryable: ClassVar[bool] = False

    def __init__(self, *, backend: str, key: str = "") -> None:
        super().__init__(backend, key)
        self.backend = backend
        self.key = key

    @property
    def message(self) -> str:
        """The class's first sentence."""
        return (type(self).__doc__ or "").split("\n", 1)[0]

    def __str__(self) -> str:
        where = f"{self.backend}: {self.key}" if self.key else self.backend
        return f"{where}: {self.message}"


class ObjectNotFound(StorageError):
    """There is no object with this key."""


class ObjectExists(StorageError):
    """An object with this key exists, and it was to be created only if absent."""


class ObjectChanged(StorageError):
    """The object is not the one that was to be swapped."""


class ObjectCorrupt(StorageError):
    """The bytes do not match their checksum."""


class ObjectTooLarge(StorageError):
    """The object is larger than this backend stores."""


class KeyInvalid(StorageError):
    """The key breaks the key rules, or is a folder of another key."""


class NotSupported(StorageError):
    """This backend declares that it cannot do this."""


class BackendClosed(StorageError):
    """The backend is not open."""


class AccessDenied(StorageError):
    """The storage refuses access."""


class QuotaExceeded(StorageError):
    """The storage is full."""


class BackendMisconfigured(StorageError):
    """The storage is not where the configuration says, or the configuration is wrong.

    `problem` is for the operator, in English, without secrets.
    """

    def __init__(self, *, backend: str, key: str = "", problem: str = "") -> None:
        super().__init__(backend=backend, key=key)
        self.problem = problem

    @property
    def message(self) -> str:
        """The problem, if it is known."""
        return self.problem or super().message


class BackendUnavailable(StorageError):
    """The storage did not answer, or asked to come back later."""

    retryable: ClassVar[bool] = True


class BackendTimeout(BackendUnavailable):
    """The storage did not answer in time; the call may still take effect."""


Translation: TypeAlias = "type[StorageError] | Callable[[Exception], type[StorageError]]"
"""What a library's exception becomes: a class, or a function that picks one by looking at it."""


@contextmanager
def translating(
    table: Mapping[type[Exception], Translation], *, backend: str, key: str = ""
) -> Iterator[None]:
    """Turns a library's exceptions into ours by one table, the nearest base class first.

    Exceptions that the table does not know pass unchanged: they are bugs, and a test compares each
    table with what its library can raise.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as exc:
        for base in type(exc).__mro__:
            found = table.get(base)
            if found is not None:
                error = found if isinstance(found, type) else found(exc)
                raise error(backend=backend, key=key) from exc
        raise
