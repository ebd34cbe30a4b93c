"""Backup policies: the settings' and those that were set."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from server.backups.policies import BackupPolicy, Policies
from server.backups.timing import Timing
from server.core.clock import SystemClock
from server.core.errors import FieldInvalid, SessionNotFound
from server.core.names import SessionName
from server.state.database import Database
from server.vault.retention import RetentionPolicy
from tests.backups.fakes import FakeSessions

ANN, BEA = SessionName("ann"), SessionName("bea")
OWN = BackupPolicy(every=timedelta(hours=1), retention=RetentionPolicy(keep_last=3))
FOR_ALL = BackupPolicy(debounce=timedelta(minutes=1))
SETTINGS = BackupPolicy(every=timedelta(days=1))


@pytest.fixture
def new_policies(tmp_path):
    @asynccontextmanager
    async def new_policies():
        sessions = FakeSessions(tmp_path)
        sessions.add(ANN)
        sessions.add(BEA)
        async with (
            Database.open(f"sqlite:///{tmp_path / 'roost.db'}") as database,
            Policies(
                database=database, sessions=sessions, clock=SystemClock(), default=SETTINGS
            ) as policies,
        ):
            yield policies

    return new_policies


async def test_a_session_follows_the_nearest_policy(new_policies):
    """Its own, then the one for all, then the settings."""
    async with new_policies() as policies:
        assert policies.get(ANN) == (SETTINGS, True)
        assert policies.get(None) == (SETTINGS, True)
        assert await policies.set(None, FOR_ALL) == FOR_ALL
        assert await policies.set(ANN, OWN) == OWN
        assert policies.get(None) == (FOR_ALL, False)
        assert policies.get(ANN) == (OWN, False)
        assert policies.get(BEA) == (FOR_ALL, True)
        assert (policies.of(ANN), policies.of(BEA)) == (OWN, FOR_ALL)
        assert await policies.set(ANN, None) == FOR_ALL
        assert policies.get(ANN) == (FOR_ALL, True)


async def test_a_new_server_knows_them(new_policies):
    """They are in the state database."""
    async with new_policies() as policies:
        await policies.set(ANN, OWN)
        await policies.set(ANN, FOR_ALL)
        await policies.set(None, OWN)
    async with new_policies() as policies:
        assert (policies.of(ANN), policies.of(BEA)) == (FOR_ALL, OWN)


async def test_there_is_none_for_a_session_that_does_not_exist(new_policies):
    """A typing mistake in an id must not look like success."""
    async with new_policies() as policies:
        with pytest.raises(SessionNotFound):
            policies.get(SessionName("x"))
        with pytest.raises(SessionNotFound):
            await policies.set(SessionName("x"), OWN)


@pytest.mark.parametrize(
    ("field", "value"), [("every", 0.5), ("every", -1), ("debounce", 0.1), ("max_delay", 0)]
)
def test_a_policy_is_checked(field, value):
    """Named by its field."""
    with pytest.raises(FieldInvalid) as error:
        BackupPolicy(**{field: timedelta(seconds=value)})
    assert error.value.field == field


def test_what_a_policy_means_for_the_schedule():
    """0 switches one of them off."""
    assert BackupPolicy().timing == Timing()
    assert BackupPolicy(debounce=timedelta()).timing == Timing(on_change=False)
    assert BackupPolicy(every=timedelta()).timing == Timing(every=None)
    slow = BackupPolicy(debounce=timedelta(minutes=10)).timing
    assert slow.max_delay == slow.debounce
