"""How a kind of backend is made from a URL."""

from abc import ABC, abstractmethod
from typing import ClassVar
from urllib.parse import SplitResult

from .base import StorageBackend


class Factory(ABC):
    """Makes backends of one kind from URLs. A module of a backend exports one as `FACTORY`."""

    schemes: ClassVar[tuple[str, ...]]
    """The URL schemes that mean this kind, e.g. `("s3",)`."""
    extra: ClassVar[str] = ""
    """What to install when an import fails: `pip install '<extra>'`, e.g. `roost[s3]`."""

    @abstractmethod
    def create(self, url: SplitResult) -> StorageBackend:
        """Makes an unopened backend; heavy libraries are imported here, not with the module.

        Raises:
            BackendMisconfigured: the URL makes no sense; `problem` says why, without secrets.
            ImportError: a library is missing; the registry tells the user what to install.
        """
