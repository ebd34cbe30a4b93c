"""What backups cost a real server in memory."""

import asyncio
from pathlib import Path

from tests.support.api import Api
from tests.support.planted import plant
from tests.support.server import ServerProcess

SESSIONS = 20
STORE_BYTES = 20 << 20
ALLOWED_MIB = 200


def memory_mib(pid, field):
    """`VmRSS`: now; `VmHWM`: at most, since `forget_the_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(field)


def forget_the_peak(pid):
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def test_twenty_large_sessions_backed_up_at_once(sim, tmp_path, make_store):
    """All of them together stay under 200 MiB above what the server has when it is idle."""
    names = await plant(tmp_path / "data", make_store, SESSIONS, STORE_BYTES)
    stores = [*(tmp_path / "data/sessions").glob("*/*/store.db")]
    assert all(store.stat().st_size > STORE_BYTES * 0.95 for store in stores)
    env = sim.environment() | {"ROOST_BACKUP__ON_CHANGE": "false", "ROOST_BACKUP__EVERY": "0"}
    with ServerProcess(tmp_path / "data", env=env) as server:
        async with Api.connect(server.address, server.key) as api:
            for name in names:
                assert await api.list_backups(name) == []
            idle = memory_mib(server.pid, "VmRSS")
            forget_the_peak(server.pid)
            async with asyncio.TaskGroup() as tasks:
                for name in names:
                    tasks.create_task(api.back_up(name))
            first = memory_mib(server.pid, "VmHWM") - idle
            forget_the_peak(server.pid)
            async with asyncio.TaskGroup() as tasks:
                for name in names:
                    tasks.create_task(api.back_up(name))
            second = memory_mib(server.pid, "VmHWM") - idle
            print(f"idle {idle:.0f} MiB; first backups +{first:.0f}, next ones +{second:.0f} MiB")
            for name in names:
                assert len(await api.list_backups(name)) == 2
    assert max(first, second) < ALLOWED_MIB
