"""The vault from the command line, on real servers, with texts before and after."""

import asyncio
import os
import subprocess
import sys

from tests.support.api import DEADLINE, Api, Follower, State
from tests.support.server import ServerProcess

WORDS = "correct horse battery staple"
RUN = "import sys; from roost_cli.main import main; main(sys.argv[1:])"


async def roost(server, *words, code=0):
    """Runs one command against a server; its output."""
    env = os.environ | {"ROOST_DATA_DIR": str(server.data_dir), "ROOST_PASSPHRASE": WORDS}
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", RUN, *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == code, (words, ended.stdout, ended.stderr)
    return ended.stdout


async def test_a_session_moves_as_one_file_to_a_server_that_knows_nothing(
    sim, server, api, pair, new_contact, tmp_path
):
    """No vault, no key, only file and passphrase; afterwards texts go both ways."""
    session, phone = await pair("shop")
    bob = new_contact()
    await asyncio.to_thread(bob.send_text, phone.jid, "before")
    await api.send(session.name, f"+{bob.phone}", "hello")
    await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
    file = tmp_path / "shop.roost"
    await roost(server, "backup", "shop")
    await roost(server, "backup", "export", "shop", str(file))
    await roost(server, "sessions", "stop", "shop", "--wait")
    await asyncio.to_thread(server.kill)
    with ServerProcess(tmp_path / "other", env=sim.environment()) as other:
        name = (await roost(other, "backup", "import", str(file), "shop")).split()[0]
        plan = await roost(other, "restore", name, "--plan")
        assert "REKEY" in plan
        done = await roost(other, "restore", "shop", "--start", "--yes")
        assert done == "restored shop; it is connected\n"
        async with (
            Api.connect(other.address, other.key) as new,
            Follower(session.name).following(new) as follower,
        ):
            await asyncio.to_thread(bob.send_text, phone.jid, "after")
            await follower.until(lambda seen: "after" in seen.texts())
            await new.send(session.name, f"+{bob.phone}", "still here")
            received = await asyncio.to_thread(bob.inbox, 2, timeout=DEADLINE)
            assert received[-1].text == "still here"
        assert bob.identity_changes() == []


async def test_the_vault_is_looked_after_by_commands(server, api, pair):
    """Checked, measured, verified by the engine itself; damage is named, and is the exit code."""
    await pair("shop")
    await roost(server, "backup", "shop")
    assert "engine     in order" in await roost(
        server, "backup", "verify", "shop", "--level", "engine"
    )
    assert "no problem found" in await roost(server, "vault", "check", "--read-data")
    assert "shop" in await roost(server, "vault", "stats")
    await roost(server, "vault", "rotate")
    await roost(server, "vault", "policy", "shop", "--every", "1h")
    assert "1h" in await roost(server, "vault", "policy", "shop")
    assert "0 would be moved to trash" in await roost(server, "vault", "retention")
    pack = max((server.data_dir / "backups" / "packs").rglob("*"), key=lambda one: one.is_file())
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1])
    assert pack.name in await roost(server, "vault", "check", code=9)


async def test_a_store_comes_back_from_trash_and_connects(server, api, pair, new_contact):
    """After a restore that turned out to be unwanted: fresh ratchets, and texts both ways."""
    session, phone = await pair("shop")
    bob = new_contact()
    await roost(server, "backup", "shop")
    await roost(server, "sessions", "stop", "shop", "--wait")
    await roost(server, "restore", "shop", "--force", "--yes")
    (line,) = [
        one for one in (await roost(server, "trash", "list")).splitlines() if "restore" in one
    ]
    await roost(server, "trash", "restore", line.split()[0], "--force")
    await roost(server, "sessions", "start", "shop", "--wait")
    await api.wait_for_state(session.name, State.STATE_ACTIVE)
    async with Follower(session.name).following(api) as follower:
        await asyncio.to_thread(bob.send_text, phone.jid, "hello")
        await follower.until(lambda seen: "hello" in seen.texts())
        await api.send(session.name, f"+{bob.phone}", "hi")
        received = await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
        assert received[-1].text == "hi"
    assert "not over" in await roost(server, "trash", "purge")
