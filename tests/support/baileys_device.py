"""A linked device that is a real Baileys, in a Node.js process of its own."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.backups.imports.model import CredentialsFile
from simulator import Simulator

PACKAGE = Path(__file__).resolve().parents[1] / "e2e" / "baileys"
PROGRAMS = Path(sys.executable).parent
SECONDS = 60.0
INSTALL_SECONDS = 180.0


class BaileysDevice:
    """What it tells, and what it can be told to do."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._told: list[dict[str, Any]] = []
        self._news = asyncio.Condition()

    async def told(self, key: str, count: int = 1) -> list[Any]:
        """The values told under a name, once there are so many."""

        def found() -> list[Any]:
            return [line[key] for line in self._told if key in line]

        async with asyncio.timeout(SECONDS), self._news:
            await self._news.wait_for(lambda: len(found()) >= count or self._has_failed)
        assert not self._has_failed, self._told[-1]
        return found()

    async def sends(self, to: str, text: str) -> str:
        """Writes to an address; the message's id."""
        sent = len(await self.told("sent", 0))
        await self._tell({"do": "send", "to": to, "text": text})
        return str((await self.told("sent", sent + 1))[-1])

    async def receives(self, text: str) -> None:
        """Waits until this text has come."""
        count = 1
        while text not in await self.told("text", count):
            count += 1

    async def stop(self) -> None:
        """Ends the connection in order, and the process."""
        await self._tell({"do": "stop"})
        await self.told("stopped")
        async with asyncio.timeout(SECONDS):
            assert await self._process.wait() == 0

    @property
    def _has_failed(self) -> bool:
        return bool(self._told) and bool(self._told[-1].keys() & {"failed", "ended"})

    async def _tell(self, action: dict[str, str]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(action).encode() + b"\n")
        await self._process.stdin.drain()

    async def listen(self) -> None:
        """Takes what it tells, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            await self._note(json.loads(line))
        if not any("stopped" in line for line in self._told):
            await self._note({"ended": True})

    async def _note(self, line: dict[str, Any]) -> None:
        async with self._news:
            self._told.append(line)
            self._news.notify_all()


@asynccontextmanager
async def baileys_device(
    simulator: Simulator, folder: Path, package: str = "baileys"
) -> AsyncIterator[BaileysDevice]:
    """Starts Baileys on a folder of its own; it is killed if it has not been stopped."""
    process = await asyncio.create_subprocess_exec(
        *(_program("node"), "device.mjs", str(folder), package),
        cwd=PACKAGE,
        env=_environment()
        | {
            "SIM_PROXY_URL": simulator.proxy_url,
            "SIM_ROOT_KEY": simulator.root_key_hex,
            "NODE_EXTRA_CA_CERTS": str(simulator.ca_file),
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    device = BaileysDevice(process)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(device.listen())
        try:
            yield device
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def paired(device: BaileysDevice, scan: Callable[[str], object]) -> None:
    """Links it with the phone that scans its code, and waits until it is connected."""
    (code,) = await device.told("qr")
    await asyncio.to_thread(scan, code)
    await device.told("open")


def install_baileys() -> None:
    """Puts the packages in place, as their lock file names them."""
    done = subprocess.run(
        [_program("npm"), "ci"],
        cwd=PACKAGE,
        env=_environment(),
        capture_output=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def copy_of(folder: Path) -> list[CredentialsFile]:
    """A plain copy of a folder, with the times of its files."""
    return [
        CredentialsFile(
            name=file.name,
            data=file.read_bytes(),
            modify_time=datetime.fromtimestamp(file.stat().st_mtime, UTC),
        )
        for file in sorted(folder.iterdir())
    ]


def _program(name: str) -> str:
    """Node's programs as the dev extra brings them."""
    found = shutil.which(name, path=str(PROGRAMS))
    assert found, f"{name} is missing: is the dev extra installed?"
    return found


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
