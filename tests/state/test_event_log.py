"""The event log, on SQLite and on PostgreSQL."""

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from server.core.errors import CursorExpired, FieldInvalid, ServerDraining, StorageUnavailable
from server.core.names import SessionName
from server.events.batch import LogTakenOver
from server.events.log import EventLog
from server.events.retention import Retention
from server.events.stored import EventFilter, EventKind
from server.events.tail import TailLimits
from server.sessions.model import SessionChanged, State
from server.sessions.registry import SessionRegistry
from server.state import Database
from server.state.tables import event_log, events, log_epochs
from tests.support.builders import make_message, make_raw, make_receipt, make_session
from tests.support.clock import FakeClock
from tests.support.event_log import open_log, record_texts

NO_TAIL = TailLimits(events=0)


def texts(page):
    return [event.body.text for event in page.events]


async def test_a_record_is_seen_whole_as_soon_as_it_returns(database_url):
    """Registry, head and events move together."""
    session = make_session(state=State.ACTIVE)
    async with open_log(database_url) as log:
        await log.record(session, [SessionChanged(session=session), make_message()], spool_acked=1)
        assert log.registry.get(session.name) is session
        assert log.head == 2
        page = await log.read(0, 10)
    assert [(event.sequence, event.kind) for event in page.events] == [
        (1, EventKind.SESSION),
        (2, EventKind.MESSAGE),
    ]
    assert page.events[0].body == SessionChanged(session=session)
    assert page.position == 2


async def test_the_wakeup_comes_with_the_change(database_url):
    """A reader that wakes finds head and registry already moved."""
    session = make_session()
    async with open_log(database_url) as log, asyncio.TaskGroup() as group:
        seen = []

        async def wait():
            await log.advanced()
            seen.append((log.head, log.registry.find(session.name)))

        waiter = group.create_task(wait())
        await asyncio.sleep(0)
        await log.record(session, [make_message()])
        await waiter
        assert seen == [(1, session)]


async def test_everything_is_there_after_a_restart(database_url):
    """Sessions, events and positions continue where they were."""
    session = make_session(labels={"k": "v"}, connect_epoch=2**40)
    changed = replace(session, state=State.ACTIVE, etag="2")
    async with open_log(database_url) as log:
        await log.record(session, [SessionChanged(session=session)])
        await log.record(changed, [SessionChanged(session=changed)])
        await record_texts(log, 3)
    async with open_log(database_url) as log:
        assert log.registry.get(session.name) == changed
        assert log.registry.record(session.name).spool_acked == 3
        assert log.head == 5
        await log.record(changed, [make_message(4)], spool_acked=4)
        page = await log.read(2, 100)
    assert texts(page) == ["text 1", "text 2", "text 3", "text 4"]
    assert [event.sequence for event in page.events] == [3, 4, 5, 6]


async def test_sequences_count_per_session(database_url):
    """Each session has a count of its own, without gaps."""
    async with open_log(database_url) as log:
        async with asyncio.TaskGroup() as group:
            for session_id in ("a", "b", "c"):
                group.create_task(record_texts(log, 20, session_id))
        page = await log.read(0, 100)
    assert [event.position for event in page.events] == list(range(1, 61))
    for session_id in ("a", "b", "c"):
        own = [event for event in page.events if event.session == SessionName(session_id)]
        assert [event.sequence for event in own] == list(range(1, 21))
        assert [event.body.message_id for event in own] == [f"M{n}" for n in range(1, 21)]


class GatedDatabase(Database):
    """Holds writes back until the test lets them go, and counts them."""

    writes = 0

    async def write(self, work):
        self.writes += 1
        if self.writes > 2:  # after the schema and the opening of the log
            await self.gate.wait()
        return await super().write(work)


async def test_records_that_arrive_during_a_commit_share_the_next(database_url):
    """An idle log commits at once; 30 that wait are one transaction."""
    async with open_log(database_url, database_type=GatedDatabase) as log:
        log.database.gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(31):
                session = make_session(f"s{number}")
                group.create_task(log.record(session, [make_message()]))
                await asyncio.sleep(0)
            while log.database.writes < 3:
                await asyncio.sleep(0)
            assert log.head == 0
            assert len(log.registry) == 0
            log.database.gate.set()
        assert log.database.writes == 4
        assert log.head == len(log.registry) == 31


async def test_one_that_cannot_be_stored_fails_alone(database_url):
    """Those who shared its transaction are committed, without a hole."""
    bad = make_session("bad", connect_epoch=2**70)
    async with open_log(database_url, database_type=GatedDatabase) as log:
        log.database.gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(log.record(make_session(one), [make_message()]))
                for one in ("first", "x", "y")
            ]
            await asyncio.sleep(0)

            async def refused():
                with pytest.raises(Exception, match=r"large|range"):
                    await log.record(bad, [make_message()])

            tasks.insert(1, group.create_task(refused()))
            tasks.append(group.create_task(log.record(make_session("z"), [make_message()])))
            await asyncio.sleep(0)
            log.database.gate.set()
        page = await log.read(0, 10)
    assert [str(event.session) for event in page.events] == [
        f"sessions/{one}" for one in ("first", "x", "y", "z")
    ]
    assert [event.position for event in page.events] == [1, 2, 3, 4]
    assert log.registry.find(bad.name) is None


class FlakyDatabase(Database):
    """Fails writes as the test says: before they take effect, or after."""

    fail_before = 0
    fail_after = 0

    async def write(self, work):
        if self.fail_before:
            self.fail_before -= 1
            raise StorageUnavailable(storage_location="state database")
        result = await super().write(work)
        if self.fail_after:
            self.fail_after -= 1
            raise StorageUnavailable(storage_location="state database")
        return result


@pytest.mark.parametrize("moment", ["fail_before", "fail_after"])
async def test_a_database_that_was_away_costs_time_only(database_url, moment):
    """Also when the connection broke during the commit: recorded exactly once, in order."""
    clock = FakeClock()
    async with open_log(database_url, clock=clock, database_type=FlakyDatabase) as log:
        await record_texts(log, 1)
        setattr(log.database, moment, 4)
        async with asyncio.TaskGroup() as group:
            group.create_task(record_texts(log, 2, start=2))
            for delay in (0.1, 0.5, 2.0, 2.0):
                await clock.sleeping(delay)
                assert log.head == 1
                clock.advance(delay)
        assert texts(await log.read(0, 10)) == ["text 1", "text 2", "text 3"]
        stored = select(func.count()).select_from(events)
        assert await log.database.read(lambda c: c.execute(stored).scalar_one()) == 3


async def test_a_second_server_on_the_database_ends_the_first(database_url):
    """Two servers must never run the same sessions; the newer one holds the database."""
    async with Database.open(database_url) as database:
        with pytest.raises(ExceptionGroup) as error:
            async with EventLog(database, SessionRegistry(), FakeClock()) as first:
                async with open_log(database_url) as second:
                    await record_texts(second, 1)
                with pytest.raises(ServerDraining):
                    await first.record(make_session("b"), [make_message()])
                await asyncio.Event().wait()
        assert error.group_contains(LogTakenOver)
    async with open_log(database_url) as log:
        assert texts(await log.read(0, 10)) == ["text 1"]
        assert len(log.registry) == 1


async def test_what_was_recorded_before_closing_is_committed(database_url):
    """Closing waits for the commits; later records are refused."""
    async with open_log(database_url) as log, asyncio.TaskGroup() as group:
        group.create_task(log.record(make_session(), [make_message()]))
        await asyncio.sleep(0)
    with pytest.raises(ServerDraining):
        await log.record(make_session(), [])
    async with open_log(database_url) as log:
        assert texts(await log.read(0, 10)) == ["text 1"]


async def test_a_record_whose_caller_has_left_is_made_all_the_same(database_url):
    """Cancellation does not undo what was handed over."""
    async with open_log(database_url) as log:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(log.record(make_session(), [make_message()]))
            await asyncio.sleep(0)
            task.cancel()
        await log.record(make_session("b"), [make_message(2)])
        assert texts(await log.read(0, 10)) == ["text 1", "text 2"]


FILTERS = [
    EventFilter(),
    EventFilter(sessions=frozenset({SessionName("b")})),
    EventFilter(sessions=frozenset({SessionName("a"), SessionName("c")})),
    EventFilter(sessions=frozenset(SessionName(f"n{n}") for n in range(600)) | {SessionName("a")}),
    EventFilter(kinds=frozenset({EventKind.ENGINE})),
    EventFilter(kinds=frozenset({EventKind.MESSAGE, EventKind.RECEIPT})),
    EventFilter(sessions=frozenset({SessionName("c")}), kinds=frozenset({EventKind.RECEIPT})),
]


@pytest.mark.parametrize("wanted", FILTERS)
async def test_memory_and_database_tell_the_same(database_url, wanted):
    """Following pages from any position, with any filter, finds each matching event once."""
    async with open_log(database_url) as log:
        for number in range(1, 41):
            body = [make_message, make_receipt, make_raw][number % 3](number)
            await log.record(make_session("abc"[number % 4 % 3]), [body])
        everything = (await log.read(0, 100)).events
        async with open_log(database_url) as cold:
            for source in (log, cold):
                for start in (0, 7, 40):
                    position, found = start, []
                    while position < 40:
                        page = await source.read(position, 3, wanted)
                        assert len(page.events) <= 3
                        assert page.position > position
                        found += page.events
                        position = page.position
                    assert found == [
                        event
                        for event in everything
                        if event.position > start and wanted.matches(event)
                    ]


async def test_a_page_from_the_database_is_bounded_in_bytes(database_url):
    """Large events come one by one, so that a response stays within its limit."""
    async with open_log(database_url, tail=NO_TAIL) as log:
        await log.record(make_session(), [make_raw(n, b"x" * 700_000) for n in range(3)])
        await log.record(make_session(), [make_raw(9)])
        sizes = []
        position = 0
        while position < log.head:
            page = await log.read(position, 100)
            sizes.append(len(page.events))
            position = page.position
    assert sizes == [1, 1, 2]


async def test_old_events_go_by_age(database_url):
    """Reading from before the oldest gives no page; its cursor is expired, the oldest works."""
    clock = FakeClock()
    retention = Retention(max_age=timedelta(hours=1))
    async with open_log(database_url, clock=clock, retention=retention, tail=NO_TAIL) as log:
        await record_texts(log, 3)
        old = log.cursor(2)
        clock.advance(3000)
        await record_texts(log, 2, start=4)
        await log.trim()
        assert log.oldest == 0
        clock.advance(601)
        await log.trim()
        assert (log.oldest, log.head) == (3, 5)
        assert await log.read(2, 10) is None
        assert texts(await log.read(3, 10)) == ["text 4", "text 5"]
        with pytest.raises(CursorExpired) as error:
            log.resolve(old)
        assert log.resolve(error.value.oldest_cursor).position == 3
    async with open_log(database_url) as log:
        assert (log.oldest, log.head) == (3, 5)


async def test_old_events_go_by_size(database_url):
    """The log keeps its newest events up to the limit, and counts over restarts."""
    retention = Retention(max_bytes=5000)
    for start in range(1, 41, 10):
        async with open_log(database_url, retention=retention) as log:
            session = make_session()
            for number in range(start, start + 10):
                await log.record(session, [make_raw(number, b"x" * 400)])
            await log.trim()
            assert 8 <= log.head - log.oldest <= 10
            size = await log.database.read(
                lambda c: c.execute(select(event_log.c.size_bytes)).scalar_one()
            )
            assert 4000 < size <= 5000


async def test_removal_happens_by_itself(database_url):
    """Every check interval, and an unreachable database does not end it."""
    clock = FakeClock()
    retention = Retention(max_age=timedelta(hours=1), check_every=timedelta(minutes=1))
    async with open_log(
        database_url, clock=clock, retention=retention, database_type=FlakyDatabase
    ) as log:
        await record_texts(log, 3)
        log.database.fail_before = 1
        for _ in range(2):
            await clock.sleeping(60)
            clock.advance(3601)
        while log.oldest < 3:
            await asyncio.sleep(0)
        await clock.sleeping(60)
        assert log.database.fail_before == 0


async def test_removal_of_a_long_past_is_done_in_chunks(database_url):
    """Thousands of events at once go too."""
    clock = FakeClock()
    async with open_log(database_url, clock=clock) as log:
        await log.record(make_session(), [make_raw(n) for n in range(2500)])
        clock.advance(8 * 86400)
        await log.trim()
        assert log.oldest == 2500
        left = select(func.count()).select_from(events)
        assert await log.database.read(lambda c: c.execute(left).scalar_one()) == 0
        await record_texts(log, 1)
        assert log.head == 2501


async def test_cursors_survive_restarts(database_url):
    """A cursor of any earlier run names the same place."""
    cursors = []
    for run in range(3):
        async with open_log(database_url) as log:
            cursors.append((log.head, log.cursor(log.head)))
            await record_texts(log, 2, start=2 * run + 1)
            cursors.append((log.head, log.cursor(log.head)))
            for position, cursor in cursors:
                assert log.resolve(cursor).position == position


async def test_a_malformed_cursor_is_an_invalid_field(database_url):
    """It is not the log's fault."""
    async with open_log(database_url) as log:
        with pytest.raises(FieldInvalid) as error:
            log.resolve("nonsense")
    assert error.value.violations[0].field == "after_cursor"


async def test_a_cursor_of_another_log_is_expired(postgres, tmp_path):
    """A new database cannot know what an older one had said."""
    async with open_log(f"sqlite:///{tmp_path}/roost.db") as log:
        await record_texts(log, 3)
        cursor = log.cursor(2)
    async with open_log(postgres.create_database()) as other:
        await record_texts(other, 3)
        with pytest.raises(CursorExpired):
            other.resolve(cursor)


async def test_a_cursor_from_lost_time_is_expired(tmp_path):
    """A database put back to an older copy gives out the same positions for other events."""
    path, copy = Path(tmp_path, "roost.db"), Path(tmp_path, "copy.db")
    url = f"sqlite:///{path}"
    async with open_log(url) as log:
        await record_texts(log, 2)
        kept = log.cursor(2)
    shutil.copy(path, copy)
    async with open_log(url) as log:
        await record_texts(log, 2, start=3)
        lost_epoch = log.cursor(3)
    shutil.copy(copy, path)
    async with open_log(url) as log:
        await record_texts(log, 5, start=3)
        assert log.resolve(kept).position == 2
        with pytest.raises(CursorExpired):
            log.resolve(lost_epoch)


async def test_epochs_go_with_the_events_they_gave_out(database_url):
    """A server that is restarted for years does not collect them."""
    clock = FakeClock()
    for run in range(5):
        async with open_log(database_url, clock=clock) as log:
            await record_texts(log, 1, start=run + 1)
            clock.advance(8 * 86400)
            await log.trim()
    async with open_log(database_url) as log:
        epochs = select(func.count()).select_from(log_epochs)
        assert await log.database.read(lambda c: c.execute(epochs).scalar_one()) <= 3
