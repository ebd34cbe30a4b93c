"""Killed servers, zygotes and hosts: nothing that was received is lost or seen twice."""

import asyncio
import dataclasses
import os
import random
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from server.core.errors import EngineUnavailable
from server.engine import lock
from server.engine.base import (
    Connected,
    Disconnected,
    Ended,
    EndReason,
    MessageReceived,
    QrCode,
)
from server.engine.link import LinkConfig
from server.engine.zygote_engine import EngineConfig, ZygoteEngine
from simulator import Phone, Simulator

from .conftest import GRACE, Sessions

SERVER = Path(__file__).with_name("server_process.py")


async def test_events_are_repeated_until_they_are_acknowledged(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    watched.acknowledges = False
    for number in range(3):
        await asyncio.to_thread(bob.send_text, ann, f"text {number}")
    await watched.wait(MessageReceived, 3)
    first = [one for one in watched.events if isinstance(one, MessageReceived)]
    os.kill(watched.pid, signal.SIGKILL)
    await watched.ended()
    # The server says what it has: it may have died before it could acknowledge.
    again = await sessions.start(
        dataclasses.replace(watched.spec, fresh=False, spool_acked=first[0].spool)
    )
    await again.wait(MessageReceived, 2)
    assert [one for one in again.events if isinstance(one, MessageReceived)] == first[1:]
    await again.session.stop(GRACE)
    last = await sessions.again(again)
    await last.wait(Connected)
    await asyncio.to_thread(bob.send_text, ann, "new")
    assert (await last.wait(MessageReceived)).text == "new"
    assert last.texts() == ["new"]


async def test_a_killed_server_loses_and_repeats_nothing(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    """Servers that acknowledge what they have written down are killed while texts arrive."""
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await watched.session.stop(GRACE)
    record = sessions.folder / "record.txt"
    record.touch()
    texts = [f"text {number}" for number in range(60)]
    dice = random.Random(4)

    async def write() -> None:
        for text in texts:
            await asyncio.to_thread(bob.send_text, ann, text)

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write())
        kills = 0
        while not writing.done() or kills < 5:
            server = await asyncio.create_subprocess_exec(
                sys.executable,
                str(SERVER),
                str(sessions.folder),
                str(record),
                env=os.environ | simulator.environment(),
            )
            try:
                await asyncio.sleep(1.0 + dice.random() * 1.5)  # a random moment, on purpose
            finally:
                server.kill()
                await server.wait()
            kills += 1
    acked = max((int(line.split()[0]) for line in record.read_text().splitlines()), default=0)
    last = await sessions.start(dataclasses.replace(watched.spec, fresh=False, spool_acked=acked))
    recorded = [line.split(" ", 1)[1] for line in record.read_text().splitlines() if " " in line]
    recorded = [text for text in recorded if text.startswith("text ")]
    missing = len(texts) - len(recorded)
    if missing:
        await last.wait(MessageReceived, missing)
    await last.wait(Connected)
    assert recorded + last.texts() == texts
    assert kills >= 5


async def test_the_next_server_waits_for_a_draining_host(
    config: EngineConfig, sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    watched = await sessions.paired(new_phone())
    lock_file = watched.spec.spool_dir.parent / "host.lock"
    assert not lock.is_free(lock_file)
    # As a killed server: its end of the socket is gone, nobody says goodbye.
    watched.session._sock.shutdown(2)  # type: ignore[attr-defined]
    again = await sessions.again(watched)
    await again.wait(Connected)


async def test_a_host_that_does_not_drain_is_killed_and_nobody_else(
    config: EngineConfig, new_phone: Callable[[], Phone], sessions: Sessions
) -> None:
    watched = await sessions.paired(new_phone())
    os.kill(watched.pid, signal.SIGSTOP)
    impatient = dataclasses.replace(config, orphan_grace=timedelta(seconds=0.3))
    async with ZygoteEngine(impatient) as second, asyncio.TaskGroup() as tasks:
        other = Sessions(second, config.data_dir, tasks)
        again = await other.again(watched)
        assert (await watched.ended()).engine_code == "SIGKILL"
        await again.wait(Connected)
        await again.session.stop(GRACE)


async def test_a_lock_of_a_stranger_is_respected(config: EngineConfig, sessions: Sessions) -> None:
    spec = sessions.spec("held")
    spec.spool_dir.parent.mkdir(parents=True)
    impatient = dataclasses.replace(config, orphan_grace=timedelta(seconds=0.1))
    held = lock.take(spec.spool_dir.parent / "host.lock")
    assert held is not None
    try:
        async with ZygoteEngine(impatient) as engine:
            with pytest.raises(EngineUnavailable):
                await engine.start(spec)
    finally:
        os.close(held)


async def test_a_dead_zygote_is_replaced_and_its_hosts_live_on(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    first = sessions.engine.zygote_pid
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(20):
        while sessions.engine.zygote_pid in (0, first):
            await asyncio.sleep(0.02)
    await asyncio.to_thread(bob.send_text, ann, "still there")
    await watched.wait(MessageReceived)
    await sessions.paired(bob, "b")
    await watched.session.stop(GRACE)
    assert await watched.ended() == Ended(reason=EndReason.STOPPED, clean=True)
    assert [one for one in watched.events if isinstance(one, Disconnected)] == []


async def test_a_host_that_hangs_is_noticed_and_killed(
    config: EngineConfig, new_phone: Callable[[], Phone]
) -> None:
    link = LinkConfig(ping_interval=timedelta(seconds=0.1), ping_timeout=timedelta(seconds=0.6))
    config = dataclasses.replace(config, link=link)
    async with ZygoteEngine(config) as engine, asyncio.TaskGroup() as tasks:
        watched = await Sessions(engine, config.data_dir, tasks).paired(new_phone())
        os.kill(watched.pid, signal.SIGSTOP)
        assert await watched.ended() == Ended(
            reason=EndReason.CRASHED, clean=False, engine_code="hung"
        )


async def test_a_host_does_not_outlive_a_frozen_server(
    config: EngineConfig, new_phone: Callable[[], Phone]
) -> None:
    """Another server may have its session by then. A server that speaks is no reason to end."""
    link = LinkConfig(ping_interval=timedelta(seconds=0.2))
    config = dataclasses.replace(config, link=link, server_silence=timedelta(seconds=2))
    async with ZygoteEngine(config) as engine, asyncio.TaskGroup() as tasks:
        watched = await Sessions(engine, config.data_dir, tasks).paired(new_phone())
        await asyncio.sleep(3)
        assert not any(isinstance(one, Ended) for one in watched.events)
        speechless = dataclasses.replace(link, ping_interval=timedelta(hours=1))
        watched.session._config = speechless  # type: ignore[attr-defined]
        assert (await watched.ended()).reason is EndReason.CRASHED


async def test_leaving_the_engine_ends_its_sessions(
    config: EngineConfig, new_phone: Callable[[], Phone]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        async with ZygoteEngine(config) as engine:
            watched = await Sessions(engine, config.data_dir, tasks).paired(new_phone())
            waiting = await Sessions(engine, config.data_dir, tasks).begin("waiting")
            await waiting.wait(QrCode)
        assert await watched.ended() == Ended(reason=EndReason.STOPPED, clean=True)
        assert await waiting.ended() == Ended(reason=EndReason.STOPPED, clean=True)
    for pid in (watched.pid, waiting.pid, engine.zygote_pid):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_many_sessions_start_at_once(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    phones = [await asyncio.to_thread(new_phone) for _ in range(6)]
    watched = [await sessions.paired(phone, f"s{number}") for number, phone in enumerate(phones)]
    async with asyncio.TaskGroup() as tasks:
        for one in watched:
            tasks.create_task(one.session.stop(GRACE))
    async with asyncio.TaskGroup() as tasks:
        again = [tasks.create_task(sessions.again(one)) for one in watched]
    for one in again:
        await one.result().wait(Connected)
