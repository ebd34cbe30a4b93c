"""A session paired in a real Baileys goes on here without pairing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from roost.v1.backup_pb2 import Backup, CredentialFormat, ImportResult
from roost.v1.backup_pb2 import RestoreMode as RestoreModePb
from roost.v1.backup_service_pb2 import ImportCredentialsRequest

from server.backups.imports.model import CredentialsFile, ImportRequest
from server.backups.imports.model import ImportResult as Imported
from server.backups.model import RestoreMode
from server.backups.service import Silent
from server.backups.verify import drill
from server.sessions.model import State as SessionState
from simulator import Group, Phone, Simulator
from tests.support.api import Api, Follower, State
from tests.support.baileys_device import (
    BaileysDevice,
    baileys_device,
    copy_of,
    install_baileys,
    paired,
)
from tests.support.rooms import ANN, SECONDS, RealServer
from tests.support.stores import rows


@pytest.fixture(scope="module")
def installed() -> None:
    """The npm packages are in place."""
    install_baileys()


@pytest.fixture
async def baileys(sim: Simulator, tmp_path, installed):
    """A Baileys that is not linked yet. Whatever it asks, the simulator understands."""
    async with baileys_device(sim, tmp_path / "auth") as device:
        yield device
    assert sim.unknown_stanzas() == []
    assert sim.refused_hosts() == []


@pytest.fixture
async def rooms(sim: Simulator, tmp_path):
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
    rooms: RealServer, files: Sequence[CredentialsFile], *, stopped: bool
) -> Imported:
    """What the import RPC does; `stopped` is the caller's word."""
    wanted = ImportRequest(target=ANN, files=files, source_stopped=stopped)
    return await rooms.importer.run(wanted, Silent())


async def move_out(
    sim: Simulator, device: BaileysDevice, ann: Phone, bob: Phone, group: Group
) -> None:
    """Stops Baileys while texts are on the way that others have overtaken."""
    await in_thread(sim.fault, ann, "delivery_late")
    await in_thread(bob.send_text, ann.jid, "overtaken")
    await in_thread(bob.send_text, ann.jid, "overtaking")
    await in_thread(sim.fault, ann, "delivery_late")
    await in_thread(bob.send_group_text, group, "overtaken in the group")
    await in_thread(bob.send_group_text, group, "overtaking in the group")
    await device.receives("overtaking")
    await device.receives("overtaking in the group")
    await device.stop()
    await in_thread(bob.send_text, ann.jid, "on the way")
    await in_thread(bob.send_group_text, group, "on the way in the group")


async def nobody_noticed(*phones: Phone) -> None:
    """Nothing was unreadable, sent again, or of another identity."""
    for phone in phones:
        assert await in_thread(phone.failures) == []
        assert await in_thread(phone.identity_changes) == []
        assert "retry" not in {receipt.type for receipt in await in_thread(phone.receipts)}


async def import_over_api(api: Api, folder: Path) -> ImportResult:
    """Streams the folder to the server; the caller's word is that Baileys has stopped."""
    header = ImportCredentialsRequest.Header(
        session="sessions/ann",
        format=CredentialFormat.CREDENTIAL_FORMAT_BAILEYS_MULTI_FILE,
        source_stopped=True,
        display_name="Ann",
    )

    async def parts() -> AsyncIterator[ImportCredentialsRequest]:
        yield ImportCredentialsRequest(header=header)
        for file in copy_of(folder):
            part = ImportCredentialsRequest.File(name=file.name, data=file.data)
            part.modify_time.FromDatetime(file.modify_time)
            yield ImportCredentialsRequest(file=part)

    started = await api.backups.ImportCredentials(parts(), metadata=api.metadata)
    done = await api.operation_end(started.operation.name)
    assert done.WhichOneof("result") == "imported", done
    return done.imported


async def test_a_baileys_session_goes_on_here(
    sim, baileys, server, api, tmp_path, new_phone, new_contact
):
    """The same device, the same Signal sessions: nobody pairs, resends or notices anything.

    What was written while the session moved arrives, alone and in a group, and so does what had
    overtaken it; a contact that never answered is still written to as before. Texts go both ways
    with ordinary messages, without a prekey being used, a retry or a changed identity.
    """
    ann, bob, eve = [
        await in_thread(new, name)
        for new, name in ((new_phone, "Ann"), (new_contact, "Bob"), (new_contact, "Eve"))
    ]
    await paired(baileys, ann.scan)
    devices = await in_thread(ann.devices)
    group = await in_thread(sim.create_group, "friends", [ann, bob])
    await chat(baileys, ann, bob, group)
    await baileys.sends(eve.lid, "hello Eve")
    await move_out(sim, baileys, ann, bob, group)
    before = len(await in_thread(bob.inbox))

    result = await import_over_api(api, tmp_path / "auth")
    assert result.mode == RestoreModePb.RESTORE_MODE_EXACT
    assert list(result.warnings) == []
    assert result.backup.kind == Backup.Kind.KIND_IMPORT
    assert result.backup.state == Backup.State.STATE_ACTIVE
    session = await api.get("sessions/ann")
    assert (session.state, session.account.jid) == (State.STATE_STOPPED, ann.jid)
    (store,) = server.data_dir.glob("sessions/ann/*/store.db")
    assert drill(store).problems == ()
    prekeys = "SELECT key_id FROM whatsmeow_pre_keys ORDER BY key_id"
    unused = rows(store, prekeys)

    async with Follower(session.name).following(api) as follower:
        await api.start(session.name)
        await api.wait_for_state(session.name, State.STATE_ACTIVE)
        waiting = [
            f"{word}{place}"
            for word in ("overtaken", "on the way")
            for place in ("", " in the group")
        ]
        await follower.until(lambda seen: len(seen.texts()) >= len(waiting))
        assert sorted(follower.texts()) == sorted(waiting)
        for turn in range(3):
            await api.send(session.name, bob.jid, f"from here {turn}")
            await in_thread(bob.send_text, ann.jid, f"from Bob {turn}")
            await follower.until(lambda seen, turn=turn: f"from Bob {turn}" in seen.texts())
        await api.send(session.name, group.jid, "to the group from here")
        await in_thread(bob.send_group_text, group, "to the group from Bob")
        await api.send(session.name, eve.jid, "still there?")
        await in_thread(eve.inbox, 2, timeout=SECONDS)
        await in_thread(eve.send_text, ann.jid, "yes")
        await follower.until(lambda seen: {"yes", "to the group from Bob"} <= set(seen.texts()))
        await api.send(session.name, eve.jid, "good")

    came = (await in_thread(bob.inbox, before + 4, timeout=SECONDS))[before:]
    assert [(message.text, message.sealed) for message in came] == [
        *((f"from here {turn}", "msg") for turn in range(3)),
        ("to the group from here", "skmsg"),
    ]
    assert {message.sender.partition("@")[0].partition(":")[2] for message in came} == {"1"}
    came = await in_thread(eve.inbox, 3, timeout=SECONDS)
    assert [(message.text, message.sealed) for message in came] == [
        ("hello Eve", "pkmsg"),
        ("still there?", "pkmsg"),  # the same session, which was not answered yet
        ("good", "msg"),
    ]
    await nobody_noticed(ann, bob, eve)
    assert await in_thread(ann.devices) == devices
    await api.stop(session.name)
    await api.wait_for_state(session.name, State.STATE_STOPPED)
    assert rows(store, prekeys) == unused


async def test_a_session_of_baileys_6_goes_on_here(sim, rooms, tmp_path, new_phone, installed):
    """It filed hidden addresses like numbers, and kept two sessions with everybody."""
    ann, bob = await in_thread(new_phone, "Ann"), await in_thread(new_phone, "Bob")
    group = await in_thread(sim.create_group, "friends", [ann, bob])
    async with baileys_device(sim, tmp_path / "auth", "baileys-6") as device:
        await paired(device, ann.scan)
        await in_thread(bob.send_text, ann.jid, "hello Baileys")
        await device.receives("hello Baileys")
        await device.sends(bob.jid, "hello Bob")
        await in_thread(bob.send_text, ann.jid, "got it")
        await device.receives("got it")
        await device.sends(bob.lid, "hidden Bob")
        await device.sends(group.jid, "hello group")
        await in_thread(bob.send_group_text, group, "hello Ann")
        await device.receives("hello Ann")
        before = len(await in_thread(bob.inbox, 3, timeout=SECONDS))
        await device.stop()
    await in_thread(bob.send_text, ann.jid, "on the way")
    await in_thread(bob.send_group_text, group, "on the way in the group")
    files = copy_of(tmp_path / "auth")
    assert not [file.name for file in files if "_1." in file.name]

    result = await take_over(rooms, files, stopped=True)
    assert result.converted.mode is RestoreMode.EXACT
    assert result.converted.dropped == {}
    store = rooms.manager.store_path(ANN)
    sessions = {name for (name,) in rows(store, "SELECT their_id FROM whatsmeow_sessions")}
    assert f"{bob.lid.partition('@')[0]}_1:0" in sessions
    assert f"{bob.phone}:0" not in sessions
    await rooms.manager.start(ANN)
    await rooms.reaches(SessionState.ACTIVE)
    await rooms.receives("on the way")
    await rooms.receives("on the way in the group")
    for turn in range(3):
        await rooms.send(bob, f"from here {turn}")
        await in_thread(bob.send_text, ann.jid, f"from Bob {turn}")
        await rooms.receives(f"from Bob {turn}")
    await rooms.send(group, "to the group from here")
    came = (await in_thread(bob.inbox, before + 4, timeout=SECONDS))[before:]
    assert [(message.text, message.sealed) for message in came] == [
        *((f"from here {turn}", "msg") for turn in range(3)),
        ("to the group from here", "skmsg"),
    ]
    assert await in_thread(bob.failures) == []
    assert await in_thread(bob.identity_changes) == []
    assert sim.unknown_stanzas() == []
    assert sim.refused_hosts() == []


async def run_on(device: BaileysDevice, ann: Phone, bob: Phone) -> None:
    """Texts both ways that a copy of the folder made before knows nothing of."""
    for turn in range(3):
        await device.sends(bob.lid, f"after the copy {turn}")
        await in_thread(bob.send_text, ann.jid, f"answer {turn}")
        await device.receives(f"answer {turn}")
    await device.stop()


async def test_an_old_copy_of_a_baileys_folder_loses_no_text(
    baileys, rooms, tmp_path, new_phone, sim
):
    """Baileys ran on after the copy: the ratchets in it are behind, and so are not used."""
    ann, bob = await in_thread(new_phone, "Ann"), await in_thread(new_phone, "Bob")
    await paired(baileys, ann.scan)
    group = await in_thread(sim.create_group, "friends", [ann, bob])
    await chat(baileys, ann, bob, group)
    files = copy_of(tmp_path / "auth")
    await run_on(baileys, ann, bob)
    before = len(await in_thread(bob.inbox))
    result = await take_over(rooms, files, stopped=False)
    assert result.converted.mode is RestoreMode.REKEY
    await rooms.manager.start(ANN)
    await rooms.reaches(SessionState.ACTIVE)
    for turn in range(3):
        await rooms.send(bob, f"from here {turn}")
        await in_thread(bob.send_text, ann.jid, f"from Bob {turn}")
        await rooms.receives(f"from Bob {turn}")
    await rooms.send(group, "to the group from here")
    await in_thread(bob.send_group_text, group, "to the group from Bob")
    await rooms.receives("to the group from Bob")
    came = (await in_thread(bob.inbox, before + 4, timeout=SECONDS))[before:]
    assert [message.text for message in came] == [
        *(f"from here {turn}" for turn in range(3)),
        "to the group from here",
    ]
    assert await in_thread(bob.failures) == []
    assert await in_thread(bob.identity_changes) == []


async def test_why_the_word_of_the_caller_matters(baileys, rooms, tmp_path, new_phone, sim):
    """Said to be stopped when it was not: a text is lost that the contact seems to have got."""
    ann, bob = await in_thread(new_phone, "Ann"), await in_thread(new_phone, "Bob")
    await paired(baileys, ann.scan)
    group = await in_thread(sim.create_group, "friends", [ann, bob])
    await chat(baileys, ann, bob, group)
    files = copy_of(tmp_path / "auth")
    await baileys.sends(bob.lid, "after the copy")
    await in_thread(bob.inbox, 6, timeout=SECONDS)
    await baileys.stop()
    assert (await take_over(rooms, files, stopped=True)).converted.mode is RestoreMode.EXACT
    await rooms.manager.start(ANN)
    await rooms.reaches(SessionState.ACTIVE)
    await rooms.send(bob, "lost")
    assert await in_thread(bob.failures, 1, timeout=SECONDS) == ["OldCounter"]
    await rooms.send(bob, "the next one")
    came = await in_thread(bob.inbox, 7, timeout=SECONDS)
    assert [message.text for message in came[5:]] == ["after the copy", "the next one"]
