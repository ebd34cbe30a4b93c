"""A simulator for the whole run; a server, an account and a paired session per test."""

import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from roost.v1.session_pb2 import Session

from simulator import Simulator
from tests.support.api import Api, State
from tests.support.server import ServerProcess

NUMBERS = itertools.count(15550100000)


@pytest.fixture(scope="session")
def sim() -> Iterator[Simulator]:
    """WhatsApp on loopback. Nothing it does not understand may have arrived by the end."""
    with Simulator.start() as simulator:
        yield simulator
        assert simulator.unknown_stanzas() == []


@pytest.fixture
def new_phone(sim: Simulator) -> Callable[..., object]:
    """Makes accounts with numbers that no other test has."""
    return lambda name="Ann": sim.create_account(phone=str(next(NUMBERS)), name=name)


@pytest.fixture
def new_contact(sim: Simulator) -> Callable[..., object]:
    """Makes scripted contacts with numbers that no other test has."""
    return lambda name="Bob": sim.create_contact(phone=str(next(NUMBERS)), name=name)


@pytest.fixture
def server(sim: Simulator, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, its sessions towards the simulator."""
    env = sim.environment() | {"ROOST_BACKUP__LEASE_TTL": "3"}  # a killed one is soon forgotten
    with ServerProcess(tmp_path / "data", env=env) as process:
        yield process


@pytest.fixture
async def api(server: ServerProcess) -> AsyncIterator[Api]:
    """The server's API."""
    async with Api.connect(server.address, server.key) as connected:
        yield connected


@dataclass
class Pairs:
    """Pairs new sessions with new accounts."""

    api: Api
    new_phone: Callable[..., object]

    async def __call__(self, session_id: str = "") -> tuple[Session, object]:
        """A session that is ACTIVE, and its phone."""
        phone = self.new_phone()
        session = await self.api.create(session_id or f"s{uuid.uuid4().hex[:8]}")
        await self.api.pair_by_qr(session.name, phone.scan)
        return await self.api.wait_for_state(session.name, State.STATE_ACTIVE), phone


@pytest.fixture
def pair(api: Api, new_phone: Callable[..., object]) -> Pairs:
    """Pairs new sessions with new accounts."""
    return Pairs(api, new_phone)
