"""What a storage location and the master keys answer, as errors of the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.core.errors import (
    DomainError,
    KeyUnavailable,
    QuotaExceeded,
    StorageMisconfigured,
    StorageUnavailable,
    VaultCorrupt,
)
from server.core.names import StorageLocationName
from storage_backends.errors import BackendUnavailable, ObjectTooLarge, StorageError
from storage_backends.errors import QuotaExceeded as StorageFull

from .masterkeys.base import MasterKeyUnavailable
from .wraps import KeyCorrupt


@contextmanager
def storage_errors(name: StorageLocationName) -> Iterator[None]:
    """Turns what a place answers into errors of the API; the caller handles missing objects."""
    try:
        yield
    except StorageError as error:
        raise _domain_error(error, name) from error
    except KeyCorrupt as error:
        problem = f"{error.object} is damaged"
        raise VaultCorrupt(storage_location=str(name), problem=problem) from error
    except MasterKeyUnavailable as error:
        raise KeyUnavailable from error


def _domain_error(error: StorageError, name: StorageLocationName) -> DomainError:
    match error:
        case BackendUnavailable():
            return StorageUnavailable(storage_location=str(name))
        case StorageFull():
            return QuotaExceeded(limit=f"space in {name}")
        case ObjectTooLarge():
            return QuotaExceeded(limit=f"object size in {name}")
        case _:
            return StorageMisconfigured(storage_location=str(name))
