"""The offline identity self-test."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from server.backups.identity import hash_jid, read_devices, self_test, verify
from simulator.signal import xeddsa
from tests.support.stores import public


@pytest.fixture
def device(make_store, tmp_path):
    return read(make_store(tmp_path / "store.db"))


def read(path):
    with closing(sqlite3.connect(path)) as store:
        (device,) = read_devices(store)
    return device


def test_whole_device(device):
    """A device as pairing leaves it passes."""
    assert self_test(device) == []


def test_hosted_account(make_store, tmp_path):
    """Hosted accounts are signed with other prefixes."""
    assert self_test(read(make_store(tmp_path / "store.db", hosted=True))) == []


def flip(data):
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ("identity_key", "has not signed"),
        ("signed_pre_key", "has not signed the prekey"),
        ("signed_pre_key_sig", "has not signed the prekey"),
        ("adv_details", "phone has not signed"),
        ("adv_account_sig", "phone has not signed"),
        ("adv_account_sig_key", "phone has not signed"),
        ("adv_device_sig", "has not signed the phone's"),
    ],
)
def test_changed_field(device, field, problem):
    """A changed byte in any signed field is found."""
    # Bit 3 on: the lowest three bits of a private key do not matter.
    value = getattr(device, field)
    changed = replace(device, **{field: bytes([value[0] ^ 8]) + value[1:]})
    assert any(problem in found for found in self_test(changed))


@pytest.mark.parametrize("field", ["identity_key", "noise_key", "signed_pre_key"])
@pytest.mark.parametrize("value", [b"", bytes(32), bytes(31)])
def test_missing_key(device, field, value):
    """An empty, zero or short key is named."""
    assert len(self_test(replace(device, **{field: value}))) == 1


def test_key_of_another_device(make_store, tmp_path, device):
    """Rows put together from two devices do not pass."""
    other = read(make_store(tmp_path / "other.db"))
    mixed = replace(device, identity_key=other.identity_key)
    assert len(self_test(mixed)) == 3


@pytest.mark.parametrize("turn", range(20))
def test_signatures_of_another_implementation(turn):
    """Signatures made by independent code verify; changed ones do not."""
    private = bytes([turn]) * 31 + b"\x40"
    message = bytes(range(turn))
    signature = xeddsa.sign(private, message)
    assert verify(public(private), message, signature)
    assert not verify(public(private), message + b"x", signature)
    assert not verify(public(private), message, flip(signature))


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        (b"", bytes(64)),
        (bytes(32), b""),
        (b"\xff" * 32, bytes(64)),
        ((2**255 - 20).to_bytes(32, "little"), bytes(64)),
        (bytes(32), bytes(64)),
    ],
)
def test_malformed_is_not_valid(key, signature):
    """Malformed keys and signatures are simply not valid."""
    assert verify(key, b"message", signature) is False


def test_account(device):
    """JIDs without device, the number beside them."""
    assert device.account.jid == "15550001111@s.whatsapp.net"
    assert device.account.lid == "90000000000001@lid"
    assert (device.account.device, device.account.push_name) == (7, "Ann")
    assert device.signal_addresses == ("15550001111:7", "90000000000001_1:7")


def test_account_without_lid(make_store, tmp_path):
    """Old stores know no LID."""
    device = read(make_store(tmp_path / "store.db", lid=""))
    assert (device.lid, device.account.lid) == ("", "")
    assert device.signal_addresses == ("15550001111:7",)


def test_agent_in_jid(device):
    """`user.agent:device` is split like the rest."""
    other = replace(device, jid="15550001111.0:3@s.whatsapp.net")
    assert (other.account.jid, other.account.device) == ("15550001111@s.whatsapp.net", 3)


def test_fingerprint(make_store, tmp_path, device):
    """The fingerprint names the device, and only this one, without telling who it is."""
    again = read(tmp_path / "store.db")
    other = read(make_store(tmp_path / "other.db"))
    assert device.fingerprint == again.fingerprint != other.fingerprint
    assert len(device.fingerprint) == 64
    assert device.jid_sha256 == other.jid_sha256 == hash_jid(device.account)
    assert replace(device, jid="15550001111:8@s.whatsapp.net").jid_sha256 != device.jid_sha256


def test_repr_tells_no_key(device):
    """Private keys do not reach logs by accident."""
    for name in ("identity_key", "noise_key", "signed_pre_key"):
        assert name + "=" not in repr(device)
