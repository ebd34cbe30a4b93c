"""The control API and the life of the process, without the engine."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil
import pytest

from simulator import (
    AccountExists,
    AccountNotFound,
    ClientLost,
    DeviceNotFound,
    MessageNotFound,
    NoCodeRequested,
    QrMalformed,
    RequestInvalid,
    Simulator,
    SimulatorError,
)
from simulator.errors import BY_CODE
from tests.simulator.real_client import eventually

_PARENT = """
from simulator import Simulator
simulator = Simulator.start()
print(simulator.pid, flush=True)
input()
"""


def test_phones_write_to_each_other(simulator: Simulator, new_number: Callable[[], str]):
    ann, bob = (simulator.create_account(new_number(), name) for name in ("Ann", "Bob"))
    sent = ann.send_text(bob, "hello")
    [message] = bob.inbox(1)
    assert (message.id, message.text, message.sender) == (sent, "hello", ann.lid)
    assert bob.inbox(after=message.position) == []
    bob.send_receipt(message)
    [receipt] = ann.receipts(1)
    assert (receipt.ids, receipt.type, receipt.phone) == ((sent,), "read", bob.phone)


def test_phones_write_in_groups(simulator: Simulator, new_number: Callable[[], str]):
    ann, bob, eve = (simulator.create_account(new_number(), name) for name in ("A", "B", "E"))
    group = simulator.create_group("Team", [ann, bob.phone, eve, ann])
    assert (group.name, group.addressing_mode) == ("Team", "lid")
    assert group.members == (ann.phone, bob.phone, eve.phone)
    assert group.jid in {known["jid"] for known in simulator.api.get("groups")}
    sent = ann.send_group_text(group, "hello")
    for phone in (bob, eve):
        [message] = phone.inbox(1)
        assert (message.id, message.text, message.group) == (sent, "hello", group.jid)
    bob.send_receipt(sent)
    [receipt] = ann.receipts(1)
    assert (receipt.ids, receipt.type, receipt.phone) == ((sent,), "read", bob.phone)
    assert ann.inbox() == []
    for members, mode in (([], "lid"), ([ann], "other")):
        with pytest.raises(RequestInvalid):
            simulator.create_group("", members, addressing_mode=mode)
    with pytest.raises(AccountNotFound):
        simulator.create_group("", ["1"])


def test_a_phone_can_be_told_not_to_confirm(simulator: Simulator, new_number: Callable[[], str]):
    ann = simulator.create_account(new_number())
    ann.set_delivery_receipts(wanted=False)
    ann.set_delivery_receipts(wanted=True)
    with pytest.raises(RequestInvalid):
        simulator.api.patch("accounts", ann.phone, delivery_receipts="yes")


def test_what_cannot_be_done_is_a_typed_error(simulator: Simulator, new_number: Callable[[], str]):
    ann = simulator.create_account(new_number())
    with pytest.raises(AccountExists):
        simulator.create_account(ann.phone)
    with pytest.raises(AccountNotFound):
        simulator.account(new_number())
    with pytest.raises(AccountNotFound):
        simulator.fault(new_number(), "reset")
    with pytest.raises(DeviceNotFound):
        ann.remove_device(f"{ann.phone}:7@s.whatsapp.net")
    with pytest.raises(MessageNotFound):
        ann.send_receipt("no such text")
    with pytest.raises(NoCodeRequested):
        ann.enter_code("ABCD-EFGH")
    with pytest.raises(QrMalformed):
        ann.scan("ref,AAAA,AAAA,AAAA,1")
    for wrong in ({"phone": "+49 30"}, {"phone": 30}, {}):
        with pytest.raises(RequestInvalid):
            simulator.api.post("accounts", **wrong)
    with pytest.raises(RequestInvalid):
        simulator.set_qr_refs(0)
    with pytest.raises(RequestInvalid):
        simulator.api.get("accounts", ann.phone, "inbox", count="many")


def test_errors_carry_their_code_on_the_wire(simulator: Simulator):
    address = urlsplit(simulator.control_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("POST", "/accounts", "not JSON")
    response = connection.getresponse()
    assert response.status == 400
    assert json.loads(response.read())["code"] == "REQUEST_INVALID"
    connection.close()
    assert BY_CODE["CLIENT_LOST"] is ClientLost
    assert len(BY_CODE) == 1 + len(SimulatorError.__subclasses__())


def test_faults_are_listed_until_they_struck_or_are_cleared(
    simulator: Simulator, new_number: Callable[[], str]
):
    ann = simulator.create_account(new_number())
    simulator.fault(ann, "login_failure", times=3, reason=402)
    [fault] = simulator.api.get("faults")
    assert (fault["kind"], fault["phone"], fault["times"]) == ("login_failure", ann.phone, 3)
    simulator.clear_faults(ann)
    assert simulator.api.get("faults") == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_ends_with_the_one_that_started_it(number: signal.Signals):
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait()
    eventually(lambda: not _is_running(pid))


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
