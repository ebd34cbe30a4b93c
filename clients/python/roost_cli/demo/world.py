"""A throw-away server process, its sessions towards a simulator."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 40.0
LOG_TAIL = 20


class ServerFailed(Exception):
    """The server did not start, or ended."""


class Server:
    """`roost serve` as a process of its own, on a data directory of its own."""

    def __init__(self, folder: Path, simulator: dict[str, str]) -> None:
        self.data_dir = folder / "data"
        self._log = folder / "server.log"
        ours = {name: text for name, text in os.environ.items() if not name.startswith("ROOST_")}
        self._env = ours | simulator | {"ROOST_DATA_DIR": str(self.data_dir)}
        self._process: subprocess.Popen[bytes] | None = None
        self.address = "127.0.0.1:0"

    async def start(self) -> None:
        """Starts it and waits until it listens; again at the same address."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  (returns at once)
                [sys.executable, "-m", "server"],
                env=self._env | {"ROOST_LISTEN": self.address},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        give_up = time.monotonic() + START_SECONDS
        while not (address := self._listening(self._process.pid)):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise ServerFailed(self._tail())
            await asyncio.sleep(0.05)
        self.address = address

    async def stop(self) -> None:
        """Ends it in good order; kills it when it does not end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def _listening(self, pid: int) -> str:
        try:
            facts = json.loads((self.data_dir / "server.json").read_text())
        except (FileNotFoundError, ValueError):
            return ""
        return str(facts["address"]) if facts["pid"] == pid else ""

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(["the server did not start:", *lines[-LOG_TAIL:]])
