"""A simulator per module, and real engine processes on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator import Simulator
from tests.simulator.real_client import RealClients


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start() as running:
        yield running
        assert running.unknown_stanzas() == []
        assert running.refused_hosts() == []


@pytest.fixture
def clients(simulator: Simulator, tmp_path: Path) -> Iterator[RealClients]:
    with RealClients(simulator, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def new_number(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Phone numbers that no other test uses."""
    numbers = request.session.stash.setdefault(_NUMBERS, iter(range(15550000001, 15559999999)))
    return lambda: str(next(numbers))


_NUMBERS = pytest.StashKey[Iterator[int]]()
