"""The conformance suite: what a backend promises in `base.StorageBackend`, as tests.

Shipped, so that a backend anywhere can prove itself::

    class TestMine(BackendSuite):
        @pytest.fixture
        def new_backend(self, tmp_path):
            return lambda: MyBackend(MyConfig(folder=tmp_path))

The suite never asks for a backend's name: differences are read from its `Properties`, and what a
backend declares not to do it must refuse with NotSupported. For good assertion messages put
`pytest.register_assert_rewrite("storage_backends.testing")` into your conftest.py.
"""

from .calling import attempt, in_threads
from .conditions import ConditionTests
from .contents import ContentTests
from .faulting import FaultTests
from .instances import InstanceTests
from .listing import ListTests
from .writing import WriteTests

__all__ = ["BackendSuite", "attempt", "in_threads"]


class BackendSuite(ContentTests, WriteTests, ConditionTests, ListTests, InstanceTests, FaultTests):
    """Subclass it, override the fixture `new_backend`, and it tests everything."""
