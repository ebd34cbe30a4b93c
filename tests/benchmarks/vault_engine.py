"""What backups cost a session that is running, and how long one is away for a restore."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from simulator import Simulator
from tests.benchmarks import vault_stores
from tests.benchmarks.figures import Table
from tests.support.api import Api, Follower, State
from tests.support.server import ServerProcess

TEXTS = 100
BLOCKS = 3
WITH, WITHOUT = "text, backup every second", "text, no backups"
RESTORE = "RestoreBackup to ACTIVE"
RESTORE_MOST = 2000


async def in_a_server(folder: Path, rounds: int) -> tuple[Table, list[str]]:
    """A session with a store of 25 MB: texts with and without hot backups; restores."""
    table = Table()
    with (
        Simulator.start() as sim,
        ServerProcess(folder / "data", env=sim.environment()) as server,
    ):
        async with Api.connect(server.address, server.key) as api:
            phone = sim.create_account(phone="15550600000", name="Ann")
            bob = sim.create_contact(phone="15550600001", name="Bob")
            session = await api.create("bench")
            await api.pair_by_qr(session.name, phone.scan)
            await api.wait_for_state(session.name, State.STATE_ACTIVE)
            await api.stop(session.name)
            await api.wait_for_state(session.name, State.STATE_STOPPED)
            (path,) = (server.data_dir / session.name).glob("*/store.db")
            with closing(sqlite3.connect(path)) as store, store:
                vault_stores.enlarge(store)
            await api.start(session.name)
            await api.wait_for_state(session.name, State.STATE_ACTIVE)
            async with Follower(session.name).following(api) as follower:
                await _exchange(Table(), "", bob, phone, follower)
                for number in range(BLOCKS * rounds):
                    if number % 2:
                        async with _backups_every_second(api, session.name, table):
                            await _exchange(
                                table, "text, backup every second", bob, phone, follower
                            )
                    else:
                        await _exchange(table, WITHOUT, bob, phone, follower)
            for _ in range(rounds):
                await _restore(api, session.name, table)
    restore = table.median(RESTORE)
    verdict = "ok" if restore <= RESTORE_MOST else "MISSED"
    return table, [
        table.ratio("text latency with backups / without", WITH, WITHOUT, 1.1),
        f"{RESTORE:<52} {restore:>6.0f} ms  target <= {RESTORE_MOST} {verdict}",
    ]


async def _exchange(table: Table, name: str, bob, phone, follower: Follower) -> None:
    for number in range(TEXTS):
        body = f"{name} {time.monotonic_ns()} {number}"
        begun = time.perf_counter()
        await asyncio.to_thread(bob.send_text, phone.jid, body)
        await follower.until(lambda seen, body=body: seen.texts()[-1:] == [body])
        table.add(name, (time.perf_counter() - begun) * 1000)
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _backups_every_second(api: Api, name: str, table: Table) -> AsyncIterator[None]:
    async def back_up() -> None:
        while True:
            begun = time.perf_counter()
            await api.back_up(name)
            took = time.perf_counter() - begun
            table.add("hot backup meanwhile", took * 1000)
            await asyncio.sleep(max(0, 1 - took))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(back_up())
        yield
        task.cancel()


async def _restore(api: Api, name: str, table: Table) -> None:
    backup = await api.back_up(name)
    await api.stop(name)
    await api.wait_for_state(name, State.STATE_STOPPED)
    begun = time.perf_counter()
    await api.restore(backup, force=True)
    await api.start(name)
    await api.wait_for_state(name, State.STATE_ACTIVE)
    table.add(RESTORE, (time.perf_counter() - begun) * 1000)
