"""From a URL to a ready backend: an explicit registry, filled where the program is put together."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Self
from urllib.parse import urlsplit

from . import file, memory
from .base import StorageBackend
from .errors import BackendMisconfigured
from .factory import Factory, LazyFactory
from .layers import Checked, Limited, Logged
from .retrying import Retrying, RetryPolicy

ENTRY_POINT_GROUP = "roost.storage_backends"

BUILT_IN: tuple[Factory, ...] = (
    file.FACTORY,
    memory.FACTORY,
    LazyFactory(
        schemes=("postgresql", "postgres"),
        extra="roost[postgres]",
        module="storage_backends.postgres",
    ),
    LazyFactory(schemes=("s3",), extra="roost[s3]", module="storage_backends.s3"),
)


class Registry:
    """Which scheme means which factory."""

    def __init__(self, factories: Iterable[Factory] = ()) -> None:
        self._factories: dict[str, Factory] = {}
        self._broken: dict[str, ImportError] = {}
        for factory in factories:
            self.register(factory)

    @classmethod
    def with_plugins(cls, points: Iterable[EntryPoint] | None = None) -> Self:
        """The built-in backends and every installed entry point of `roost.storage_backends`."""
        registry = cls(BUILT_IN)
        for point in entry_points(group=ENTRY_POINT_GROUP) if points is None else points:
            registry._load(point)
        return registry

    @property
    def schemes(self) -> tuple[str, ...]:
        """All known schemes, sorted."""
        return tuple(sorted(self._factories))

    def register(self, factory: Factory) -> None:
        """Adds a factory; registering the same one twice is harmless.

        Raises:
            BackendMisconfigured: another factory has one of its schemes already.
        """
        for scheme in factory.schemes:
            if self._factories.setdefault(scheme, factory) is not factory:
                raise BackendMisconfigured(
                    backend=scheme, problem="two storage backends claim this URL scheme"
                )

    def create(self, url: str) -> Checked:
        """Makes the unopened backend that `url` means, with all checks around it.

        Raises:
            BackendMisconfigured: unknown scheme, wrong URL, or a library that is not installed.
        """
        parts = urlsplit(url)
        factory = self._factories.get(parts.scheme)
        if factory is None:
            raise BackendMisconfigured(
                backend=parts.scheme or "storage", problem=self._unknown(parts.scheme)
            ) from self._broken.get(parts.scheme)
        try:
            return Checked(factory.create(parts))
        except ImportError as exc:
            raise BackendMisconfigured(
                backend=parts.scheme, problem=_missing(exc, factory.extra)
            ) from exc

    def _unknown(self, scheme: str) -> str:
        if scheme in self._broken:
            return _missing(self._broken[scheme], "")
        return f"unknown URL scheme; installed are {', '.join(self.schemes)}"

    def _load(self, point: EntryPoint) -> None:
        try:
            factory = point.load()
        except ImportError as exc:
            self._broken[point.name] = exc
            return
        if not isinstance(factory, Factory):
            raise BackendMisconfigured(
                backend=point.name, problem=f"the entry point {point.value} is not a Factory"
            )
        self.register(factory)


def _missing(exc: ImportError, extra: str) -> str:
    module = exc.name or "a library"
    advice = f": pip install '{extra}'" if extra else ""
    return f"{module} is not installed{advice}"


def stack(backend: StorageBackend, policy: RetryPolicy | None = None) -> StorageBackend:
    """The usual layers around a backend that comes from a registry."""
    return Retrying(Limited(Logged(backend)), policy)
