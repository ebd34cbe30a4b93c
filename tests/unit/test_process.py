"""Pieces of the process that need no server."""

import subprocess
import sys
from datetime import timedelta

import pytest

from server.app import Stop
from server.process import reachable


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("127.0.0.1:5", "127.0.0.1:5"),
        ("0.0.0.0:5", "127.0.0.1:5"),
        ("[::]:5", "[::1]:5"),
        ("example.org:5", "example.org:5"),
    ],
)
def test_the_announced_address_can_be_called(address, shown):
    """Nobody can call every address at once."""
    assert reachable(address) == shown


async def test_the_first_wish_to_stop_counts():
    """With the time that it gives."""
    stop = Stop(timedelta(seconds=30))
    stop.request(timedelta(seconds=5))
    stop.request(timedelta(seconds=60))
    await stop.wait()
    assert stop.grace == timedelta(seconds=5)
    usual = Stop(timedelta(seconds=30))
    usual.request()
    assert usual.grace == timedelta(seconds=30)


def test_a_stop_that_hangs_is_cut_short():
    """Exit code 1."""
    program = (
        "import asyncio, datetime\n"
        "from server import process\n"
        "async def main():\n"
        "    process.limit_stop(datetime.timedelta(milliseconds=1))\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == 1
