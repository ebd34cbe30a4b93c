"""The server as a process: its loop, its signals, its exit codes."""

import asyncio
import contextlib
import ctypes
import os
import signal
from datetime import timedelta

import structlog

from storage_backends.errors import BackendMisconfigured

from . import logs
from .app import Stop, running
from .core.errors import StorageMisconfigured, StorageUnavailable
from .datadir import DataDirectory, DataDirectoryBusy, DataDirectoryUnusable
from .events.batch import LogTakenOver
from .rpc.auth import AdminKeyUnusable
from .rpc.server import AddressUnusable, CertificateUnusable
from .settings import Settings
from .state.schema import SchemaTooNew
from .vault.masterkeys.base import MasterKeyUnusable

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BLOCK_BYTES = 1 << 20
HARD_STOP = timedelta(seconds=30)  # what the stop may take beyond the grace
EXITS: dict[tuple[type[Exception], ...], int] = {
    (DataDirectoryBusy,): 3,
    (AddressUnusable,): 4,
    (
        AdminKeyUnusable,
        BackendMisconfigured,
        CertificateUnusable,
        DataDirectoryUnusable,
        MasterKeyUnusable,
        LogTakenOver,
        MasterKeyUnusable,
        SchemaTooNew,
        StorageMisconfigured,
        StorageUnavailable,
    ): 5,
}

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM, SIGINT or DrainServer. A second signal ends the process at once."""
    with DataDirectory(settings.data_dir) as directory:
        async with running(settings) as server:
            stop_on_signals(server.stop)
            facts = {"address": reachable(server.address), "tls": settings.tls.is_on}
            directory.announce(facts)
            log.info("server.started", **facts)
            if settings.insecure and not settings.tls.is_on:
                log.warning("server.insecure", address=facts["address"])
            await server.stop.wait()
            limit_stop(server.stop.grace + HARD_STOP)
    log.info("server.stopped")


def run(settings: Settings) -> int:
    """Serves in a new event loop; returns the exit code (`server.__main__`)."""
    give_large_blocks_back()
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            logs.watch(runner.get_loop())
            runner.run(serve(settings))
    except Exception as error:  # noqa: BLE001  (the last resort: told, logged, counted as 1)
        return _explain(error)
    return 0


def give_large_blocks_back() -> None:
    """Lets blocks of a megabyte and more go back to the system when they are freed.

    Otherwise glibc keeps up to 32 MiB of them in each thread: up to 100 MiB after many backups.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def _explain(error: Exception) -> int:
    cause = _first_leaf(error)
    code = next((code for kinds, code in EXITS.items() if isinstance(cause, kinds)), 1)
    if code == 1:
        log.critical("server.failed", exc_info=error)
    else:
        log.error("server.not_started", problem=str(cause))
    return code


def _first_leaf(error: BaseException) -> BaseException:
    """What happened first: every task group on the way out wraps it once."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415  (an extra)
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def limit_stop(limit: timedelta) -> None:
    """Ends the process if the stop hangs, on a database that is away for example."""

    def give_up() -> None:
        log.critical("server.stop_timed_out")
        os._exit(1)

    asyncio.get_running_loop().call_later(limit.total_seconds(), give_up)


def stop_on_signals(stop: Stop) -> None:
    """The first signal drains; later ones have their usual meaning again."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        stop.request()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first)


def reachable(address: str) -> str:
    """Where this machine's own clients find a server that listens on every address."""
    host, _, port = address.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104
