"""Each layer around each of the four storages, and all layers together as a server has them."""

from datetime import timedelta

import pytest

from storage_backends.faults import Fault, Faulty
from storage_backends.layers import Checked, Limited, Logged
from storage_backends.registry import stack
from storage_backends.retrying import Retrying, RetryPolicy
from storage_backends.testing import BackendSuite
from tests.support.awaited import Awaited

PATIENT = RetryPolicy(attempts=10, first=timedelta(0), longest=timedelta(0))


class LayerSuite(BackendSuite):
    @pytest.fixture
    def new_backend(self, new_real):
        return lambda: self.around(new_real())


class TestLogged(LayerSuite):
    around = Logged


class TestLimited(LayerSuite):
    around = Limited


def bad_line(call):
    """Every third call is lost, the next its answer, and so on."""
    if call.number % 3:
        return None
    return Fault.UNAVAILABLE if call.number % 2 else Fault.TIMEOUT_AFTER_SUCCESS


class TestRetrying(LayerSuite):
    """Behind a line that loses calls and answers; nobody notices."""

    answers_get_lost = True

    def around(self, backend):
        return Retrying(Faulty(backend, bad_line), PATIENT)


class TestServer(LayerSuite):
    """All layers of the registry and the async face: what a server calls."""

    def around(self, backend):
        return Awaited(stack(Checked(backend)))
