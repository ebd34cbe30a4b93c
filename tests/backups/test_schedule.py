"""Backups that are made by themselves."""

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from server.backups.schedule import AT_ONCE, FAILURES_SHOWN, LONGEST_LOOK, Schedule, marks_of
from server.backups.timing import FIRST_RETRY, Timing
from server.core.errors import StorageUnavailable
from server.core.names import SessionName
from server.engine.base import Account
from server.sessions.model import State
from tests.backups.fakes import FakeSessions
from tests.support.clock import START, FakeClock

ANN, BEA, CAT = (SessionName(name) for name in ("ann", "bea", "cat"))
SECONDS = 20
AWAY = StorageUnavailable(storage_location="storageLocations/local")


class Backups:
    """Counts; `gate` holds them up, `error` fails them."""

    def __init__(self):
        self.made = []
        self.shown = []
        self.under_way = 0
        self.most = 0
        self.known = {}
        self.error = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.on_copy = lambda name: None
        self.changed = asyncio.Condition()

    async def back_up(self, name):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            self.on_copy(name)
            await self.gate.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.under_way -= 1
            async with self.changed:
                self.made.append(name)
                self.changed.notify_all()

    async def newest(self, name):
        return self.known.get(name)

    async def failing(self, name, error):
        self.shown.append((name, error))

    async def until(self, *names):
        """Waits for exactly these, in any order."""
        async with asyncio.timeout(SECONDS), self.changed:
            await self.changed.wait_for(lambda: len(self.made) >= len(names))
        assert sorted(self.made) == sorted(names)
        self.made.clear()


class Server:
    def __init__(self, root, timing):
        self.timing = timing
        self.clock = FakeClock()
        self.sessions = FakeSessions(root)
        self.backups = Backups()
        self.schedule = Schedule(
            sessions=self.sessions,
            backups=self.backups,
            timing_of=lambda _: self.timing,
            clock=self.clock,
            uniform=lambda: 0.5,
        )

    def pair(self, name, **fields):
        account = Account(jid="15550001111@s.whatsapp.net", lid="", push_name="", device=1)
        fields = {"state": State.ACTIVE, "connect_epoch": 1, **fields}
        session = self.sessions.add(name, account, **fields)
        store = self.sessions.path(session)
        store.parent.mkdir(parents=True)
        store.write_bytes(b"x")
        self.touch(name, -3600)
        return store

    def touch(self, name, seconds=0.0):
        """The engine writes, `seconds` from now."""
        store = self.sessions.store_path(name)
        at = self.clock.now().timestamp() + seconds
        os.utime(store, ns=(int(at * 1e9), int(at * 1e9)))

    async def pass_(self, seconds):
        """Lets time pass, from one look to the next."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            async with asyncio.timeout(SECONDS):
                while not self.clock.sleeps():
                    await asyncio.sleep(0.001)
            self.clock.advance(min(self.clock.sleeps()[0], until - self.clock.monotonic()))
        async with asyncio.timeout(SECONDS):
            while not self.clock.sleeps():
                await asyncio.sleep(0.001)


@pytest.fixture
def new_server(tmp_path):
    @asynccontextmanager
    async def new_server(*names, **timing):
        server = Server(tmp_path, Timing(**timing))
        for name in names:
            server.pair(name)
        async with server.schedule:
            yield server

    return new_server


async def known(server, *names):
    """The first backups of all are made: from here on every change is seen."""
    await server.pass_(30)
    await server.backups.until(*names)


async def test_a_change_is_backed_up_after_the_quiet_time(new_server):
    """Not before, and only the session that has changed."""
    async with new_server(ANN, BEA) as server:
        await known(server, ANN, BEA)
        server.touch(ANN)
        await server.pass_(30)
        assert server.backups.made == []
        await server.pass_(LONGEST_LOOK)
        await server.backups.until(ANN)
        await server.pass_(3600)
        assert server.backups.made == []


async def test_a_busy_session_is_backed_up_all_the_same(new_server):
    """Every `max_delay`, though it never is quiet."""
    async with new_server(ANN, max_delay=timedelta(minutes=5)) as server:
        await known(server, ANN)
        for _ in range(120):
            server.touch(ANN)
            await server.pass_(10)
        assert 3 <= len(server.backups.made) <= 4  # 20 minutes, less a look each time


async def test_an_unchanged_session_is_backed_up_when_its_backup_gets_old(new_server):
    """Each `every`, here an hour."""
    async with new_server(ANN, every=timedelta(hours=1)) as server:
        await known(server, ANN)
        await server.pass_(3500)
        assert server.backups.made == []
        await server.pass_(120)
        await server.backups.until(ANN)


async def test_a_server_that_starts_does_not_copy_what_has_not_changed(new_server):
    """A store that is older than its newest backup: that backup counts, with its age."""
    async with new_server(ANN, BEA, every=timedelta(hours=1)) as server:
        server.backups.known = {
            ANN: START - timedelta(minutes=50),
            BEA: START - timedelta(hours=2),
        }
        await server.pass_(60)
        await server.backups.until(BEA)
        await server.pass_(600)
        await server.backups.until(ANN)


async def test_a_change_while_the_copy_is_made_is_copied_again(new_server):
    """It may have come too late for the copy."""
    async with new_server(ANN) as server:
        server.backups.on_copy = lambda name: server.touch(name, 1)
        await known(server, ANN)
        server.backups.on_copy = lambda name: None
        await server.pass_(40)
        await server.backups.until(ANN)


async def test_what_the_copying_itself_does_to_a_store_at_rest_is_no_change(new_server):
    """SQLite tidies its log up when the last one closes a store."""
    async with new_server() as server:
        server.pair(ANN, state=State.STOPPED, connect_epoch=3, clean_epoch=3)
        server.backups.on_copy = lambda name: server.touch(name, 1)
        await known(server, ANN)
        await server.pass_(600)
        assert server.backups.made == []


async def test_a_session_that_stops_is_copied_at_once(new_server):
    """Without the quiet time, before all that are merely due."""
    async with new_server(ANN, BEA, CAT) as server:
        await known(server, ANN, BEA, CAT)
        server.schedule.stopped(ANN)
        await server.backups.until(ANN)


async def test_few_at_once(new_server):
    """However many are due; a session is never copied twice at once."""
    async with new_server(*map(SessionName, "abcdefghijkl")) as server:
        server.backups.gate.clear()
        await server.pass_(60)
        assert server.backups.under_way == AT_ONCE
        server.backups.gate.set()
        await server.backups.until(*map(SessionName, "abcdefghijkl"))
        assert server.backups.most == AT_ONCE


async def test_failures_are_tried_again_and_shown(new_server):
    """Ever later; after several in a row the session says so; success starts over."""
    async with new_server(ANN) as server:
        server.backups.error = AWAY
        await server.pass_(35)
        await server.backups.until(ANN)
        await server.pass_(FIRST_RETRY + LONGEST_LOOK)
        await server.backups.until(ANN)
        assert server.backups.shown == []
        await server.pass_(2 * FIRST_RETRY + LONGEST_LOOK)
        await server.backups.until(ANN)
        async with asyncio.timeout(SECONDS):
            while not server.backups.shown:
                await asyncio.sleep(0.001)
        assert server.backups.shown == [(ANN, AWAY)]
        assert FAILURES_SHOWN == 3
        server.backups.error = None
        await server.pass_(4 * FIRST_RETRY + LONGEST_LOOK)
        await server.backups.until(ANN)
        await server.pass_(3600)
        assert server.backups.made == []


async def test_a_bug_ends_neither_the_schedule_nor_another_session(new_server):
    """It is that session's failure, and tried again."""
    async with new_server(ANN, BEA) as server:
        server.backups.error = RuntimeError("a bug")
        await server.pass_(35)
        await server.backups.until(ANN, BEA)
        server.backups.error = None
        await server.pass_(FIRST_RETRY + LONGEST_LOOK)
        await server.backups.until(ANN, BEA)


async def test_a_lost_store_is_no_concern_of_the_schedule(new_server):
    """The session itself says so when it starts."""
    async with new_server(ANN) as server:
        await known(server, ANN)
        server.sessions.store_path(ANN).unlink()
        server.schedule.stopped(ANN)
        await server.pass_(600)
        assert server.backups.made == []


async def test_at_the_end_what_has_stopped_is_copied_and_nothing_else(new_server):
    """Bounded in time."""
    async with new_server(ANN, BEA, CAT) as server:
        await known(server, ANN, BEA, CAT)
        server.touch(BEA)
        server.schedule.stopped(ANN)
        await server.schedule.finish(timedelta(seconds=SECONDS))
        await server.backups.until(ANN)
        server.backups.gate.clear()
        server.schedule.stopped(CAT)
        await server.schedule.finish(timedelta(milliseconds=1))
        assert server.backups.made == []


def test_marks_change_with_both_files(tmp_path):
    """In WAL mode most changes are in the log beside the database."""
    store = tmp_path / "store.db"
    assert marks_of(store) is None
    store.write_bytes(b"")
    seen = {marks_of(store)}
    store.write_bytes(b"x")
    seen.add(marks_of(store))
    (tmp_path / "store.db-wal").write_bytes(b"")
    seen.add(marks_of(store))
    (tmp_path / "store.db-wal").write_bytes(b"x")
    seen.add(marks_of(store))
    assert len(seen) == 4
