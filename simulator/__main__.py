"""`python -m simulator serve`: the simulator as a process."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from .control import Control
from .faults import Point
from .proxy import Gate
from .server import Service
from .store import Store

_SHUTDOWN_SECONDS = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is told to end; the exit code."""
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve_ = commands.add_parser("serve", help="play WhatsApp on loopback")
    serve_.add_argument("--port", type=int, default=0, help="of the proxy; 0 takes a free one")
    serve_.add_argument("--control-port", type=int, default=0, help="of the control API")
    serve_.add_argument("--state-dir", type=Path, help="keep everything here across restarts")
    serve_.add_argument(
        "--until-eof", action="store_true", help="end when standard input does, with a parent"
    )
    serve_.add_argument("--verbose", action="store_true", help="log to standard error")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING)
    try:
        asyncio.run(
            serve(
                port=options.port,
                control_port=options.control_port,
                state_dir=options.state_dir,
                until_eof=options.until_eof,
            )
        )
    except KeyboardInterrupt:
        return 130
    return 0


async def serve(
    *,
    port: int = 0,
    control_port: int = 0,
    state_dir: Path | None = None,
    until_eof: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT; prints one line of JSON with the addresses when ready.

    Args:
        port: Of the proxy, the one door for clients; 0 takes a free one.
        control_port: Of the control API; 0 takes a free one.
        state_dir: Where accounts, devices, keys and queues outlive the process; without it
            they do not.
        until_eof: End when standard input ends, that is, with the parent process.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        folder = state_dir or Path(stack.enter_context(TemporaryDirectory(prefix="roost-sim-")))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = Store(state_dir / "state.db" if state_dir else None)
        stack.callback(store.close)
        service = Service(store)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        chats = web.AppRunner(
            service.application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await chats.setup()
        stack.push_async_callback(chats.cleanup)
        if chats.server is None:
            raise RuntimeError("the web server did not start")
        gate = Gate(
            tasks,
            service.identity.authority.server_context(),
            chats.server,
            lambda _user: _tunnel_verdict(service),
        )
        stack.callback(service.reset_all)
        stack.callback(gate.close)
        addresses = {
            "proxy_url": f"http://127.0.0.1:{await gate.open(port)}",
            "ca_file": str(_write_ca(folder, service.identity.authority.certificate)),
            "root_key": service.identity.root.public.hex(),
            "pid": str(os.getpid()),
        }
        control = Control(service, gate.refused, addresses)
        runner = web.AppRunner(
            control.application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", control_port, backlog=1024)
        await site.start()
        addresses["control_url"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        if until_eof:
            await _watch_stdin(stop)
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _tunnel_verdict(service: Service) -> int | None:
    fault = service.faults.take(Point.TUNNEL)
    return None if fault is None else fault.number("status", 0)


def _write_ca(folder: Path, certificate: bytes) -> Path:
    path = folder / "ca.pem"
    path.write_bytes(certificate)
    return path


async def _watch_stdin(stop: asyncio.Event) -> None:
    class End(asyncio.Protocol):
        def connection_lost(self, _error: Exception | None) -> None:
            stop.set()

    await asyncio.get_running_loop().connect_read_pipe(End, sys.stdin)


if __name__ == "__main__":
    sys.exit(main())
