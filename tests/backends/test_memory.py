"""The memory backend."""

import pytest

from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.testing import BackendSuite


class TestMemory(BackendSuite):
    @pytest.fixture
    def new_backend(self):
        space = MemorySpace()
        return lambda: MemoryBackend(space)
