"""A session paired in a real Baileys goes on here without pairing."""

import asyncio
from collections.abc import Sequence

import pytest

from server.backups.imports.model import CredentialsFile, ImportRequest, ImportResult
from server.backups.model import RestoreMode
from server.backups.service import Silent
from server.backups.verify import drill
from server.sessions.model import State
from server.vault.model import BackupKind, BackupState
from simulator import Group, Phone, Simulator
from tests.support.baileys_device import (
    BaileysDevice,
    baileys_device,
    copy_of,
    install_baileys,
    paired,
)
from tests.support.rooms import ANN, SECONDS, RealServer
from tests.support.stores import rows


@pytest.fixture
async def baileys(sim: Simulator, tmp_path):
    """A Baileys that is not linked yet. Whatever it asks, the simulator understands."""
    await install_baileys()
    async with baileys_device(sim, tmp_path / "auth") as device:
        yield device
    assert sim.unknown_stanzas() == []
    assert sim.refused_hosts() == []


@pytest.fixture
async def server(sim: Simulator, tmp_path):
    """A server's rooms with the real engine."""
    (tmp_path / "kept").mkdir()
    async with RealServer(tmp_path / "data", sim, tmp_path / "kept").running() as running:
        yield running


async def in_thread(call, *arguments, **named):
    return await asyncio.to_thread(call, *arguments, **named)


async def chat(device: BaileysDevice, ann: Phone, bob: Phone, group: Group) -> None:
    """Texts both ways, until both sides use one session; and in a group."""
    await in_thread(bob.send_text, ann.jid, "hello Baileys")
    await device.receives("hello Baileys")
    await device.sends(bob.lid, "hello Bob")
    await in_thread(bob.send_group_text, group, "hello group")
    await device.receives("hello group")
    for number in range(3):
        await device.sends(group.jid, f"group {number}")
    await in_thread(bob.send_text, ann.jid, "got it")
    await device.receives("got it")
    await device.sends(bob.lid, "so did I")
    came = await in_thread(bob.inbox, 5, timeout=SECONDS)
    assert (came[-1].text, came[-1].sealed) == ("so did I", "msg")


async def take_over(
    server: RealServer, files: Sequence[CredentialsFile], *, stopped: bool
) -> ImportResult:
    """What the import RPC does; `stopped` is the caller's word."""
    wanted = ImportRequest(target=ANN, files=files, source_stopped=stopped)
    return await server.importer.run(wanted, Silent())


async def test_a_baileys_session_goes_on_here(sim, baileys, server, tmp_path, new_phone):
    """The same device, the same Signal sessions: nobody pairs, resends or notices anything.

    What was written while the session moved arrives, alone and in a group; texts go both ways
    with ordinary messages, without a prekey being used, a retry or a changed identity.
    """
    ann, bob = await in_thread(new_phone, "Ann"), await in_thread(new_phone, "Bob")
    await paired(baileys, ann.scan)
    devices = await in_thread(ann.devices)
    group = await in_thread(sim.create_group, "friends", [ann, bob])
    await chat(baileys, ann, bob, group)
    await baileys.stop()
    await in_thread(bob.send_text, ann.jid, "on the way")
    await in_thread(bob.send_group_text, group, "on the way in the group")
    before = len(await in_thread(bob.inbox))

    result = await take_over(server, copy_of(tmp_path / "auth"), stopped=True)
    assert result.converted.mode is RestoreMode.EXACT
    assert result.converted.dropped == {}
    assert result.converted.account.jid == ann.jid
    assert (result.backup.kind, result.backup.state) == (BackupKind.IMPORT, BackupState.ACTIVE)
    store = server.manager.store_path(ANN)
    assert drill(store).problems == ()
    prekeys = "SELECT key_id FROM whatsmeow_pre_keys ORDER BY key_id"
    unused = rows(store, prekeys)

    await server.manager.start(ANN)
    await server.reaches(State.ACTIVE)
    await server.receives("on the way")
    await server.receives("on the way in the group")
    for turn in range(3):
        await server.send(bob, f"from here {turn}")
        await in_thread(bob.send_text, ann.jid, f"from Bob {turn}")
        await server.receives(f"from Bob {turn}")
    await server.send(group, "to the group from here")
    await in_thread(bob.send_group_text, group, "to the group from Bob")
    await server.receives("to the group from Bob")

    came = (await in_thread(bob.inbox, before + 4, timeout=SECONDS))[before:]
    texts = [(message.text, message.sealed) for message in came]
    assert texts == [
        *((f"from here {turn}", "msg") for turn in range(3)),
        ("to the group from here", "skmsg"),
    ]
    assert {message.sender.partition("@")[0].partition(":")[2] for message in came} == {"1"}
    for phone in (ann, bob):
        assert await in_thread(phone.failures) == []
        assert await in_thread(phone.identity_changes) == []
    assert "retry" not in {receipt.type for receipt in await in_thread(bob.receipts)}
    assert await in_thread(ann.devices) == devices
    await server.manager.stop(ANN)
    await server.reaches(State.STOPPED)
    assert rows(store, prekeys) == unused


async def run_on(device: BaileysDevice, ann: Phone, bob: Phone) -> None:
    """Texts both ways that a copy of the folder made before knows nothing of."""
    for turn in range(3):
        await device.sends(bob.lid, f"after the copy {turn}")
        await in_thread(bob.send_text, ann.jid, f"answer {turn}")
        await device.receives(f"answer {turn}")
    await device.stop()


async def test_an_old_copy_of_a_baileys_folder_loses_no_text(
    baileys, server, tmp_path, new_phone, sim
):
    """Baileys ran on after the copy: the ratchets in it are behind, and so are not used."""
    ann, bob = await in_thread(new_phone, "Ann"), await in_thread(new_phone, "Bob")
    await paired(baileys, ann.scan)
    group = await in_thread(sim.create_group, "friends", [ann, bob])
    await chat(baileys, ann, bob, group)
    files = copy_of(tmp_path / "auth")
    await run_on(baileys, ann, bob)
    before = len(await in_thread(bob.inbox))
    result = await take_over(server, files, stopped=False)
    assert result.converted.mode is RestoreMode.REKEY
    await server.manager.start(ANN)
    await server.reaches(State.ACTIVE)
    for turn in range(3):
        await server.send(bob, f"from here {turn}")
        await in_thread(bob.send_text, ann.jid, f"from Bob {turn}")
        await server.receives(f"from Bob {turn}")
    await server.send(group, "to the group from here")
    await in_thread(bob.send_group_text, group, "to the group from Bob")
    await server.receives("to the group from Bob")
    came = (await in_thread(bob.inbox, before + 4, timeout=SECONDS))[before:]
    assert [message.text for message in came] == [
        *(f"from here {turn}" for turn in range(3)),
        "to the group from here",
    ]
    assert await in_thread(bob.failures) == []
    assert await in_thread(bob.identity_changes) == []


async def test_why_the_word_of_the_caller_matters(baileys, server, tmp_path, new_phone, sim):
    """Said to be stopped when it was not: a text is lost that the contact seems to have got."""
    ann, bob = await in_thread(new_phone, "Ann"), await in_thread(new_phone, "Bob")
    await paired(baileys, ann.scan)
    group = await in_thread(sim.create_group, "friends", [ann, bob])
    await chat(baileys, ann, bob, group)
    files = copy_of(tmp_path / "auth")
    await baileys.sends(bob.lid, "after the copy")
    await in_thread(bob.inbox, 6, timeout=SECONDS)
    await baileys.stop()
    assert (await take_over(server, files, stopped=True)).converted.mode is RestoreMode.EXACT
    await server.manager.start(ANN)
    await server.reaches(State.ACTIVE)
    await server.send(bob, "lost")
    assert await in_thread(bob.failures, 1, timeout=SECONDS) == ["OldCounter"]
    await server.send(bob, "the next one")
    came = await in_thread(bob.inbox, 7, timeout=SECONDS)
    assert [message.text for message in came[5:]] == ["after the copy", "the next one"]
