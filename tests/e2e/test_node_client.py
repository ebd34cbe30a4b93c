"""A stock Node.js client, from the .proto files alone."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

from tests.support.api import DEADLINE

NODE_CLIENT = Path(__file__).resolve().parents[2] / "clients" / "node"


def program(name: str) -> str:
    """Node's programs as the dev extra brings them."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is missing: is the dev extra installed?"
    return found


async def run(*command: str, env: dict[str, str]) -> asyncio.subprocess.Process:
    """Starts a program in the example's folder, this environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=NODE_CLIENT,
        env=os.environ | {"PATH": path} | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_node_pairs_a_session_and_follows_its_status(server, new_phone):
    """QR from the stream, scanned by the phone, then states up to ACTIVE."""
    install = await run(program("npm"), "ci", "--no-audit", "--no-fund", env={})
    _, complaint = await install.communicate()
    assert install.returncode == 0, complaint.decode()

    phone = new_phone()
    env = {"ROOST_ADDRESS": server.address, "ROOST_API_KEY": server.key}
    child = await run(program("node"), "pair.js", "from-node", env=env)
    states, paired, scanned = [], "", False
    try:
        async with asyncio.timeout(2 * DEADLINE):
            async for line in child.stdout:
                told = json.loads(line)
                if "qr" in told and not scanned:
                    scanned = True
                    await asyncio.to_thread(phone.scan, told["qr"])
                paired = told.get("paired", paired)
                states += [told["state"]] if "state" in told else []
            complaint = await child.stderr.read()
            assert await child.wait() == 0, complaint.decode()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert paired == phone.jid
    assert states[0] == "STATE_STOPPED"
    assert "STATE_PAIRING" in states
    assert states[-1] == "STATE_ACTIVE"
