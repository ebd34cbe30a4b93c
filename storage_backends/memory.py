"""Objects in this process's memory: for tests and for trying Roost out. Nothing survives it.

URL: `memory://<name>`. Backends made by one registry with the same name share their objects.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from urllib.parse import SplitResult

from .base import ObjectInfo, Properties, StorageBackend
from .errors import BackendMisconfigured, ObjectChanged, ObjectExists, ObjectNotFound
from .factory import Factory


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """Which space of objects to use."""

    space: str = "default"

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Reads `memory://<space>`."""
        if url.path not in {"", "/"} or url.query or url.username is not None:
            raise BackendMisconfigured(backend="memory", problem="the URL must be memory://<name>")
        return cls(url.netloc or "default")


@dataclass(slots=True)
class MemorySpace:
    """The objects that backends on the same space share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    objects: dict[str, tuple[bytes, ObjectInfo]] = field(default_factory=dict)
    writes: int = 0


class MemoryBackend(StorageBackend):
    """See the module."""

    def __init__(
        self, space: MemorySpace | None = None, config: MemoryConfig | None = None
    ) -> None:
        self._space = space or MemorySpace()
        self._config = config or MemoryConfig()

    @property
    def name(self) -> str:
        """As in the contract."""
        return f"memory:{self._config.space}"

    @property
    def properties(self) -> Properties:
        """As in the contract."""
        return Properties(connections=4)

    def open(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do: the space lives on for others."""

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """As in the contract; `sha256` was compared before the call."""
        del sha256
        with self._space.lock:
            if if_absent and key in self._space.objects:
                raise ObjectExists(backend=self.name, key=key)
            return self._store(key, data)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """As in the contract."""
        data, _ = self._find(key)
        return data[offset : None if length is None else offset + length]

    def stat(self, key: str) -> ObjectInfo:
        """As in the contract."""
        _, info = self._find(key)
        return info

    def delete(self, key: str) -> None:
        """As in the contract."""
        with self._space.lock:
            self._space.objects.pop(key, None)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """As in the contract; one consistent moment."""
        folder = f"{prefix}/" if prefix else ""
        with self._space.lock:
            found = [
                ObjectInfo(key=key, size_bytes=info.size_bytes, modify_time=info.modify_time)
                for key, (_, info) in self._space.objects.items()
                if key.startswith(folder)
            ]
        return iter(sorted(found, key=lambda info: info.key))

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """As in the contract."""
        with self._space.lock:
            present = self._space.objects.get(key)
            if (present[1].etag if present else None) != expected:
                raise ObjectChanged(backend=self.name, key=key)
            return self._store(key, data)

    def _find(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self._space.lock:
            found = self._space.objects.get(key)
        if found is None:
            raise ObjectNotFound(backend=self.name, key=key)
        return found

    def _store(self, key: str, data: bytes) -> ObjectInfo:
        self._space.writes += 1
        info = ObjectInfo(
            key=key,
            size_bytes=len(data),
            modify_time=datetime.now(UTC),
            etag=str(self._space.writes),
        )
        self._space.objects[key] = (bytes(data), info)
        return info


class _MemoryFactory(Factory):
    schemes = ("memory",)

    def __init__(self) -> None:
        self._spaces: dict[str, MemorySpace] = {}

    def create(self, url: SplitResult) -> MemoryBackend:
        config = MemoryConfig.from_url(url)
        return MemoryBackend(self._spaces.setdefault(config.space, MemorySpace()), config)


FACTORY = _MemoryFactory()
