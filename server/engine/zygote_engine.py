"""The real engine: one zygote, one host process per session.

`async with ZygoteEngine(config) as engine: session = await engine.start(spec)`. Leaving stops what
still runs. Hosts that a killed server left behind drain and exit by themselves; `start` waits for
the one of its session.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

import structlog
from roost.engine.v1 import frames_pb2 as frames

from server.core.errors import EngineUnavailable

from . import lock, store
from .base import Ended, EndReason, EngineSession, StartSpec
from .link import HostLink, LinkConfig
from .unstarted import UnstartedSession
from .version import engine_version
from .zygote_process import ZygoteLost, ZygoteProcess, zygote_environment

LOCK_FILE: Final = "host.lock"
LOCK_POLL_SECONDS: Final = 0.02
KILLED_SECONDS: Final = 5.0
RESTART_SECONDS: Final = 1.0
TEMPLATE_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)
T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Where a stand-in plays WhatsApp; loopback only."""

    proxy_url: str
    ca_file: Path
    root_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What the engine needs to know. `data_dir` must be on a local file system."""

    data_dir: Path
    simulator: SimulatorConfig | None = None
    link: LinkConfig = field(default_factory=LinkConfig)
    paired_deadline: timedelta = timedelta(seconds=10)
    server_silence: timedelta = timedelta()  # ends a host that hears nothing for so long; 0: never
    login_deadline: timedelta = timedelta(seconds=60)
    drain_quiet: timedelta = timedelta(milliseconds=100)
    orphan_grace: timedelta = timedelta(seconds=30)
    exit_grace: timedelta = timedelta(seconds=20)
    gogc: int = 50


class ZygoteEngine:
    """The `Engine` that runs neonize."""

    def __init__(self, config: EngineConfig) -> None:
        """Nothing runs before `async with`."""
        self._config = config
        self._tasks = asyncio.TaskGroup()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="engine")
        self._zygote: ZygoteProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._links: set[HostLink] = set()
        self._template = store.template_path(config.data_dir / "engine", engine_version())

    @property
    def version(self) -> str:
        """As `Engine.version`."""
        return engine_version()

    @property
    def zygote_pid(self) -> int:
        """The zygote's process id; 0 while there is none."""
        return 0 if self._zygote is None else self._zygote.pid

    async def __aenter__(self) -> Self:
        await self._make_template()
        await self._tasks.__aenter__()
        try:
            self._zygote = await self._start_zygote()
        except BaseException:
            await self._tasks.__aexit__(None, None, None)
            raise
        self._keeper = self._tasks.create_task(self._keep_zygote(), name="engine/zygote")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            async with asyncio.TaskGroup() as stopping:
                for link in tuple(self._links):
                    stopping.create_task(link.stop(self._config.exit_grace))
        finally:
            if self._keeper is not None:
                self._keeper.cancel()
            await self._tasks.__aexit__(kind, error, trace)
            if self._zygote is not None:
                await self._zygote.close()
            self._threads.shutdown(wait=False)

    async def start(self, spec: StartSpec) -> EngineSession:
        """As `Engine.start`. A damaged store gives a session that has ended already."""
        lock_file = spec.spool_dir.parent / LOCK_FILE
        await self._wait_for_orphan(spec, lock_file)
        if not await self._blocking(self._prepare_store, spec):
            ended = Ended(reason=EndReason.STORE_DAMAGED, clean=True, engine_code="store-check")
            return UnstartedSession(spec, ended)
        ours, its = socket.socketpair()
        with its:
            try:
                if self._zygote is None:
                    raise ZygoteLost  # noqa: TRY301 -- one way to fail
                process = await self._zygote.fork(self._host_start(spec, lock_file), its)
            except BaseException as error:
                ours.close()
                if isinstance(error, ZygoteLost):
                    raise EngineUnavailable(session=f"sessions/{spec.session_id}") from error
                raise
        link = HostLink(
            spec=spec,
            process=process,
            sock=ours,
            config=self._config.link,
            find_sent=lambda secret: self._blocking(store.find_sent, spec.store, secret),
        )
        self._links.add(link)
        self._tasks.create_task(self._run(link), name=f"session/{spec.session_id}/host")
        return link

    async def _run(self, link: HostLink) -> None:
        try:
            await link.run()
        except Exception:
            log.exception("host.link_failed", pid=link.pid)  # a bug; this session's only
        finally:
            self._links.discard(link)

    def _host_start(self, spec: StartSpec, lock_file: Path) -> frames.Start:
        simulator = self._config.simulator
        return frames.Start(
            session_id=spec.session_id,
            store=str(spec.store.absolute()),
            spool_dir=str(spec.spool_dir.absolute()),
            lock_file=str(lock_file.absolute()),
            spool_acked=spec.spool_acked,
            proxy_url=spec.proxy_url or (simulator.proxy_url if simulator else ""),
            simulator_root_key=simulator.root_key if simulator else b"",
            fresh=spec.fresh,
            paired_deadline_millis=_millis(self._config.paired_deadline),
            silence_millis=_millis(self._config.server_silence),
            login_deadline_millis=_millis(self._config.login_deadline),
            drain_quiet_millis=_millis(self._config.drain_quiet),
        )

    def _prepare_store(self, spec: StartSpec) -> bool:
        """Makes or checks the store; False if the engine must not see it."""
        if spec.fresh:
            store.create(self._template, spec.store)
            return store.is_store_ready(spec.store)
        return store.is_store_sound(spec.store)

    # --- hosts of earlier servers

    async def _wait_for_orphan(self, spec: StartSpec, lock_file: Path) -> None:
        if await self._wait_free(lock_file, self._config.orphan_grace):
            return
        log.warning("host.orphan_killed", session=f"sessions/{spec.session_id}")
        if not lock.kill_holder(lock_file) or not await self._wait_free(
            lock_file, timedelta(seconds=KILLED_SECONDS)
        ):
            raise EngineUnavailable(session=f"sessions/{spec.session_id}")

    async def _wait_free(self, lock_file: Path, bound: timedelta) -> bool:
        limit = asyncio.get_running_loop().time() + bound.total_seconds()
        while not lock.is_free(lock_file):
            if asyncio.get_running_loop().time() >= limit:
                return False
            await asyncio.sleep(LOCK_POLL_SECONDS)
        return True

    # --- the zygote

    async def _start_zygote(self) -> ZygoteProcess:
        simulator = self._config.simulator
        return await ZygoteProcess.start(
            zygote_environment(
                os.environ,
                gogc=self._config.gogc,
                ca_file=str(simulator.ca_file) if simulator else "",
                proxy_url=simulator.proxy_url if simulator else "",
            )
        )

    async def _keep_zygote(self) -> None:
        """Starts another zygote when one dies; hosts are not touched by its death."""
        while True:
            if self._zygote is not None:
                await self._zygote.wait_lost()
                await self._zygote.close()
                self._zygote = None
                log.error("zygote.lost")
            try:
                self._zygote = await self._start_zygote()
            except (OSError, TimeoutError, ZygoteLost) as error:
                log.error("zygote.start_failed", error=type(error).__name__)  # noqa: TRY400
                await asyncio.sleep(RESTART_SECONDS)

    async def _make_template(self) -> None:
        """Lets the engine create an empty store in a process of its own, once per version."""
        if self._template.exists():
            return
        self._template.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._template.with_suffix(f".{os.getpid()}.draft")
        process = await asyncio.create_subprocess_exec(
            *store.template_command(draft), stdin=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(TEMPLATE_SECONDS):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await self._blocking(store.finish_template, draft, self._template)

    async def _blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))


def _millis(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
