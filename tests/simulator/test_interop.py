"""The contacts' Signal code against the real engine where sessions are under strain."""

import base64
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from simulator import Phone, Simulator
from tests.simulator.real_client import RealClients

BURST = 8


def link(clients: RealClients, session: str, phone: Phone) -> None:
    clients.start(session)
    phone.scan(clients.wait(session, "qr")["code"])
    clients.wait(session, "Connected")


def accounted_for(bob: Phone, count: int) -> None:
    """Wait until so many texts were read, or dropped with a reason."""
    deadline = time.monotonic() + 20
    while len(bob.inbox()) + len(bob.failures()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_bursts_that_cross_from_the_first_text_on(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    """Both sides start a session at once and write at full speed.

    The engine reads every text once, asking again for those its session could not take. It may
    use a counter twice itself, because it does not lock a session between writing and reading
    (whatsmeow#1095): the contact then drops the second text, as WhatsApp does, and says so.
    """
    ann, bob = (simulator.create_account(new_number()) for _ in range(2))
    link(clients, "a", ann)
    to_bob = [f"to bob {number}" for number in range(BURST)]
    to_ann = [f"to ann {number}" for number in range(BURST)]

    def write() -> None:
        for text in to_ann:
            bob.send_text(ann, text)

    writer = threading.Thread(target=write)
    writer.start()
    for text in to_bob:
        clients.call("a", "send", to=bob.jid, text=text)
    writer.join()
    clients.wait("a", "Message", count=BURST)
    accounted_for(bob, BURST)
    # A counter that fell back shows with the next text; from then on nothing more is lost.
    for number in range(BURST):
        to_bob.append(f"later {number}")
        clients.call("a", "send", to=bob.jid, text=to_bob[-1])
        accounted_for(bob, len(to_bob))
        to_ann.append(f"later {number}")
        bob.send_text(ann, to_ann[-1])
        clients.wait("a", "Message", count=len(to_ann))

    assert sorted(e["text"] for e in clients.events("a", "Message")) == sorted(to_ann)
    read, dropped = [m.text for m in bob.inbox()], bob.failures()
    assert read == [text for text in to_bob if text in read]
    assert len(read) + len(dropped) == len(to_bob)
    assert set(dropped) <= {"OldCounter"}
    assert read[1 - BURST :] == to_bob[1 - BURST :]


def test_every_device_of_both_sides_gets_a_text_once(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    """Two linked devices and a phone write to an account of the same kind, and read copies."""
    ann, bob = (simulator.create_account(new_number()) for _ in range(2))
    for session, phone in (("a1", ann), ("a2", ann), ("b1", bob), ("b2", bob)):
        link(clients, session, phone)
    everywhere = ["from a1", "from b2", "from the phone"]

    clients.call("a1", "send", to=bob.jid, text="from a1")
    for session in ("a2", "b1", "b2"):
        clients.wait(session, "Message", where=lambda e: e["text"] == "from a1")
    clients.call("b2", "send", to=ann.jid, text="from b2")
    for session in ("a1", "a2", "b1"):
        clients.wait(session, "Message", where=lambda e: e["text"] == "from b2")
    bob.send_text(ann, "from the phone")
    for session in ("a1", "a2", "b1", "b2"):
        clients.wait(session, "Message", where=lambda e: e["text"] == "from the phone")

    for session, own in (("a1", "from a1"), ("a2", ""), ("b1", ""), ("b2", "from b2")):
        came = clients.events(session, "Message")
        assert [e["text"] for e in came] == [text for text in everywhere if text != own]
        mine, other = (ann, bob) if session.startswith("a") else (bob, ann)
        for event in came:
            assert event["chat"] == other.lid
            assert event["from_me"] == event["sender"].startswith(mine.lid.partition("@")[0])
    assert [m.text for m in bob.inbox()] == ["from a1"]
    assert [m.text for m in ann.inbox()] == ["from b2", "from the phone"]
    assert [m.text for m in ann.copies()] == ["from a1"]
    assert ann.failures() == bob.failures() == []


def test_a_chat_goes_on_over_restarts_of_everything(tmp_path: Path, new_number: Callable[[], str]):
    """Sessions, one-time keys and the queue survive the stand-in's crash and the client's."""
    with Simulator.start(state_dir=tmp_path / "state") as simulator:
        ann, bob = (simulator.create_account(new_number()) for _ in range(2))
        with RealClients(simulator, tmp_path) as clients:
            link(clients, "a", ann)
            bob.send_text(ann, "one")
            clients.wait("a", "Message")
            clients.call("a", "send", to=bob.jid, text="two")
            bob.inbox(1)
            simulator.restart(crash=True)
            clients.wait("a", "Connected", count=2)
            clients.call("a", "send", to=bob.jid, text="three")
            assert [m.text for m in bob.inbox(2)] == ["two", "three"]
        bob.send_text(ann, "four")
        simulator.restart(crash=True)
        with RealClients(simulator, tmp_path) as clients:
            clients.start("a")
            assert clients.wait("a", "Message")["text"] == "four"
            clients.call("a", "send", to=bob.jid, text="five")
            bob.inbox(3)
        assert ann.failures() == bob.failures() == []
        assert simulator.unknown_stanzas() == []


def test_a_contact_that_has_lost_its_sessions_asks_again(
    tmp_path: Path, new_number: Callable[[], str]
):
    """The engine answers with a new session; a contact that knew another identity notices it."""
    numbers = new_number(), new_number()
    with Simulator.start(state_dir=tmp_path / "state") as simulator:
        ann, bob = (simulator.create_account(number) for number in numbers)
        with RealClients(simulator, tmp_path) as clients:
            link(clients, "a", ann)
            clients.call("a", "send", to=bob.jid, text="one")
            assert [m.text for m in bob.inbox(1)] == ["one"]
            bob.send_text(ann, "answer")  # so that the engine takes the session as known
            clients.wait("a", "Message")
        assert bob.identity_changes() == []
        (device,) = ann.devices()
    with sqlite3.connect(tmp_path / "state" / "state.db") as store:
        ((data,),) = store.execute("SELECT state FROM contacts WHERE phone = ?", (bob.phone,))
        state = json.loads(data)
        state["sessions"] = {}
        state["identities"] = dict.fromkeys(
            state["identities"], base64.b64encode(bytes(32)).decode()
        )
        changed = (json.dumps(state).encode(), bob.phone)
        store.execute("UPDATE contacts SET state = ? WHERE phone = ?", changed)
    store.close()
    with Simulator.start(state_dir=tmp_path / "state") as simulator:
        bob = simulator.account(bob.phone)
        with RealClients(simulator, tmp_path) as clients:
            clients.start("a")
            clients.wait("a", "Connected")
            clients.call("a", "send", to=bob.jid, text="two")
            assert [m.text for m in bob.inbox(2)] == ["one", "two"]
        assert bob.failures() == ["NoSession"]
        assert bob.identity_changes() == [device.lid]
        assert simulator.unknown_stanzas() == []
