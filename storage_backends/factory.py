"""How a kind of backend is made from a URL."""

import importlib
from abc import ABC, abstractmethod
from urllib.parse import SplitResult

from .base import StorageBackend


class Factory(ABC):
    """Makes backends of one kind from URLs. A module of a backend exports one as `FACTORY`."""

    schemes: tuple[str, ...]
    """The URL schemes that mean this kind, e.g. `("s3",)`."""
    extra: str = ""
    """What to install when an import fails: `pip install '<extra>'`, e.g. `roost[s3]`."""

    @abstractmethod
    def create(self, url: SplitResult) -> StorageBackend:
        """Makes an unopened backend; heavy libraries are imported here, not with the module.

        Raises:
            BackendMisconfigured: the URL makes no sense; `problem` says why, without secrets.
            ImportError: a library is missing; the registry tells the user what to install.
        """


class LazyFactory(Factory):
    """A factory whose module, with the libraries it needs, is imported when it is first used."""

    def __init__(self, *, schemes: tuple[str, ...], extra: str, module: str) -> None:
        self.schemes = schemes
        self.extra = extra
        self._module = module

    def create(self, url: SplitResult) -> StorageBackend:
        """Calls the module's `create(url)`."""
        backend = importlib.import_module(self._module).create(url)
        assert isinstance(backend, StorageBackend)
        return backend
