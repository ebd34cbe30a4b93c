"""Texts, receipts and the offline queue, with the real engine on one or both ends."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from simulator import AccountNotFound, LinkedDevice, NothingCame, Phone, Simulator
from tests.simulator.real_client import RealClients


def link(simulator: Simulator, clients: RealClients, session: str, number: str) -> Phone:
    phone = simulator.create_account(number, session)
    relink(clients, session, phone)
    return phone


def relink(clients: RealClients, session: str, phone: Phone) -> LinkedDevice:
    seen = clients.mark()
    clients.start(session)
    device = phone.scan(clients.wait(session, "qr", after=seen)["code"])
    clients.wait(session, "Connected", after=seen)
    return device


def test_texts_and_receipts_both_ways_with_a_contact(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number(), "Bob")

    sent = bob.send_text(ann, "hello")
    message = clients.wait("a", "Message")
    assert (message["id"], message["text"], message["name"]) == (sent, "hello", "Bob")
    assert (message["sender"], message["sender_alt"]) == (bob.lid, bob.jid)
    assert [(r.ids, r.type) for r in bob.receipts(1)] == [((sent,), "inactive")]
    clients.call("a", "read", id=sent, chat=message["chat"], sender=message["sender"])
    assert [r.type for r in bob.receipts(2)] == ["inactive", "read"]

    for number in range(3):
        clients.call("a", "send", to=bob.jid, text=f"answer {number}")
    came = bob.inbox(3)
    assert [m.text for m in came] == ["answer 0", "answer 1", "answer 2"]
    assert {m.phone for m in came} == {ann.phone}
    assert [m.text for m in ann.copies(3)] == ["answer 0", "answer 1", "answer 2"]
    clients.wait("a", "Receipt", where=lambda e: e["type"] == "DELIVERED", count=3)
    bob.send_receipt(came[2])
    read = clients.wait("a", "Receipt", where=lambda e: e["type"] == "READ")
    assert read["ids"] == [came[2].id]


def test_texts_between_two_sessions_with_all_their_devices_known(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    eve = link(simulator, clients, "e", new_number())
    clients.call("a", "send", to=eve.jid, text="hi eve")
    assert clients.wait("e", "Message")["text"] == "hi eve"
    clients.call("e", "send", to=ann.lid, text="hi ann")
    assert clients.wait("a", "Message")["text"] == "hi ann"
    clients.wait("a", "Receipt", where=lambda e: e["type"] == "INACTIVE")
    assert [m.text for m in eve.inbox(1)] == ["hi eve"]
    assert "participant list hash" not in (tmp_path / "neonize.log").read_text()


def test_all_devices_of_an_account_see_its_texts(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    relink(clients, "a2", ann)
    assert [device.number for device in ann.devices()] == [1, 2]
    bob = simulator.create_contact(new_number(), "Bob")
    bob.send_text(ann, "to both")
    for session in ("a", "a2"):
        assert clients.wait(session, "Message")["text"] == "to both"
    clients.call("a", "send", to=bob.jid, text="from the first")
    copy = clients.wait("a2", "Message", count=2)
    assert (copy["text"], copy["from_me"]) == ("from the first", True)
    assert copy["chat"] == bob.lid
    ann.send_text(bob, "from the phone")
    for session, count in (("a", 2), ("a2", 3)):
        copy = clients.wait(session, "Message", count=count)
        assert (copy["text"], copy["from_me"], copy["chat"]) == ("from the phone", True, bob.lid)
    assert [m.text for m in bob.inbox(2)] == ["from the first", "from the phone"]
    bob.receipts(2)


def test_a_device_that_was_linked_again_gets_the_next_text(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    eve = link(simulator, clients, "e", new_number())
    clients.call("a", "send", to=eve.jid, text="one")
    clients.wait("e", "Message")
    eve.remove_device(eve.devices()[0])
    clients.wait("e", "LoggedOut")
    seen = clients.mark()
    relink(clients, "e2", eve)
    clients.wait("a", "Receipt", count=1)
    clients.call("a", "send", to=eve.jid, text="two")
    assert clients.wait("e2", "Message", after=seen)["text"] == "two"
    assert "participant list hash" not in (tmp_path / "neonize.log").read_text()
    assert ann.copies(2)[1].text == "two"


def test_texts_wait_for_a_device_that_is_away(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number())
    clients.close()
    texts = [f"text {number}" for number in range(20)]
    for text in texts:
        bob.send_text(ann, text)
    with RealClients(simulator, tmp_path) as again:
        again.start("a")
        again.wait("a", "Message", count=len(texts))
        assert [e["text"] for e in again.events("a", "Message")] == texts
        assert "Message: 20" in again.wait("a", "OfflineSyncPreview")["text"]
        again.wait("a", "OfflineSyncCompleted")
        bob.receipts(20)


def test_no_text_is_lost_over_broken_connections(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number())
    texts = [f"text {number}" for number in range(20)]
    for text in texts:
        seen = clients.mark()
        bob.send_text(ann, text)
        simulator.fault(ann, "reset")
        clients.wait("a", "Connected", after=seen)
        clients.wait("a", "Message", where=lambda e, text=text: e["text"] == text)
    answers = [f"answer {number}" for number in range(10)]
    for text in answers:
        seen = clients.mark()
        call = clients.begin("a", "send", to=bob.jid, text=text)
        simulator.fault(ann, "reset")
        clients.wait("a", "Connected", after=seen)
        try:
            clients.finish("a", call)
        except RuntimeError as error:  # it noticed the reset before it had written anything
            if not re.search("failed to write|not connected|is closed", str(error)):
                raise
            clients.call("a", "send", to=bob.jid, text=text)
    # The engine may read a text twice that comes again while it reads it the first time, and
    # show it twice with the same id; the simulator passes each on once.
    shown = {e["id"]: e["text"] for e in clients.events("a", "Message")}
    assert list(shown.values()) == texts
    assert [m.text for m in bob.inbox(10)] == answers


def test_a_store_gone_back_in_time_recovers_by_retries(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number())
    bob.send_text(ann, "before")
    clients.wait("a", "Message")
    clients.call("a", "send", to=bob.jid, text="before")
    bob.inbox(1)
    clients.close()
    shutil.copytree(tmp_path, tmp_path.with_suffix(".old"))
    with RealClients(simulator, tmp_path) as forward:
        forward.start("a")
        for number in range(2):
            bob.send_text(ann, f"forward {number}")
            forward.wait("a", "Message", count=number + 1)
            forward.call("a", "send", to=bob.jid, text=f"forward {number}")
            bob.inbox(number + 2)
    with RealClients(simulator, tmp_path.with_suffix(".old")) as back:
        back.start("a")
        bob.send_text(ann, "after")
        back.wait("a", "UndecryptableMessage")
        assert back.wait("a", "Message")["text"] == "after"
        back.call("a", "send", to=bob.jid, text="after")
        assert bob.inbox(4)[3].text == "after"


def test_a_device_that_lost_its_sessions_recovers_by_retries(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    ann = link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number())
    bob.send_text(ann, "before")
    clients.wait("a", "Message")
    clients.call("a", "send", to=bob.jid, text="before")
    bob.inbox(1)
    clients.close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as store, store:
        store.execute("DELETE FROM whatsmeow_sessions")
    with RealClients(simulator, tmp_path) as again:
        again.start("a")
        again.wait("a", "Connected")
        bob.send_text(ann, "after")
        assert again.wait("a", "Message")["text"] == "after"
        again.call("a", "send", to=bob.jid, text="after")
        assert bob.inbox(2)[1].text == "after"
        assert bob.failures() == []


def test_a_number_without_an_account(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    link(simulator, clients, "a", new_number())
    bob = simulator.create_contact(new_number())
    nobody = new_number()
    assert clients.call("a", "is_on_whatsapp", numbers=[nobody, bob.phone]) == [False, True]
    with pytest.raises(RuntimeError, match="no LID found"):
        clients.call("a", "send", to=f"{nobody}@s.whatsapp.net", text="hello?")
    with pytest.raises(AccountNotFound):
        bob.send_text(nobody, "hello?")
    with pytest.raises(NothingCame):
        bob.inbox(1, timeout=0.1)
