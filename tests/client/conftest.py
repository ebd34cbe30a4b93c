"""A scripted server, and clients of it."""

import asyncio
import threading
from datetime import timedelta

import pytest
from roost_cli.main import main
from roost_client import AsyncClient, Client

from tests.support.scripted import Scripted, serving

BRIEF = timedelta(seconds=2)


@pytest.fixture
async def script():
    """The server, in the test's own loop."""
    async with serving(Scripted()) as script:
        yield script


@pytest.fixture
async def roost(script):
    """A client of it."""
    async with AsyncClient(script.address, "secret", patience=BRIEF) as client:
        yield client


@pytest.fixture
def apart():
    """The server in a loop on a thread of its own, for blocking tests."""
    script, up, down = Scripted(), threading.Event(), []

    async def serve():
        done = asyncio.Event()
        async with serving(script):
            down.append((asyncio.get_running_loop(), done))
            up.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(10)
    yield script
    loop, done = down[0]
    loop.call_soon_threadsafe(done.set)
    thread.join()


@pytest.fixture
def blocking(apart):
    """A blocking client of it."""
    with Client(apart.address, "secret", patience=BRIEF) as client:
        yield client


@pytest.fixture
def cli(apart, monkeypatch, capsys, tmp_path):
    """Runs a command line against the scripted server: exit code, stdout, stderr."""
    monkeypatch.setenv("ROOST_ADDRESS", apart.address)
    monkeypatch.setenv("ROOST_DATA_DIR", str(tmp_path))

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        written = capsys.readouterr()
        return end.value.code, written.out, written.err

    return run
