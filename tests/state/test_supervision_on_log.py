"""Sessions, log and broker together, on SQLite and on PostgreSQL."""

import asyncio
import random
import time
from contextlib import AsyncExitStack, suppress

from server.core.clock import SystemClock
from server.core.names import SessionName
from server.engine.base import Connected
from server.engine.fake import FakeEngine
from server.events.broker import Broker
from server.events.log import EventLog
from server.events.stored import EventKind
from server.events.subscription import (
    AfterCursor,
    Events,
    FromNow,
    FromSnapshot,
    Subscription,
)
from server.sessions.manager import SessionManager
from server.sessions.model import DesiredState, State
from server.sessions.registry import SessionRegistry
from server.state import Database
from tests.support.builders import ANN, make_message
from tests.support.sessions import collect, play_pairing

A = SessionName("a")
MESSAGES = frozenset({EventKind.MESSAGE})


class Server:
    """What `app` puts together, on a fake engine."""

    def __init__(self, url, data_dir, engine):
        self.url, self.data_dir, self.engine = url, data_dir, engine

    async def __aenter__(self):
        self._stack = AsyncExitStack()
        database = await self._stack.enter_async_context(Database.open(self.url))
        registry = SessionRegistry()
        self.log = EventLog(database, registry, SystemClock())
        await self._stack.enter_async_context(self.log)
        self.broker = Broker(self.log, registry)
        self.manager = SessionManager(
            journal=self.log,
            registry=registry,
            engine=self.engine,
            clock=SystemClock(),
            data_dir=self.data_dir,
            on_paired=self._on_paired,
        )
        await self._stack.enter_async_context(self.manager)
        return self

    async def __aexit__(self, *error):
        return await self._stack.__aexit__(*error)

    async def _on_paired(self, name):
        pass

    async def until(self, state):
        async with asyncio.timeout(20):
            while self.manager.get(A).state is not state:
                await self.log.advanced()


async def pair(server):
    """Creates and pairs the session."""
    await server.manager.create(session_id="a")
    async with asyncio.TaskGroup() as group:
        steps = group.create_task(collect(server.manager.pair(A)))
        play_pairing(await server.engine.started("a"))
        await steps


class Host:
    """The spool of a session: it outlives servers, and repeats what was not acknowledged."""

    def __init__(self):
        self.count = 0
        self.session = None

    def on_start(self, session):
        self.session = session
        session.emit(Connected(account=ANN))
        for number in range(session.spec.spool_acked + 1, self.count + 1):
            session.emit(make_message(number))

    def receive(self):
        """A message arrives, whether a server listens or not."""
        self.count += 1
        if self.session is not None and not self.session.is_gone:
            self.session.emit(make_message(self.count))


async def test_every_message_is_in_the_log_once_when_servers_die(database_url, tmp_path):
    """Ten servers in a row are cut off at random moments while messages arrive."""
    dice = random.Random(7)
    async with Server(database_url, tmp_path, FakeEngine()) as server:
        await pair(server)
    host, subscriber = Host(), Subscriber()
    for _ in range(10):
        with suppress(TimeoutError):
            async with asyncio.timeout(dice.uniform(0.05, 0.3)):
                async with (
                    Server(database_url, tmp_path, FakeEngine(on_start=host.on_start)) as one,
                    asyncio.TaskGroup() as group,
                ):
                    group.create_task(subscriber.follow(one.broker))
                    while True:
                        for _ in range(dice.randint(0, 30)):
                            host.receive()
                        await asyncio.sleep(dice.uniform(0, 0.002))
        for _ in range(dice.randint(0, 5)):
            host.receive()
    assert host.count > 100
    expected = [f"M{number}" for number in range(1, host.count + 1)]
    async with Server(database_url, tmp_path, FakeEngine(on_start=host.on_start)) as last:
        async with asyncio.timeout(60):
            while last.manager._registry.record(A).spool_acked < host.count:
                await last.log.advanced()
        found, position = [], 0
        while position < last.log.head:
            page = await last.log.read(position, 1000)
            found += [event for event in page.events if event.kind is EventKind.MESSAGE]
            position = page.position
        assert [event.body.message_id for event in found] == expected
        sequences = [event.sequence for event in found]
        assert sequences == sorted(set(sequences))
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            following = group.create_task(subscriber.follow(last.broker))
            while len(subscriber.seen) < host.count:
                await asyncio.sleep(0.01)
            following.cancel()
    assert subscriber.seen == expected


class Subscriber:
    """Handles the item, then saves the cursor; resumes from it with the next server."""

    def __init__(self):
        self.seen = []
        self.cursor = None

    async def follow(self, broker):
        start = AfterCursor(self.cursor) if self.cursor else FromSnapshot()
        async for item in broker.subscribe(Subscription(start=start, kinds=MESSAGES)):
            if isinstance(item, Events):
                self.seen += [event.body.message_id for event in item.events]
            self.cursor = item.cursor


async def test_a_session_outlives_its_server(database_url, tmp_path):
    """An orderly end, then a new server: connected again without anybody asking."""
    async with Server(database_url, tmp_path, FakeEngine()) as server:
        await pair(server)
        created = server.manager.get(A).create_time
    host = Host()
    async with Server(database_url, tmp_path, FakeEngine(on_start=host.on_start)) as server:
        await server.until(State.ACTIVE)
        session = server.manager.get(A)
        assert (session.account, session.desired) == (ANN, DesiredState.RUNNING)
        assert (session.connect_epoch, session.clean_epoch) == (2, 1)
        assert session.create_time == created


async def test_subscribers_see_each_state_in_order(database_url, tmp_path):
    """From the creation of a session to its end."""
    async with Server(database_url, tmp_path, FakeEngine()) as server:
        items = server.broker.subscribe(Subscription(start=FromNow()))
        await pair(server)
        await server.manager.unlink(A)
        changes = []
        while len(changes) < 6:
            changes += (await anext(items)).events
    states = [event.body.session.state for event in changes]
    assert states == [
        State.STOPPED,
        State.CONNECTING,
        State.PAIRING,
        State.PAIRING,
        State.ACTIVE,
        State.UNLINKED,
    ]
    assert [event.sequence for event in changes] == list(range(1, 7))
    assert len({event.body.session.etag for event in changes}) == 6


async def test_a_live_message_reaches_a_subscriber_quickly(database_url, tmp_path):
    """An idle log commits at once: the median is far from any timer."""
    async with Server(database_url, tmp_path, FakeEngine()) as server:
        await pair(server)
        engine = server.engine.sessions[0]
        items = server.broker.subscribe(Subscription(start=FromNow(), kinds=MESSAGES))
        times = []
        for _ in range(50):
            begun = time.perf_counter()
            engine.emit(make_message(spool=0))
            await anext(items)
            times.append(time.perf_counter() - begun)
        assert sorted(times)[25] < 0.1
