"""A session of another program that uses neonize goes on here."""

import asyncio
from pathlib import Path

import pytest

from server.backups.imports.model import ImportRequest
from server.backups.model import RestoreMode
from server.backups.service import Silent
from server.sessions.model import State
from simulator import Phone, Simulator
from tests.simulator.real_client import RealClients
from tests.support.baileys_device import copy_of
from tests.support.rooms import ANN, SECONDS, RealServer
from tests.support.stores import rows


def program(sim: Simulator, folder: Path, ann: Phone, bob: Phone) -> None:
    """Links a device, chats until both sides use one session, and is killed."""
    folder.mkdir()
    with RealClients(sim, folder) as clients:
        clients.start("a")
        ann.scan(clients.wait("a", "qr")["code"])
        clients.wait("a", "Connected")
        bob.send_text(ann, "hello")
        clients.wait("a", "Message")
        clients.call("a", "send", to=bob.jid, text="hello Bob")
        bob.inbox(1, timeout=SECONDS)
        bob.send_text(ann, "got it")
        clients.wait("a", "Message", count=2)


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_neonize_session_goes_on_here(sim, tmp_path, new_phone, stopped):
    """On the same Signal session if the program is known to have stopped, else on a fresh one."""
    ann, bob = [await asyncio.to_thread(new_phone, name) for name in ("Ann", "Bob")]
    await asyncio.to_thread(program, sim, tmp_path / "program", ann, bob)
    files = [file for file in copy_of(tmp_path / "program") if file.name.startswith("a.db")]
    await asyncio.to_thread(bob.send_text, ann.jid, "on the way")
    (tmp_path / "kept").mkdir()
    async with RealServer(tmp_path / "data", sim, tmp_path / "kept").running() as rooms:
        wanted = ImportRequest(target=ANN, files=files, source_stopped=stopped)
        result = await rooms.importer.run(wanted, Silent())
        assert result.converted.mode is (RestoreMode.EXACT if stopped else RestoreMode.REKEY)
        assert result.converted.dropped == {}
        before = rows(rooms.manager.store_path(ANN), "SELECT key_id FROM whatsmeow_pre_keys")
        await rooms.manager.start(ANN)
        await rooms.reaches(State.ACTIVE)
        await rooms.receives("on the way")
        for turn in range(3):
            await rooms.send(bob, f"from here {turn}")
            await asyncio.to_thread(bob.send_text, ann.jid, f"from Bob {turn}")
            await rooms.receives(f"from Bob {turn}")
        came = (await asyncio.to_thread(bob.inbox, 4, timeout=SECONDS))[1:]
        assert [message.text for message in came] == [f"from here {turn}" for turn in range(3)]
        assert await asyncio.to_thread(bob.failures) == []
        assert await asyncio.to_thread(bob.identity_changes) == []
        kinds = {receipt.type for receipt in await asyncio.to_thread(bob.receipts)}
        assert ("retry" in kinds) is not stopped
        if stopped:
            assert {message.sealed for message in came} == {"msg"}
        await rooms.manager.stop(ANN)
        await rooms.reaches(State.STOPPED)
        if stopped:
            store = rooms.manager.store_path(ANN)
            assert rows(store, "SELECT key_id FROM whatsmeow_pre_keys") == before
    assert len(await asyncio.to_thread(ann.devices)) == 1
