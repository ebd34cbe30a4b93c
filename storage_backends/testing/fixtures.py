"""What every test of the suite starts from."""

import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from ..base import StorageBackend
from ..layers import Checked


class SuiteFixtures:
    """An open, empty backend, a second one on the same storage, and what a subclass overrides."""

    answers_get_lost: ClassVar[bool] = False
    """True for a stack that repeats unanswered calls: what it says was refused may be done."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Strings of the configuration that no error and no name may show."""

    @pytest.fixture
    def new_backend(self) -> Callable[[], StorageBackend]:
        """Override: a function that makes unopened backends, all on the same empty storage."""
        raise NotImplementedError

    @pytest.fixture
    def leftovers(self) -> Callable[[], list[str]]:
        """Override where storage can hold more than objects: whatever else is in it."""
        return list

    @pytest.fixture
    def backend(
        self, new_backend: Callable[[], StorageBackend], leftovers: Callable[[], list[str]]
    ) -> Iterator[StorageBackend]:
        """An open, empty backend; afterwards nothing may be left behind."""
        with Checked(new_backend()) as backend:
            yield backend
            for info in list(backend.list()):
                backend.delete(info.key)
            self.wait_until(backend, lambda: not list(backend.list()))
            assert leftovers() == []

    @pytest.fixture
    def other(self, new_backend: Callable[[], StorageBackend]) -> Iterator[StorageBackend]:
        """A second instance on the same storage, as another process would have."""
        with Checked(new_backend()) as other:
            yield other

    def wait_until(self, backend: StorageBackend, fact: Callable[[], bool]) -> None:
        """Checks at once where lists are strong, else soon."""
        deadline = time.monotonic() + (0 if backend.properties.strong_list else 30)
        while not fact():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def assert_keys(self, backend: StorageBackend, prefix: str, expected: list[str]) -> None:
        """`list(prefix)` gives exactly these keys in this order."""
        self.wait_until(backend, lambda: [info.key for info in backend.list(prefix)] == expected)
