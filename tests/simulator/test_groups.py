"""Group chats, with the real engine on one or more ends."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from simulator import Group, GroupNotFound, Phone, Simulator
from tests.simulator.real_client import Event, RealClients
from tests.simulator.test_messages import link, relink


def texts(clients: RealClients, session: str) -> list[Event]:
    """What a session shows as texts; the engine shows a sender key as an empty one."""
    return [event for event in clients.events(session, "Message") if event["text"]]


def wait_for_text(clients: RealClients, session: str, text: str) -> Event:
    return clients.wait(session, "Message", where=lambda event: event["text"] == text)


@pytest.mark.parametrize("mode", ["lid", "pn"])
def test_texts_and_receipts_both_ways_in_a_group(
    simulator: Simulator,
    clients: RealClients,
    tmp_path: Path,
    new_number: Callable[[], str],
    mode: str,
):
    ann = link(simulator, clients, "a", new_number())
    bob, eve = (simulator.create_contact(new_number(), name) for name in ("Bob", "Eve"))
    group = simulator.create_group("Team", [bob, ann, eve], addressing_mode=mode)
    joined = clients.wait("a", "JoinedGroup")["text"]
    assert group.jid.partition("@")[0] in joined

    for number in range(3):
        clients.call("a", "send", to=group.jid, text=f"hello {number}")
    for phone in (bob, eve):
        came = phone.inbox(3)
        assert [m.text for m in came] == ["hello 0", "hello 1", "hello 2"]
        assert {(m.group, m.phone) for m in came} == {(group.jid, ann.phone)}
    assert [(m.text, m.group) for m in ann.copies(1)[:1]] == [("hello 0", group.jid)]
    clients.wait("a", "Receipt", where=lambda e: e["type"] == "DELIVERED", count=6)
    bob.send_receipt(bob.inbox()[0])
    address = {"lid": bob.lid, "pn": bob.jid}[mode]
    read = clients.wait("a", "Receipt", where=lambda e: e["type"] == "READ")
    assert (read["sender"], read["ids"]) == (address, [bob.inbox()[0].id])

    sent = [bob.send_group_text(group, f"from bob {number}") for number in range(3)]
    wait_for_text(clients, "a", "from bob 2")
    shown = texts(clients, "a")
    assert [(e["id"], e["text"]) for e in shown] == [
        (message_id, f"from bob {number}") for number, message_id in enumerate(sent)
    ]
    assert {(e["chat"], e["sender"], e["name"]) for e in shown} == {(group.jid, address, "Bob")}
    assert {r.phone for r in bob.receipts(3)} == {ann.phone}
    assert [m.text for m in eve.inbox(6)][3:] == ["from bob 0", "from bob 1", "from bob 2"]
    assert {m.group for m in eve.inbox()} == {group.jid}

    for phone in (ann, bob, eve):
        assert phone.failures() == []
    log = (tmp_path / "neonize.log").read_text()
    assert "participant list hash" not in log


def test_a_group_of_many_devices(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    relink(clients, "a2", ann)
    eve = link(simulator, clients, "e", new_number())
    group = simulator.create_group("Family", [ann, eve])
    clients.call("a", "send", to=group.jid, text="from a device")
    for session in ("a2", "e"):
        assert wait_for_text(clients, session, "from a device")["chat"] == group.jid
    assert wait_for_text(clients, "a2", "from a device")["from_me"]
    ann.send_group_text(group, "from the phone")
    for session in ("a", "a2", "e"):
        event = wait_for_text(clients, session, "from the phone")
        assert event["sender"] == ann.lid
    clients.call("e", "send", to=group.jid, text="from eve")
    for session in ("a", "a2"):
        assert wait_for_text(clients, session, "from eve")["sender"] == eve.devices()[0].lid
    assert [m.text for m in ann.inbox(1)] == ["from eve"]
    assert [m.text for m in eve.inbox(2)] == ["from a device", "from the phone"]
    assert "participant list hash" not in (tmp_path / "neonize.log").read_text()


def test_a_device_that_comes_late_gets_the_sender_key(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number())
    group = simulator.create_group("Team", [bob, ann])
    bob.send_group_text(group, "one")
    wait_for_text(clients, "a", "one")
    relink(clients, "a2", ann)
    bob.send_group_text(group, "two")
    for session in ("a", "a2"):
        wait_for_text(clients, session, "two")
    ann.remove_device(ann.devices()[0])
    bob.send_group_text(group, "three")  # in a new key
    wait_for_text(clients, "a2", "three")
    assert [e["text"] for e in texts(clients, "a2")] == ["two", "three"]
    assert clients.events("a2", "UndecryptableMessage") == []


def test_group_texts_wait_for_a_device_that_is_away(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    bob, eve = (simulator.create_contact(new_number()) for _ in range(2))
    group = simulator.create_group("Team", [bob, ann, eve])
    clients.close()
    for number in range(5):
        bob.send_group_text(group, f"bob {number}")
        eve.send_group_text(group, f"eve {number}")
    with RealClients(simulator, tmp_path) as again:
        again.start("a")
        wait_for_text(again, "a", "eve 4")
        expected = [f"{name} {number}" for number in range(5) for name in ("bob", "eve")]
        assert [e["text"] for e in texts(again, "a")] == expected
        for phone in (bob, eve):
            assert [r.type for r in phone.receipts(5)] == ["inactive"] * 5


def with_lost_keys(folder: Path, *tables: str) -> None:
    with closing(sqlite3.connect(folder / "a.db")) as store, store:
        for table in tables:
            store.execute(f"DELETE FROM {table}")


def test_a_device_that_lost_its_keys_recovers_by_retries(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann, bob, group = chatting(simulator, clients, new_number)
    clients.close()
    with_lost_keys(tmp_path, "whatsmeow_sessions", "whatsmeow_sender_keys")
    with RealClients(simulator, tmp_path) as again:
        again.start("a")
        again.wait("a", "Connected")
        bob.send_group_text(group, "after")
        again.wait("a", "UndecryptableMessage")
        wait_for_text(again, "a", "after")
        bob.send_group_text(group, "and after")
        wait_for_text(again, "a", "and after")
        again.call("a", "send", to=group.jid, text="after")
        assert bob.inbox(2)[1].text == "after"
        assert len(again.events("a", "UndecryptableMessage")) == 1
    assert bob.failures() == ann.failures() == []


def gone_back(
    simulator: Simulator, clients: RealClients, folder: Path, new_number: Callable[[], str]
) -> tuple[Phone, Group]:
    """Leaves a store two group texts behind in a folder beside."""
    _, bob, group = chatting(simulator, clients, new_number)
    clients.close()
    shutil.copytree(folder, folder.with_suffix(".old"))
    with RealClients(simulator, folder) as forward:
        forward.start("a")
        forward.wait("a", "Connected")
        for number in range(2):
            forward.call("a", "send", to=group.jid, text=f"forward {number}")
        bob.inbox(3)
    return bob, group


def test_a_store_gone_back_in_time_loses_group_texts_in_silence(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    bob, group = gone_back(simulator, clients, tmp_path, new_number)
    with RealClients(simulator, tmp_path.with_suffix(".old")) as back:
        back.start("a")
        back.wait("a", "Connected")
        for number in range(3):
            back.call("a", "send", to=group.jid, text=f"back {number}")
        back.wait("a", "Receipt", where=lambda e: e["type"] == "DELIVERED", count=3)
    assert [m.text for m in bob.inbox(4)][3:] == ["back 2"]
    assert set(bob.failures()) == {"OldCounter"}


def test_a_phone_without_the_sender_key_asks_for_it(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    """The new key was sent in a session gone back in time, so it did not arrive."""
    bob, group = gone_back(simulator, clients, tmp_path, new_number)
    with_lost_keys(tmp_path.with_suffix(".old"), "whatsmeow_sender_keys")
    with RealClients(simulator, tmp_path.with_suffix(".old")) as back:
        back.start("a")
        back.wait("a", "Connected")
        for number in range(3):
            back.call("a", "send", to=group.jid, text=f"back {number}")
        back.wait("a", "Receipt", where=lambda e: e["type"] == "RETRY")
        assert sorted(m.text for m in bob.inbox(6)[3:]) == ["back 0", "back 1", "back 2"]
    assert "NoSenderKey" in bob.failures()


def chatting(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
) -> tuple[Phone, Phone, Group]:
    """A group in which both have written."""
    ann = link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number(), "Bob")
    group = simulator.create_group("Team", [bob, ann])
    bob.send_group_text(group, "before")
    wait_for_text(clients, "a", "before")
    clients.call("a", "send", to=group.jid, text="before")
    bob.inbox(1)
    return ann, bob, group


def test_a_group_is_for_its_members(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    link(simulator, clients, "a", new_number())
    bob, eve = (simulator.create_contact(new_number()) for _ in range(2))
    group = simulator.create_group("Others", [bob, eve])
    with pytest.raises(RuntimeError, match="you're not participating in that group"):
        clients.call("a", "send", to=group.jid, text="let me in")
    with pytest.raises(RuntimeError, match="that group does not exist"):
        clients.call("a", "send", to="120363999999999999@g.us", text="anybody?")
    with pytest.raises(GroupNotFound):
        simulator.create_contact(new_number()).send_group_text(group, "let me in")
    with pytest.raises(GroupNotFound):
        bob.send_group_text("120363999999999999@g.us", "anybody?")
