"""Whether the engine itself opens a copy of a store: asked of a process of its own.

The server never loads the engine's library; see `opening`, which does.
"""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

LIMIT = timedelta(seconds=60)  # about one on an idle machine


class EngineRefused(Exception):
    """The engine does not open the copy, or crashed over it."""


async def devices_found(copy: Path, limit: timedelta = LIMIT) -> list[str]:
    """The addresses (`user:device@server`) of the devices that the engine finds in a store's copy.

    The copy may be changed, and its log files are left beside it.

    Raises:
        EngineRefused: it does not open the copy, or crashed.
        TimeoutError: it did not answer; nothing is known.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "server.engine.opening", str(copy)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(limit.total_seconds()):
            answer, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise EngineRefused(EngineRefused.__doc__)
    return [str(device) for device in json.loads(answer)]
