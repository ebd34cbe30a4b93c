"""What the simulator keeps over its own end, and many sessions at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulator import AccountExists, NotRunning, Simulator
from tests.simulator.real_client import RealClients, eventually
from tests.simulator.test_messages import link


@pytest.mark.parametrize("crash", [False, True])
def test_sessions_texts_and_keys_survive_a_restart(
    tmp_path: Path, new_number: Callable[[], str], *, crash: bool
):
    state, folder = tmp_path / "state", tmp_path / "clients"
    folder.mkdir()
    with Simulator.start(state) as simulator:
        bob = simulator.create_contact(new_number(), "Bob")
        with RealClients(simulator, folder) as clients:
            ann = link(simulator, clients, "a", new_number())
            bob.send_text(ann, "one")
            clients.wait("a", "Message")
            clients.call("a", "send", to=bob.jid, text="one back")
            bob.inbox(1)
            group = simulator.create_group("Team", [bob, ann])
            bob.send_group_text(group, "group one")
            clients.wait("a", "Message", where=lambda e: e["text"] == "group one")
            clients.call("a", "send", to=group.jid, text="group one back")
            bob.inbox(2)
            seen = clients.mark()
            trusted = simulator.root_key_hex, simulator.ca_file, simulator.proxy_url
            simulator.restart(crash=crash)
            assert trusted == (simulator.root_key_hex, simulator.ca_file, simulator.proxy_url)
            bob, ann = simulator.account(bob.phone), simulator.account(ann.phone)
            bob.send_text(ann, "two")
            clients.wait("a", "Connected", after=seen)
            assert clients.wait("a", "Message", after=seen)["text"] == "two"
            clients.call("a", "send", to=bob.jid, text="two back")
            bob.send_group_text(group, "group two")
            clients.wait("a", "Message", where=lambda e: e["text"] == "group two")
            clients.call("a", "send", to=group.jid, text="group two back")
            came = [m.text for m in bob.inbox(4)]
            assert came == ["one back", "group one back", "two back", "group two back"]
            assert clients.events("a", "UndecryptableMessage") == bob.failures() == []
        bob.send_text(ann, "three")
        simulator.restart(crash=crash)
        with RealClients(simulator, folder) as clients:
            clients.start("a")
            assert clients.wait("a", "Message")["text"] == "three"
        with pytest.raises(AccountExists):
            simulator.create_account(bob.phone)
        assert simulator.unknown_stanzas() == []


def test_without_a_state_dir_there_is_no_restart():
    with Simulator.start() as simulator:
        folder = Path(simulator.ca_file).parent
        with pytest.raises(ValueError, match="state_dir"):
            simulator.restart()
    assert not folder.exists()
    with pytest.raises(NotRunning):
        simulator.unknown_stanzas()


def test_several_sessions_come_back_together(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    names = [f"session{number}" for number in range(6)]
    phones = [link(simulator, clients, name, new_number()) for name in names]
    bob = simulator.create_contact(new_number())
    seen = clients.mark()
    assert simulator.fault(None, "reset") == len(names)
    for name, phone in zip(names, phones, strict=True):
        bob.send_text(phone, name)
    for name in names:
        clients.wait(name, "Connected", after=seen)
        assert clients.wait(name, "Message", after=seen)["text"] == name
    eventually(lambda: len(simulator.connections()) == len(names))
