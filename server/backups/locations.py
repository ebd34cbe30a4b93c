"""The configured places for backups."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import structlog

from server.core.errors import StorageLocationNotFound, StorageUnavailable
from server.core.names import StorageLocationName
from server.vault.storage import storage_errors
from storage_backends.base import StorageBackend
from storage_backends.errors import StorageError
from storage_backends.registry import Registry, stack
from storage_backends.threaded import AsyncStorage

from .model import StorageLocation

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Place:
    location: StorageLocation
    backend: StorageBackend
    storage: AsyncStorage | None = None


class Locations:
    """The first one is the primary. `async with` opens them all.

    A place that is wrongly configured stops the start; one that does not answer is tried again
    when it is needed, because sessions must not depend on it.
    """

    def __init__(self, backends: Mapping[str, StorageBackend], schemes: Mapping[str, str]) -> None:
        if not backends:
            raise ValueError("at least one storage location is needed")
        self._places: dict[StorageLocationName, _Place] = {}
        for location_id, backend in backends.items():
            name = StorageLocationName.parse(f"storageLocations/{location_id}")
            location = StorageLocation(
                name=name, scheme=schemes[location_id], primary=not self._places
            )
            self._places[name] = _Place(location, backend)
        self._opening = asyncio.Lock()

    @classmethod
    def from_urls(cls, urls: Mapping[str, str], registry: Registry) -> Self:
        """Makes the backends with all layers; raises `BackendMisconfigured`, FieldInvalid."""
        return cls(
            {location_id: stack(registry.create(url)) for location_id, url in urls.items()},
            {location_id: urlsplit(url).scheme for location_id, url in urls.items()},
        )

    async def __aenter__(self) -> Self:
        try:
            for name in self._places:
                try:
                    await self.storage(name)
                except StorageUnavailable:
                    logger.warning("storage.unavailable", storage_location=str(name))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    def list(self) -> list[StorageLocation]:
        """All, the primary first."""
        return [place.location for place in self._places.values()]

    @property
    def primary(self) -> StorageLocationName:
        """Where backups go when no place is named."""
        return next(iter(self._places))

    def check(self, name: StorageLocationName) -> None:
        """Raises StorageLocationNotFound for a place that is not configured."""
        if name not in self._places:
            raise StorageLocationNotFound(name=str(name))

    async def storage(self, name: StorageLocationName) -> AsyncStorage:
        """The open storage of a place.

        Raises StorageLocationNotFound, StorageUnavailable, StorageMisconfigured.
        """
        self.check(name)
        place = self._places[name]
        async with self._opening:
            if place.storage is None:
                storage = AsyncStorage(place.backend)
                with storage_errors(name):
                    await storage.__aenter__()
                place.storage = storage
            return place.storage

    async def _close(self) -> None:
        for name, place in self._places.items():
            storage, place.storage = place.storage, None
            if storage is not None:
                try:
                    await storage.__aexit__(None, None, None)
                except StorageError:
                    logger.warning("storage.not_closed", storage_location=str(name))
