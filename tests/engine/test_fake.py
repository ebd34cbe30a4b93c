"""The fake engine keeps the promises of the port that other tests lean on."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.core.errors import EngineUnavailable
from server.engine.base import (
    Disconnected,
    Ended,
    EndReason,
    Engine,
    EngineSession,
    RawEvent,
    StartSpec,
)
from server.engine.fake import FakeEngine, FakeSession

SPEC = StartSpec(
    session_id="a",
    store=Path("/nowhere/sessions/a/1/store.db"),
    spool_dir=Path("/nowhere/sessions/a/spool"),
    fresh=True,
    connect_epoch=1,
    spool_acked=7,
    proxy_url="",
)


async def test_events_come_in_order_and_end() -> None:
    engine: Engine = FakeEngine()
    session: EngineSession = await engine.start(SPEC)
    assert isinstance(session, FakeSession)
    session.emit(Disconnected())
    session.emit(RawEvent(spool=0, type="Presence", payload=b""))
    session.end(EndReason.CRASHED, engine_code="SIGABRT")
    assert [event async for event in session.events()] == [
        Disconnected(),
        RawEvent(spool=8, type="Presence", payload=b""),
        Ended(reason=EndReason.CRASHED, clean=False, engine_code="SIGABRT"),
    ]
    with pytest.raises(EngineUnavailable):
        await session.send_text(recipient="b", text="c", secret=bytes(32))


async def test_spool_positions_go_on_in_the_next_host() -> None:
    engine = FakeEngine()
    first = await engine.start(SPEC)
    assert isinstance(first, FakeSession)
    first.emit(RawEvent(spool=0, type="x", payload=b""))
    await first.stop(timedelta(seconds=1))
    second = await engine.start(SPEC)
    assert isinstance(second, FakeSession)
    assert second.emit(RawEvent(spool=0, type="x", payload=b"")) == RawEvent(
        spool=9, type="x", payload=b""
    )
    assert await engine.started("a", count=2) is second


async def test_calls_are_recorded_and_acknowledgements_awaited() -> None:
    engine = FakeEngine(on_start=lambda session: session.emit(Disconnected()) and None)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(engine.started("a"))
        session = await engine.start(SPEC)
    fake = waiting.result()
    assert fake is session
    sent = await session.send_text(recipient="b", text="c", secret=bytes(32))
    assert sent.message_id
    assert sent.send_time <= datetime.now(UTC)
    assert [text.text for text in fake.texts] == ["c"]
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(fake.wait_acknowledged(9))
        await session.acknowledge(9)
