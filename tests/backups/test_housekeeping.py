"""When rounds are done without being asked."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from server.backups.housekeeping import Housekeeper, HousekeepingConfig
from server.core.errors import StorageUnavailable
from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault.collecting import Collected
from server.vault.model import Backup, BackupKind, BackupState
from server.vault.retention import Plan, RetentionPolicy
from server.vault.rounds import Round
from tests.support.clock import FakeClock

HERE, THERE = map(StorageLocationName, ("here", "there"))
ANN, BEA = map(SessionName, ("ann", "bea"))
POLICY = RetentionPolicy(keep_last=1)
CONFIG = HousekeepingConfig(
    trash_time=timedelta(days=3),
    pause=timedelta(minutes=10),
    every=timedelta(days=1),
    first=timedelta(hours=2),
)


@dataclass
class Vaults:
    """Notes what it is asked for."""

    rounds: list = field(default_factory=list)
    seen: list = field(default_factory=list)
    rules: list = field(default_factory=list)
    error: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run_round(self, location, session, rules):
        self.rounds.append((location, session))
        self.rules.append(rules)
        self.changed.set()
        if self.error:
            raise self.error
        return Round(
            retention=Plan({}, {}), purge=Plan({}, {}), collected=Collected(), create_times={}
        )

    async def saw(self, location, name):
        self.seen.append((location, name.session))
        self.changed.set()

    async def until(self, condition) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def backup(session=ANN, location=HERE, state=BackupState.ACTIVE) -> Backup:
    return Backup(
        name=BackupName(session, "b1"),
        state=state,
        kind=BackupKind.HOT,
        storage_location=location,
        size_bytes=1,
        logical_bytes=1,
        sha256="",
        format_version=2,
        device_fingerprint="",
        connect_epoch=1,
        schema_version="",
        engine_version="",
        create_time=datetime.now(UTC),
    )


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def vaults():
    return Vaults()


@asynccontextmanager
async def housekeeping(vaults, clock):
    sessions = [SimpleNamespace(name=name) for name in (ANN, BEA)]
    async with Housekeeper(
        sessions=SimpleNamespace(list=lambda show_deleted: sessions if show_deleted else []),
        vaults=vaults,
        locations=[HERE, THERE],
        policies=SimpleNamespace(of=lambda _: SimpleNamespace(retention=POLICY)),
        clock=clock,
        config=CONFIG,
    ) as keeper:
        yield keeper


async def test_a_good_backup_is_followed_by_a_round(vaults, clock):
    """Where it was made, for its session, by the policy; it is remembered, too."""
    async with housekeeping(vaults, clock) as keeper:
        keeper.made(backup())
        await vaults.until(lambda: vaults.rounds)
    assert vaults.rounds == vaults.seen == [(HERE, ANN)]
    assert (vaults.rules[0].policy, vaults.rules[0].trash) == (POLICY, CONFIG.trash_time)


async def test_many_backups_are_followed_by_few_rounds(vaults, clock):
    """One in each pause; other sessions and places have their own."""
    async with housekeeping(vaults, clock) as keeper:
        for _ in range(5):
            keeper.made(backup())
        keeper.made(backup(BEA))
        keeper.made(backup(location=THERE))
        await vaults.until(lambda: len(vaults.rounds) == 3)
        assert len(vaults.seen) == 7
        clock.advance(CONFIG.pause.total_seconds() - 400)
        keeper.made(backup())
        await vaults.until(lambda: len(vaults.seen) == 8)
        clock.advance(100)
        keeper.made(backup(BEA))
        await vaults.until(lambda: len(vaults.seen) == 9)
        assert len(vaults.rounds) == 3
        clock.advance(CONFIG.pause.total_seconds())
        keeper.made(backup())
        await vaults.until(lambda: (HERE, ANN) in vaults.rounds[3:])


async def test_a_suspect_backup_is_not_followed_by_a_round(vaults, clock):
    """Nothing is let go because of it."""
    async with housekeeping(vaults, clock) as keeper:
        keeper.made(backup(state=BackupState.SUSPECT))
        keeper.made(backup(BEA))
        await vaults.until(lambda: vaults.rounds)
    assert vaults.rounds == [(HERE, BEA)]


async def test_all_sessions_have_their_round_every_day(vaults, clock):
    """In every place, deleted sessions too, and whatever fails."""
    vaults.error = StorageUnavailable(storage_location=str(HERE))
    everything = [(place, name) for name in (ANN, BEA) for place in (HERE, THERE)]
    async with housekeeping(vaults, clock):
        for number, wait in enumerate((CONFIG.first, CONFIG.every, CONFIG.every), start=1):
            async with asyncio.timeout(10):
                await clock.sleeping(wait.total_seconds())
            clock.advance(wait.total_seconds())
            await vaults.until(lambda number=number: len(vaults.rounds) == 4 * number)
    assert vaults.rounds == everything * 3


async def test_a_bug_in_one_round_ends_nothing(vaults, clock):
    """The next backup is followed by a round again."""
    vaults.error = RuntimeError("a bug")
    async with housekeeping(vaults, clock) as keeper:
        keeper.made(backup())
        await vaults.until(lambda: vaults.rounds)
        keeper.made(backup(BEA))
        await vaults.until(lambda: len(vaults.rounds) == 2)


async def test_the_last_backups_are_remembered_at_the_end(vaults, clock):
    """Also those that nobody has come to yet."""
    async with housekeeping(vaults, clock) as keeper:
        for _ in range(3):
            keeper.made(backup())
    assert len(vaults.seen) == 3
