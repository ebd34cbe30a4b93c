"""Linking the real engine, and logging in again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulator import (
    DeviceNotFound,
    NoCodeRequested,
    PairingRefused,
    QrExpired,
    QrMalformed,
    Simulator,
    WrongCode,
)
from tests.simulator.real_client import RealClients, eventually


def test_qr_links_a_device_and_a_new_process_logs_in_again(
    simulator: Simulator, clients: RealClients, tmp_path: Path, new_number: Callable[[], str]
):
    phone = simulator.create_account(new_number(), "Ann")
    clients.start("a")
    device = phone.scan(clients.wait("a", "qr")["code"])
    clients.wait("a", "Connected")
    assert phone.devices() == [device]
    assert device.jid == f"{phone.phone}:1@s.whatsapp.net"
    clients.close()

    with RealClients(simulator, tmp_path) as again:
        again.start("a")
        again.wait("a", "Connected")
        assert not again.events("a", "qr")


def test_an_old_code_and_a_foreign_text_are_refused(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    phone = simulator.create_account(new_number())
    clients.start("a")
    code = clients.wait("a", "qr")["code"]
    assert simulator.expire_qr(code) == 1
    assert clients.wait("a", "login-status")["status"] == "timeout"
    with pytest.raises(QrExpired):
        phone.scan(code)
    with pytest.raises(QrMalformed):
        phone.scan("https://example.org")


@pytest.mark.parametrize("kind", ["pairing_hmac_mismatch", "pairing_signature_mismatch"])
def test_a_client_refuses_a_forged_identity(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str], kind: str
):
    phone = simulator.create_account(new_number())
    simulator.fault(phone, kind)
    clients.start("a")
    with pytest.raises(PairingRefused, match="mismatch"):
        phone.scan(clients.wait("a", "qr")["code"])
    assert clients.wait("a", "login-status")["status"] == "error"
    assert phone.devices() == []


def test_a_removed_device_is_logged_out(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    phone = simulator.create_account(new_number())
    clients.start("a")
    device = phone.scan(clients.wait("a", "qr")["code"])
    clients.wait("a", "Connected")
    phone.remove_device(device)
    assert "OnConnect: false" in clients.wait("a", "LoggedOut")["text"]
    assert phone.devices() == []
    with pytest.raises(DeviceNotFound):
        phone.remove_device(device)


def test_a_code_links_a_device_after_a_wrong_one_did_not(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    phone = simulator.create_account(new_number())
    clients.start("a")
    clients.wait("a", "qr")
    with pytest.raises(NoCodeRequested):
        phone.enter_code("ABCD-EFGH")
    first = clients.call("a", "pair_phone", phone=phone.phone)
    wrong = "2222-2222" if first != "2222-2222" else "3333-3333"
    for typed in (wrong, "too short"):
        with pytest.raises(WrongCode):
            phone.enter_code(typed)
    code = clients.call("a", "pair_phone", phone=phone.phone)
    with pytest.raises(WrongCode):
        phone.enter_code(first)
    device = phone.enter_code(code.lower())
    clients.wait("a", "Connected")
    assert phone.devices() == [device]


def test_a_client_that_logs_out_is_no_device_any_more(
    simulator: Simulator, clients: RealClients, new_number: Callable[[], str]
):
    phone = simulator.create_account(new_number())
    clients.start("a")
    phone.scan(clients.wait("a", "qr")["code"])
    clients.wait("a", "Connected")
    clients.call("a", "logout")
    assert phone.devices() == []
    eventually(lambda: simulator.connections() == [])
    assert not clients.events("a", "LoggedOut")
