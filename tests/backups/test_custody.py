"""What is done for credentials without being asked, where no server is needed to see it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from server.backups.custody import DRILL_DELAY, Custody
from server.backups.timing import FIRST_RETRY, Timing
from server.core.errors import StorageUnavailable, StoreLost
from server.core.names import SessionName
from server.vault.model import BackupKind, BackupState
from tests.backups.fakes import FakeSessions
from tests.support.builders import make_backup, make_session
from tests.support.clock import START, FakeClock

A = SessionName("a")
SECONDS = 20
AWAY = StorageUnavailable(storage_location="storageLocations/local")


class Backups:
    def __init__(self):
        self.errors = []
        self.made = []
        self.copied = []
        self.revoked = []
        self.known = []
        self.drills = asyncio.Queue()
        self.verified = []
        self.revoking = asyncio.Event()

    async def backup_now(self, session, kind=None):
        self.made.append((session, kind))

    async def back_up_trash(self, session, store):
        self.copied.append((session.name, store))
        if self.errors:
            raise self.errors.pop(0)
        return make_backup(device_fingerprint="22" * 32)

    async def revoke(self, session, fingerprint, reason):
        self.revoked.append((session, fingerprint, reason))
        self.revoking.set()

    async def next_engine_drill(self):
        return await self.drills.get()

    async def verify_now(self, name, level):
        self.verified.append((name, level))
        self.revoking.set()
        if self.errors:
            raise self.errors.pop(0)

    async def list(self, session=None, *, limit=50):
        return self.known[:limit]


class Sessions(FakeSessions):
    def __init__(self, root):
        super().__init__(root)
        self.failing = []

    async def tell_backup_failing(self, name, reason):
        self.failing.append((name, reason))


class Same:
    def of(self, name):
        return self

    timing = Timing()


@pytest.fixture
def new_custody(tmp_path):
    @asynccontextmanager
    async def new_custody():
        backups, clock, sessions = Backups(), FakeClock(), Sessions(tmp_path)
        async with Custody(
            sessions=sessions,
            backups=backups,
            policies=Same(),
            clock=clock,
            uniform=lambda: 0.5,
            data_dir=tmp_path,
        ) as custody:
            yield custody, backups, clock, sessions

    return new_custody


async def revoked(backups):
    async with asyncio.timeout(SECONDS):
        await backups.revoking.wait()


async def test_revoked_keys_are_copied_from_trash_and_then_marked(new_custody, tmp_path):
    """The mark comes after the copy, so that it covers that too."""
    async with new_custody() as (custody, backups, _, _):
        custody.revoked(make_session(), "LOGGED_OUT", "trash/1")
        await revoked(backups)
        assert backups.copied == [(A, tmp_path / "trash/1/store.db")]
        assert backups.revoked == [(A, "22" * 32, "LOGGED_OUT")]


async def test_a_storage_that_is_away_is_waited_for(new_custody):
    """The keys are in trash meanwhile."""
    async with new_custody() as (custody, backups, clock, _):
        backups.errors = [AWAY, RuntimeError("a bug")]
        custody.revoked(make_session(), "LOGGED_OUT", "trash/1")
        for delay in (FIRST_RETRY, 2 * FIRST_RETRY):
            async with asyncio.timeout(SECONDS):
                await clock.sleeping(delay)
            clock.advance(delay)
        await revoked(backups)
        assert len(backups.copied) == 3


async def test_without_a_copy_the_older_ones_are_marked(new_custody):
    """A store that is no database has a device only in its backups."""
    async with new_custody() as (custody, backups, _, _):
        backups.errors = [StoreLost(session=str(A))]
        backups.known = [make_backup(device_fingerprint="33" * 32)]
        custody.revoked(make_session(), "ACCOUNT_BANNED", "trash/1")
        await revoked(backups)
        assert backups.revoked == [(A, "33" * 32, "ACCOUNT_BANNED")]


async def test_the_end_waits_for_revocations(new_custody):
    """But not for storage that is away."""
    async with new_custody() as (custody, backups, _, _):
        custody.revoked(make_session(), "LOGGED_OUT", "trash/1")
        await custody.finish(timedelta(seconds=SECONDS))
        assert len(backups.revoked) == 1
        backups.errors = [AWAY]
        custody.revoked(make_session(), "LOGGED_OUT", "trash/2")
        await custody.finish(timedelta(seconds=SECONDS))
        assert len(backups.revoked) == 1


async def test_a_deletion_is_preceded_by_a_copy(new_custody):
    """Of its own kind, which retention keeps longer."""
    async with new_custody() as (custody, backups, _, _):
        await custody.before_delete(A)
        assert backups.made == [(A, BackupKind.PRE_DELETE)]


async def test_only_good_backups_count_as_newest(new_custody):
    """A suspect one does not make the next one late."""
    async with new_custody() as (custody, backups, _, _):
        assert await custody.newest(A) is None
        backups.known = [make_backup(2, state=BackupState.SUSPECT, create_time=START)]
        assert await custody.newest(A) is None
        backups.known.append(make_backup(1, create_time=START - timedelta(hours=1)))
        assert await custody.newest(A) == START - timedelta(hours=1)


async def test_failing_backups_are_shown_with_their_reason(new_custody):
    """A bug's text stays in the log."""
    async with new_custody() as (custody, _, _, sessions):
        await custody.failing(A, AWAY)
        await custody.failing(A, RuntimeError("secret"))
        assert sessions.failing == [(A, "STORAGE_UNAVAILABLE"), (A, "INTERNAL")]


async def test_the_engine_opens_copies_one_by_one(new_custody):
    """A while after they were made; what goes wrong with one does not concern the next."""
    async with new_custody() as (_, backups, clock, _):
        names = [make_backup(number).name for number in (1, 2, 3)]
        backups.errors = [AWAY, RuntimeError("a bug")]
        for name in names:
            backups.drills.put_nowait(name)
        for count in (1, 2, 3):
            backups.revoking.clear()
            async with asyncio.timeout(SECONDS):
                await clock.sleeping(DRILL_DELAY)
            assert len(backups.verified) == count - 1
            clock.advance(DRILL_DELAY)
            await revoked(backups)
        assert backups.verified == [(name, 5) for name in names]
