"""`python -m server` as a process of its own, for tests of the whole.

    with ServerProcess(tmp_path / "data", env=sim.environment()) as server:
        server.address, server.key, server.pid
        server.kill()        # SIGKILL: as a power cut, seen from the server
        server.start()       # the same data directory again
    assert b"secret" not in server.output()

Everything here blocks; from a coroutine call it in a thread, or where nothing else has to run.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

START_SECONDS = 60.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.02


class ServerProcess:
    """One data directory and, between `start` and its end, the server on it."""

    def __init__(
        self,
        data_dir: Path,
        env: Mapping[str, str] | None = None,
        *,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.data_dir = data_dir
        self.env = dict(env or {})
        self._arguments = arguments
        self._output = data_dir.with_name(f"{data_dir.name}.output")
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_running:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    @property
    def is_running(self) -> bool:
        """The process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's own process, not a wrapper's."""
        assert self._process is not None
        return self._process.pid

    @property
    def key(self) -> str:
        """The admin key."""
        return (self.data_dir / "admin.key").read_text().strip()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Puts the key on a call of a generated stub."""
        return (("authorization", f"Bearer {self.key}"),)

    def output(self) -> bytes:
        """What the server, its zygote and its hosts have printed, over all starts."""
        return self._output.read_bytes() if self._output.exists() else b""

    def log(self) -> list[dict[str, object]]:
        """The log lines among the output."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith(b"{")]

    def start(self, *, wait: bool = True) -> None:
        """Starts the server; waits until it serves. Raises AssertionError with its output."""
        assert not self.is_running
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "server", "--data-dir", str(self.data_dir)),
                    *("--listen", "127.0.0.1:0"),
                    *self._arguments,
                ],
                env={**clean, "ROOST_LOG__FORMAT": "json", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if wait:
            self.wait_until_serving()

    def wait_until_serving(self, timeout: float = START_SECONDS) -> None:
        """Waits for this very process to announce itself."""
        announcement = self.data_dir / "server.json"
        deadline = time.monotonic() + timeout
        while True:
            assert self.is_running, f"the server ended while starting:\n{self.output().decode()}"
            if announcement.exists():
                facts = json.loads(announcement.read_text())
                if facts["pid"] == self.pid:
                    self.address = facts["address"]
                    return
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the server did not serve in time:\n{self.output().decode()}")
            time.sleep(POLL_SECONDS)

    def terminate(self, timeout: float = STOP_SECONDS) -> int:
        """SIGTERM: a planned end. Returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL: the server gets no chance to do anything. Returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def wait(self, timeout: float = STOP_SECONDS) -> int:
        """Waits for an end that somebody else asked for; returns the exit code."""
        assert self._process is not None
        return self._process.wait(timeout)
