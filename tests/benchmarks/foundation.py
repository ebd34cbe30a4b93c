"""What one server on this machine does: run `./roost bench`; it ends by itself within minutes.

Everything is real (server process, engine hosts, the engine) but WhatsApp, which the simulator
plays on the same machine. Figures are min, median and max; compare ratios, not single times.
"""

import argparse
import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import grpc.aio
from roost.v1 import session_service_pb2 as requests

from server.engine.base import QrCode, StartSpec
from server.engine.zygote_engine import EngineConfig, SimulatorConfig, ZygoteEngine
from simulator import Simulator
from tests.benchmarks.figures import Figure, report
from tests.support.api import Api, Follower, State, host_pid
from tests.support.server import ServerProcess

NUMBERS = itertools.count(15550500000)
ROUND_TRIPS = 300


def private_mib(pid: int) -> float:
    """Private memory of a process, as the kernel counts it, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


class Foundation:
    """One run over one simulator and one server."""

    def __init__(self, sim: Simulator, server: ServerProcess, sessions: int, repeats: int) -> None:
        self.sim, self.server = sim, server
        self.sessions, self.repeats = sessions, repeats
        self.names: list[str] = []
        self.phones: list[object] = []

    async def pairing(self, api: Api) -> list[Figure]:
        """CreateSession to ACTIVE with the simulated phone scanning at once."""
        figure = Figure("pairing to ACTIVE", "ms")
        for number in range(self.sessions):
            phone = self.sim.create_account(phone=str(next(NUMBERS)), name=f"P{number}")
            session = await api.create(f"bench-{number}")
            begun = time.perf_counter()
            await api.pair_by_qr(session.name, phone.scan)
            await api.wait_for_state(session.name, State.STATE_ACTIVE)
            figure.values.append((time.perf_counter() - begun) * 1000)
            self.names.append(session.name)
            self.phones.append(phone)
        return [figure]

    async def memory(self, _api: Api) -> list[Figure]:
        """Private memory of every connected session's host."""
        figure = Figure(
            f"private memory per connected session ({self.sessions})", "MiB", "target <= 24"
        )
        await asyncio.sleep(2)  # lets garbage collection after the pairings happen
        figure.values = [private_mib(host_pid(self.server.data_dir, name)) for name in self.names]
        return [figure]

    async def unary(self, api: Api) -> list[Figure]:
        """GetSession against a bare echo, taken in turns."""
        bare = Figure("bare grpc.aio echo", "ms")
        get = Figure("GetSession", "ms")
        ratio = Figure("GetSession / bare echo (medians of a round)", "x", "target <= 2")
        request = requests.GetSessionRequest(name=self.names[0])
        payload = request.SerializeToString()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("echo_server.py")),
            stdout=subprocess.PIPE,
        )
        try:
            assert child.stdout is not None
            port = int(await child.stdout.readline())
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                echo = channel.unary_unary("/bench.Echo/Echo")
                await echo(payload)
                for _ in range(self.repeats):
                    round_bare, round_get = Figure("", ""), Figure("", "")
                    for _ in range(ROUND_TRIPS):
                        await timed(round_bare, lambda: echo(payload))
                        await timed(
                            round_get,
                            lambda: api.sessions.GetSession(request, metadata=api.metadata),
                        )
                    bare.values.extend(round_bare.values)
                    get.values.extend(round_get.values)
                    ratio.values.append(round_get.median / round_bare.median)
        finally:
            child.terminate()
            await child.wait()
        return [bare, get, ratio]

    async def latency(self, api: Api) -> list[Figure]:
        """From the contact's text leaving the simulator to the subscriber's event."""
        figure = Figure("live text: simulator to subscriber", "ms")
        bob = self.sim.create_contact(phone=str(next(NUMBERS)), name="Bob")
        async with Follower(self.names[0]).following(api) as follower:
            for number in range(self.repeats * 10):
                body = f"text {number}"
                begun = time.perf_counter()
                await asyncio.to_thread(bob.send_text, self.phones[0].jid, body)
                await follower.until(lambda seen, body=body: seen.texts()[-1:] == [body])
                figure.values.append((time.perf_counter() - begun) * 1000)
        return [figure]

    async def relogin(self, api: Api) -> list[Figure]:
        """StartSession to ACTIVE for one session."""
        figure = Figure("StartSession to ACTIVE (one session)", "ms")
        name = self.names[0]
        for _ in range(self.repeats):
            await api.stop(name)
            await api.wait_for_state(name, State.STATE_STOPPED)
            begun = time.perf_counter()
            await api.start(name)
            await api.wait_for_state(name, State.STATE_ACTIVE)
            figure.values.append((time.perf_counter() - begun) * 1000)
        return [figure]

    async def restart(self) -> list[Figure]:
        """Kill the server, start it again, until the last of all sessions is ACTIVE."""
        figure = Figure(f"server start to {self.sessions} sessions ACTIVE", "s", "target <= 5")
        after_kill = Figure("same after kill -9 (hosts drain first)", "s")
        for number in range(self.repeats * 2):
            orderly = number % 2 == 0
            end = self.server.terminate if orderly else self.server.kill
            await asyncio.to_thread(end)
            begun = time.perf_counter()
            await asyncio.to_thread(self.server.start)
            async with Api.connect(self.server.address, self.server.key) as api:
                for name in self.names:
                    await api.wait_for_state(name, State.STATE_ACTIVE)
            (figure if orderly else after_kill).values.append(time.perf_counter() - begun)
        return [figure, after_kill]


async def host_start(sim: Simulator, data_dir: Path, repeats: int) -> list[Figure]:
    """From the wish for an engine to its first QR code: forked, library loaded, connected."""
    figure = Figure("host start (fork to first QR code)", "ms", "target <= 150")
    simulator = SimulatorConfig(
        proxy_url=sim.proxy_url, ca_file=Path(sim.ca_file), root_key=bytes.fromhex(sim.root_key_hex)
    )
    async with ZygoteEngine(EngineConfig(data_dir=data_dir, simulator=simulator)) as engine:
        for number in range(repeats + 1):
            folder = data_dir / "sessions" / f"h{number}"
            spec = StartSpec(
                session_id=f"h{number}",
                store=folder / "1" / "store.db",
                spool_dir=folder / "spool",
                fresh=True,
                connect_epoch=1,
                spool_acked=0,
                proxy_url="",
            )
            begun = time.perf_counter()
            host = await engine.start(spec)
            async for event in host.events():
                assert isinstance(event, QrCode), event
                break
            if number:  # the first one fills the disk cache
                figure.values.append((time.perf_counter() - begun) * 1000)
            await host.stop(timedelta(seconds=5))
    return [figure]


async def timed(figure: Figure, call: Callable[[], object]) -> None:
    """Adds one call's milliseconds to `figure`."""
    begun = time.perf_counter()
    await call()  # type: ignore[misc]
    figure.values.append((time.perf_counter() - begun) * 1000)


async def run(sessions: int, repeats: int) -> list[Figure]:
    """All figures."""
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        Simulator.start() as sim,
        ServerProcess(Path(scratch) / "data", env=sim.environment()) as server,
    ):
        figures += await host_start(sim, Path(scratch) / "hosts", 4 * repeats)
        bench = Foundation(sim, server, sessions, repeats)
        async with Api.connect(server.address, server.key) as api:
            for part in (
                bench.pairing,
                bench.memory,
                bench.unary,
                bench.latency,
                bench.relogin,
            ):
                figures += await part(api)
        figures += await bench.restart()
    return figures


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(report(asyncio.run(run(options.sessions, options.repeats))))


if __name__ == "__main__":
    main()
