"""Server side: a host as an operating-system process."""

import asyncio
import contextlib
import os
import signal
from datetime import timedelta


class HostProcess:
    """A process that may be another's child: its end is seen through a pidfd."""

    def __init__(self, pid: int, pidfd: int) -> None:
        """Owns `pidfd`."""
        self.pid = pid
        self._pidfd = pidfd
        self._exit_code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(pidfd, self._on_gone)

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self._gone.is_set()

    def kill(self) -> None:
        """Sends SIGKILL; to nobody else, whatever the pid belongs to by now."""
        if not self._gone.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def report_exit(self, exit_code: int | None) -> None:
        """Takes the exit code from whoever reaped it; None if nobody knows any more."""
        if not self._exit_code.done():
            self._exit_code.set_result(exit_code)

    async def wait_gone(self) -> None:
        """Waits for the end of the process."""
        await self._gone.wait()

    async def wait_exit_code(self, limit: timedelta) -> int | None:
        """Waits for the end and then, not for ever, for the exit code."""
        await self._gone.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit.total_seconds()):
                return await asyncio.shield(self._exit_code)
        return None

    def _on_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._gone.set()
