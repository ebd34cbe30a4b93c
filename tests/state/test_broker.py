"""Subscriptions: snapshot, then deltas, then bookmarks, each with a cursor to resume from."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from server.core.errors import CursorExpired, FieldInvalid, SubscriberTooSlow
from server.core.names import SessionName
from server.events.broker import Broker
from server.events.retention import Retention
from server.events.stored import EventKind
from server.events.subscription import (
    AfterCursor,
    Bookmark,
    BookmarkReason,
    Events,
    FromNow,
    FromSnapshot,
    Snapshot,
    Subscription,
)
from server.events.tail import TailLimits
from server.sessions.model import SessionChanged, State
from tests.support.builders import make_message, make_raw, make_receipt, make_session
from tests.support.clock import FakeClock
from tests.support.event_log import open_log, record_texts

LONG = timedelta(hours=1)
NOW, SNAPSHOT = FromNow(), FromSnapshot()
A, B = SessionName("a"), SessionName("b")


def subscription(start=NOW, heartbeat=LONG, **options):
    return Subscription(start=start, heartbeat=heartbeat, **options)


def broker_of(log):
    return Broker(log, log.registry)


async def take(items: AsyncIterator, count=1):
    async with asyncio.timeout(20):
        return [await anext(items) for _ in range(count)]


async def texts(items, count):
    """The next `count` texts, however they are batched, and the cursor after them."""
    found, cursor = [], ""
    while len(found) < count:
        (item,) = await take(items)
        assert isinstance(item, Events)
        found += [event.body.text for event in item.events]
        cursor = item.cursor
    return found, cursor


async def test_events_from_now_on(database_url):
    """One at a time when it is quiet, each with its cursor."""
    async with open_log(database_url) as log:
        await record_texts(log, 2)
        items = broker_of(log).subscribe(subscription())
        for number in (3, 4):
            await record_texts(log, 1, start=number)
            (item,) = await take(items)
            assert [event.body.text for event in item.events] == [f"text {number}"]
            assert log.resolve(item.cursor).position == number


async def test_a_snapshot_and_what_follows_it(database_url):
    """Nothing between snapshot and events is lost or repeated; the barrier stands between."""
    async with open_log(database_url) as log:
        active = make_session("b", state=State.ACTIVE)
        await record_texts(log, 3)
        await log.record(active, [SessionChanged(session=active)])
        await log.record(make_session("c", state=State.DELETED), [])
        items = broker_of(log).subscribe(subscription(SNAPSHOT))
        await record_texts(log, 1, start=4)
        first, second, barrier = await take(items, 3)
        assert isinstance(first, Snapshot)
        assert [first.session.name, second.session] == [A, active]
        assert barrier == Bookmark(reason=BookmarkReason.SNAPSHOT_COMPLETE, cursor=log.cursor(4))
        assert (await texts(items, 1))[0] == ["text 4"]


async def test_resuming_within_a_snapshot_starts_it_over(database_url):
    """The cursor of a snapshot's session must not skip the sessions behind it."""
    async with open_log(database_url) as log:
        await record_texts(log, 1)
        await record_texts(log, 1, "b")
        broker = broker_of(log)
        (first,) = await take(broker.subscribe(subscription(SNAPSHOT)))
        assert first.session.name == A
        again = broker.subscribe(subscription(AfterCursor(first.cursor)))
        found = await take(again, 3)
        assert [item.session.name for item in found[:2]] == [A, B]
        assert found[2].reason is BookmarkReason.SNAPSHOT_COMPLETE


async def test_a_snapshot_is_filtered_like_the_events(database_url):
    """Only the sessions that were asked for."""
    async with open_log(database_url) as log:
        for session_id in "abc":
            await record_texts(log, 1, session_id)
        items = broker_of(log).subscribe(subscription(SNAPSHOT, sessions=frozenset({B})))
        shown, barrier = await take(items, 2)
        assert shown.session.name == B
        assert isinstance(barrier, Bookmark)
        await record_texts(log, 1, "a", 2)
        await record_texts(log, 1, "b", 2)
        assert (await texts(items, 1))[0] == ["text 2"]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (frozenset(), [EventKind.SESSION, EventKind.MESSAGE, EventKind.RECEIPT]),
        (frozenset({EventKind.ENGINE}), [EventKind.ENGINE]),
        (frozenset({EventKind.SESSION, EventKind.RECEIPT}), [EventKind.SESSION, EventKind.RECEIPT]),
    ],
)
async def test_events_are_filtered_by_kind(database_url, kinds, expected):
    """Engine events only on request."""
    session = make_session()
    bodies = [SessionChanged(session=session), make_message(), make_raw(), make_receipt()]
    async with open_log(database_url) as log:
        items = broker_of(log).subscribe(subscription(kinds=kinds))
        await log.record(session, bodies)
        (item,) = await take(items)
        assert [event.kind for event in item.events] == expected


@pytest.mark.parametrize("tail", [TailLimits(), TailLimits(events=10), TailLimits(events=0)])
async def test_a_reader_that_resumes_sees_every_event_once(database_url, tail):
    """From any cursor on, over restarts, while more arrives; in batches of at most 100."""
    seen, cursor = [], None
    for run in range(3):
        async with open_log(database_url, tail=tail) as log:
            start = SNAPSHOT if cursor is None else AfterCursor(cursor)
            items = broker_of(log).subscribe(subscription(start))
            if cursor is None:
                (barrier,) = await take(items)
                cursor = barrier.cursor
            async with asyncio.TaskGroup() as group:
                for session_id in "abc":
                    group.create_task(record_texts(log, 90, session_id, 90 * run + 1))
                while len(seen) < 270 * run + 200:
                    (item,) = await take(items)
                    assert 1 <= len(item.events) <= 100
                    seen += item.events
                    cursor = item.cursor
    async with open_log(database_url, tail=tail) as log:
        items = broker_of(log).subscribe(subscription(AfterCursor(cursor)))
        while len(seen) < 810:
            (item,) = await take(items)
            seen += item.events
    assert [event.position for event in seen] == list(range(1, 811))
    for session_id in "abc":
        own = [event for event in seen if event.session == SessionName(session_id)]
        assert [event.body.message_id for event in own] == [f"M{n}" for n in range(1, 271)]


async def test_catching_up_comes_in_full_batches(database_url):
    """One message costs the same whatever is in it."""
    async with open_log(database_url) as log:
        start = broker_of(log).cursor()
        await log.record(make_session(), [make_message(n) for n in range(250)])
        items = broker_of(log).subscribe(subscription(AfterCursor(start)))
        assert [len(item.events) for item in await take(items, 3)] == [100, 100, 50]


async def test_live_events_need_no_database(database_url):
    """A reader that is not behind is served from memory."""
    async with open_log(database_url) as log:
        items = broker_of(log).subscribe(subscription())

        async def fail(work):
            raise AssertionError

        log.database.read = fail
        for number in range(1, 6):
            await record_texts(log, 1, start=number)
            assert (await texts(items, 1))[0] == [f"text {number}"]


async def test_silence_is_broken_by_idle_bookmarks(database_url):
    """They prove that the server is there, and move the cursor past what did not match."""
    async with open_log(database_url) as log:
        items = broker_of(log).subscribe(
            subscription(heartbeat=timedelta(milliseconds=20), sessions=frozenset({B}))
        )
        await record_texts(log, 5)
        for _ in range(2):
            (item,) = await take(items)
            assert item == Bookmark(reason=BookmarkReason.IDLE, cursor=log.cursor(5))


async def test_closing_is_announced_with_a_cursor(database_url):
    """To readers that wait, to those that are behind, and to those that come late."""
    async with open_log(database_url) as log:
        broker = broker_of(log)
        start = broker.cursor()
        await record_texts(log, 3)
        waiting = broker.subscribe(subscription())
        behind = broker.subscribe(subscription(AfterCursor(start)))
        waited = asyncio.Event()

        async def wait():
            items = [item async for item in waiting]
            waited.set()
            return items

        async with asyncio.TaskGroup() as group:
            task = group.create_task(wait())
            (first,) = await take(behind)
            assert len(first.events) == 3
            group.create_task(broker.close())
            await waited.wait()
            assert [item async for item in behind] == [
                Bookmark(reason=BookmarkReason.CLOSING, cursor=log.cursor(3))
            ]
        assert task.result() == [Bookmark(reason=BookmarkReason.CLOSING, cursor=log.cursor(3))]
        late = [item async for item in broker.subscribe(subscription(AfterCursor(start)))]
        assert late == [Bookmark(reason=BookmarkReason.CLOSING, cursor=start)]


async def test_closing_reaches_a_reader_that_is_in_the_database(database_url):
    """It is not among those who wait just then."""
    async with open_log(database_url, tail=TailLimits(events=0)) as log:
        broker = broker_of(log)
        start = broker.cursor()
        await record_texts(log, 1)
        reading, gate = asyncio.Event(), asyncio.Event()
        read = log.database.read

        async def slow(work):
            reading.set()
            await gate.wait()
            return await read(work)

        log.database.read = slow
        items = broker.subscribe(subscription(AfterCursor(start), sessions=frozenset({B})))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(take(items))
            await reading.wait()
            group.create_task(broker.close())
            await asyncio.sleep(0)
            gate.set()
        assert task.result() == [Bookmark(reason=BookmarkReason.CLOSING, cursor=log.cursor(1))]


async def test_closing_does_not_wait_for_ever(database_url):
    """A reader that does not take its bookmark is left behind."""
    async with open_log(database_url) as log:
        broker = broker_of(log)
        await record_texts(log, 1)
        stuck = broker.subscribe(subscription(SNAPSHOT))
        await take(stuck)
        async with asyncio.timeout(20):
            await broker.close(timedelta(milliseconds=10))
        await stuck.aclose()


async def test_a_reader_that_left_is_forgotten(database_url):
    """Closing does not wait for it."""
    async with open_log(database_url) as log:
        broker = broker_of(log)
        await record_texts(log, 1)
        items = broker.subscribe(subscription(SNAPSHOT))
        await take(items)
        await items.aclose()
        async with asyncio.timeout(20):
            await broker.close(LONG)


async def test_a_slow_reader_holds_nobody_up_and_catches_up(database_url):
    """It reads the log when it is ready; nothing is kept for it meanwhile."""
    async with open_log(database_url, tail=TailLimits(events=10)) as log:
        broker = broker_of(log)
        slow, fast = broker.subscribe(subscription()), broker.subscribe(subscription())
        await record_texts(log, 1)
        assert (await texts(slow, 1))[0] == ["text 1"]
        for number in range(2, 302):
            await record_texts(log, 1, start=number)
            await texts(fast, 1)
        assert (await texts(slow, 300))[0] == [f"text {n}" for n in range(2, 302)]


async def test_a_reader_whose_place_was_removed_is_told(database_url):
    """With its last cursor, never by skipping; and that cursor is then expired."""
    clock = FakeClock()
    retention = Retention(max_age=timedelta(minutes=1))
    async with open_log(database_url, clock=clock, retention=retention) as log:
        broker = broker_of(log)
        items = broker.subscribe(subscription())
        await record_texts(log, 2)
        _, cursor = await texts(items, 2)
        await record_texts(log, 2, start=3)
        clock.advance(61)
        await log.trim()
        with pytest.raises(SubscriberTooSlow) as error:
            await take(items)
        assert error.value.last_cursor == cursor
        with pytest.raises(CursorExpired):
            broker.subscribe(subscription(AfterCursor(cursor)))


async def test_a_bad_cursor_is_refused_at_once(database_url):
    """Before anything is streamed."""
    async with open_log(database_url) as log:
        with pytest.raises(FieldInvalid):
            broker_of(log).subscribe(subscription(AfterCursor("x")))


async def test_a_list_and_a_watch_fit_together(database_url):
    """`cursor` taken with a list of the registry continues it without a gap."""
    async with open_log(database_url) as log:
        broker = broker_of(log)
        session = make_session()
        await log.record(session, [SessionChanged(session=session)])
        listed, cursor = log.registry.list(), broker.cursor()
        changed = replace(session, state=State.ACTIVE)
        await log.record(changed, [SessionChanged(session=changed)])
        (item,) = await take(broker.subscribe(subscription(AfterCursor(cursor))))
        assert listed == [session]
        assert [event.body.session for event in item.events] == [changed]
