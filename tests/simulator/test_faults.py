"""Every fault as the real engine sees it."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator import NothingCame, Phone, RequestInvalid, Simulator
from tests.simulator.real_client import RealClients, eventually
from tests.simulator.test_messages import link

_LIFE = ("Connected", "Disconnected", "StreamError", "StreamReplaced", "LoggedOut", "TemporaryBan")
_LIFE += ("ClientOutdated", "ConnectFailure", "connect-raised", "connect-returned")


@pytest.fixture(scope="module")
def linked(
    simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
    new_number: Callable[[], str],
) -> tuple[Phone, Path]:
    """An account with one linked device, and the folder of the device's store."""
    folder = tmp_path_factory.mktemp("linked")
    with RealClients(simulator, folder) as clients:
        return link(simulator, clients, "a", new_number()), folder


@pytest.fixture
def ann(
    simulator: Simulator, clients: RealClients, linked: tuple[Phone, Path], tmp_path: Path
) -> Iterator[Phone]:
    """That account; its device has a copy of the store in the test's own folder."""
    phone, folder = linked
    for path in folder.glob("a.db*"):
        shutil.copy(path, tmp_path)
    yield phone
    simulator.clear_faults()


@pytest.fixture
def online(clients: RealClients, ann: Phone) -> Phone:
    """That account with its device connected."""
    clients.start("a")
    clients.wait("a", "Connected")
    return ann


@pytest.mark.parametrize(
    ("kind", "args", "expected"),
    [
        ("reset", {}, ["Disconnected", "Connected"]),
        ("close", {}, ["Disconnected", "Connected"]),
        ("stream_error", {"code": 503}, ["Disconnected", "Connected"]),
        ("stream_error", {"code": 515}, ["Connected"]),
        ("stream_error", {"code": 500}, ["StreamError", "Disconnected", "Connected"]),
        ("replaced", {}, ["StreamReplaced"]),
    ],
)
def test_what_strikes_a_connection(
    simulator: Simulator, clients: RealClients, online: Phone, kind: str, args: dict, expected: list
):
    seen = clients.mark()
    assert simulator.fault(online, kind, **args) == 1
    clients.wait("a", expected[-1], after=seen)
    came = [e["event"] for e in clients.events("a", *_LIFE, after=seen)]
    assert sorted(came) == sorted(expected)


@pytest.mark.parametrize(
    ("args", "event", "text"),
    [
        ({"reason": 401}, "LoggedOut", "LOGGED_OUT"),
        ({"reason": 403}, "LoggedOut", "MAIN_DEVICE_GONE"),
        ({"reason": 406}, "LoggedOut", "UNKNOWN_LOGOUT"),
        ({"reason": 402, "code": 101, "expire": 3600}, "TemporaryBan", "Expire: 3600"),
        ({"reason": 405}, "ClientOutdated", ""),
        ({"reason": 400}, "ConnectFailure", "GENERIC"),
        ({"reason": 409}, "ConnectFailure", ""),
        ({"reason": 418}, "connect-raised", "ConnectFailure.Reason not set"),
        ({"reason": 500}, "Connected", ""),
        ({"reason": 503}, "Connected", ""),
    ],
)
def test_what_refuses_a_login(
    simulator: Simulator, clients: RealClients, online: Phone, args: dict, event: str, text: str
):
    simulator.fault(online, "login_failure", **args)
    seen = clients.mark()
    simulator.fault(online, "reset")
    assert text in clients.wait("a", event, after=seen).get("text", "")
    if event != "Connected":
        assert not clients.events("a", "Connected", after=seen)


def test_a_second_login_replaces_the_first(
    simulator: Simulator, clients: RealClients, online: Phone, tmp_path: Path
):
    second = tmp_path / "second"
    second.mkdir()
    for path in tmp_path.glob("a.db*"):
        shutil.copy(path, second)
    with RealClients(simulator, second) as others:
        others.start("a")
        others.wait("a", "Connected")
        clients.wait("a", "StreamReplaced")
        eventually(lambda: len(simulator.connections()) == 1)
        assert not others.events("a", "StreamReplaced")


@pytest.mark.parametrize(
    ("kind", "args", "text"),
    [
        ("http_status", {"status": 503}, "got 503"),
        ("tunnel_refused", {"status": 502}, "Refused"),
        ("tunnel_refused", {}, "EOF|reset"),
        ("handshake_untrusted", {}, "failed to verify"),
    ],
)
def test_what_fails_the_first_dial_raises_and_later_is_retried(
    simulator: Simulator, clients: RealClients, ann: Phone, kind: str, args: dict, text: str
):
    simulator.fault(None, kind, **args)
    clients.start("a")
    assert re.search(text, clients.wait("a", "connect-raised")["text"])
    clients.start("b")
    clients.wait("b", "qr")
    phone = simulator.account(ann.phone)
    assert phone.devices() == ann.devices()


def test_a_refused_dial_is_retried_on_reconnect(
    simulator: Simulator, clients: RealClients, online: Phone
):
    simulator.fault(None, "http_status", status=503)
    seen = clients.mark()
    simulator.fault(online, "reset")
    clients.wait("a", "Disconnected", after=seen)
    clients.wait("a", "Connected", after=seen)


def test_a_login_that_breaks_off_is_tried_again(
    simulator: Simulator, clients: RealClients, online: Phone
):
    simulator.fault(online, "login_reset")
    seen = clients.mark()
    simulator.fault(online, "reset")
    clients.wait("a", "Connected", after=seen)


@pytest.mark.parametrize(
    ("kind", "args", "status"),
    [
        ("registration_failure", {"reason": 405}, "err-client-outdated"),
        ("registration_failure", {"reason": 402}, "err-unexpected-state"),
        ("registration_reset", {}, "timeout"),
    ],
)
def test_what_ends_a_pairing_before_it_is_done(
    simulator: Simulator, clients: RealClients, kind: str, args: dict, status: str
):
    simulator.fault(None, kind, **args)
    clients.start("new")
    assert clients.wait("new", "login-status")["status"] == status


@pytest.mark.parametrize("kind", ["pairing_reset", "pairing_close"])
def test_a_pairing_that_breaks_off_at_the_end_leaves_a_linked_device(
    simulator: Simulator,
    clients: RealClients,
    tmp_path: Path,
    new_number: Callable[[], str],
    kind: str,
):
    phone = simulator.create_account(new_number())
    simulator.fault(phone, kind)
    clients.start("new")
    phone.scan(clients.wait("new", "qr")["code"])
    clients.wait("new", "PairStatus")
    assert len(phone.devices()) == 1
    clients.close()
    with RealClients(simulator, tmp_path) as again:
        again.start("new")
        again.wait("new", "Connected")


def test_silence_keeps_a_text_until_the_next_connection(
    simulator: Simulator, clients: RealClients, online: Phone, new_number: Callable[[], str]
):
    bob = simulator.create_contact(new_number())
    clients.call("a", "send", to=bob.jid, text="first")
    assert simulator.fault(online, "silence") == 1
    call = clients.begin("a", "send", to=bob.jid, text="second")
    bob.send_text(online, "waits too")
    with pytest.raises(NothingCame):
        bob.inbox(2, timeout=0.5)
    simulator.fault(online, "reset")
    clients.finish("a", call)
    assert [m.text for m in bob.inbox(2)] == ["first", "second"]
    assert clients.wait("a", "Message")["text"] == "waits too"


def test_a_text_can_be_refused_or_ignored(
    simulator: Simulator, clients: RealClients, online: Phone, new_number: Callable[[], str]
):
    bob = simulator.create_contact(new_number())
    simulator.fault(online, "send_refused", code=463)
    with pytest.raises(RuntimeError, match="463"):
        clients.call("a", "send", to=bob.jid, text="refused")
    simulator.fault(online, "send_ignored")
    call = clients.begin("a", "send", to=bob.jid, text="ignored once")
    with pytest.raises(NothingCame):
        bob.inbox(1, timeout=0.5)
    simulator.fault(online, "reset")
    clients.finish("a", call)
    assert [m.text for m in bob.inbox(1)] == ["ignored once"]


def test_an_unknown_fault_is_an_error(simulator: Simulator):
    with pytest.raises(RequestInvalid):
        simulator.fault(None, "gremlins")
