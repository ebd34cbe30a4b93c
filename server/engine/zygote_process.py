"""Server side: the zygote as something that forks hosts."""

import asyncio
import socket
import sys
from collections.abc import Mapping
from typing import Final

from roost.engine.v1 import frames_pb2 as frames

from .process import HostProcess

MAX_PACKET: Final = 64 * 1024
READY_SECONDS: Final = 30.0
EXIT_SECONDS: Final = 5.0


class ZygoteLost(Exception):
    """The zygote is gone or could not do it."""


class ZygoteProcess:
    """One zygote, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        """Use `start`."""
        self._process = process
        self._control = control
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._forks: dict[int, asyncio.Future[HostProcess]] = {}
        self._last_fork = 0
        self._hosts: dict[int, HostProcess] = {}
        asyncio.get_running_loop().add_reader(control, self._on_report)

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> "ZygoteProcess":
        """Starts one and waits until it takes requests. Raises ZygoteLost."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        with its:
            command = (sys.executable, "-P", "-m", "server.engine.zygote")
            process = await asyncio.create_subprocess_exec(
                *command,
                f"--control-fd={its.fileno()}",
                pass_fds=(its.fileno(),),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is for the server
            )
        zygote = cls(process, ours)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await zygote._ready.wait()
        except BaseException:
            await zygote.close()
            raise
        if zygote.is_lost:
            await zygote.close()
            raise ZygoteLost
        return zygote

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_lost(self) -> bool:
        """Whether it is gone."""
        return self._lost.is_set()

    async def wait_lost(self) -> None:
        """Waits for its end."""
        await self._lost.wait()

    async def fork(self, start: frames.Start, host_end: socket.socket) -> HostProcess:
        """Forks a host that owns `host_end`. Raises ZygoteLost."""
        self._last_fork += 1
        request = frames.ZygoteRequest(id=self._last_fork, start=start)
        waiting: asyncio.Future[HostProcess] = asyncio.get_running_loop().create_future()
        self._forks[request.id] = waiting
        try:
            if self.is_lost:
                raise ZygoteLost
            while True:
                try:
                    fds = [host_end.fileno()]
                    socket.send_fds(self._control, [request.SerializeToString()], fds)
                    break
                except BlockingIOError:  # a burst of starts: it takes them one after the other
                    await asyncio.sleep(0.01)
                except OSError as error:
                    raise ZygoteLost from error
            return await waiting
        finally:
            self._forks.pop(request.id, None)

    async def close(self) -> None:
        """Ends it; not the hosts."""
        self._lose()
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _on_report(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, MAX_PACKET, 1)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._lose()
            return
        report = frames.ZygoteReport.FromString(data)
        match report.WhichOneof("report"):
            case "ready":
                self._ready.set()
            case "host_forked":
                self._on_forked(report.host_forked, fds)
            case _:
                if host := self._hosts.pop(report.host_exited.pid, None):
                    host.report_exit(report.host_exited.exit_code)

    def _on_forked(self, forked: frames.HostForked, fds: list[int]) -> None:
        waiting = self._forks.pop(forked.id, None)
        if not fds:
            if waiting is not None and not waiting.done():
                waiting.set_exception(ZygoteLost(forked.failure))
            return
        host = HostProcess(forked.pid, fds[0])
        self._hosts[forked.pid] = host
        if waiting is not None and not waiting.done():
            waiting.set_result(host)
        # Otherwise nobody waits any more: the host sees its socket closed and ends.

    def _lose(self) -> None:
        if self._lost.is_set():
            return
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._lost.set()
        self._ready.set()
        for waiting in self._forks.values():
            if not waiting.done():
                waiting.set_exception(ZygoteLost())
        for host in self._hosts.values():
            host.report_exit(None)
        self._hosts.clear()


def zygote_environment(
    inherited: Mapping[str, str], *, gogc: int, ca_file: str, proxy_url: str
) -> dict[str, str]:
    """What a zygote and its hosts see: Go reads the environment of the exec, never a later one.

    Args:
        inherited: The server's environment; only what a network program needs is passed on.
        gogc: How many percent Go's heap may grow between collections.
        ca_file: A simulator's certificate authority; empty for the system's.
        proxy_url: A simulator's proxy, for everything, so that nothing can pass it by.
    """
    environment = {name: inherited[name] for name in _INHERITED if name in inherited}
    environment |= {
        "GOGC": str(gogc),
        "GOMAXPROCS": "2",  # each one costs memory, and a session is never busy
        "MALLOC_ARENA_MAX": "1",
        "NEONIZE_BOT_TAG": "off",  # else neonize adds a bot node to every text
    }
    if ca_file:
        environment["SSL_CERT_FILE"] = ca_file
    if proxy_url:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            environment |= {name: proxy_url, name.lower(): proxy_url}
        environment |= {"NO_PROXY": "", "no_proxy": ""}
    return environment


_INHERITED: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
