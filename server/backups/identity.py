"""Whether the keys of a device belong together: the health check that needs no network.

WhatsApp's pairing leaves three signatures in the device row. If all verify, the row is whole: the
identity key signs its prekey, and the phone and this device have signed each other's keys.

Source: whatsmeow `pair.go` (prefixes), https://signal.org/docs/specifications/xeddsa/ .
"""

import hashlib
import sqlite3
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from server.engine.base import Account

DJB_TYPE = b"\x05"
ACCOUNT_PREFIXES = (b"\x06\x00", b"\x06\x05")  # the second one: hosted accounts
DEVICE_PREFIXES = (b"\x06\x01", b"\x06\x06")
P = 2**255 - 19
SIGN_BIT = 0x80
SIGNATURE_BYTES = 64
KEY_BYTES = 32
COLUMNS = (
    "jid, coalesce(lid, '') AS lid, push_name, identity_key, noise_key, "
    "signed_pre_key, signed_pre_key_sig, "
    "adv_details, adv_account_sig, adv_account_sig_key, adv_device_sig"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device row, as far as it says who this is."""

    jid: str
    lid: str
    push_name: str
    identity_key: bytes = field(repr=False)
    noise_key: bytes = field(repr=False)
    signed_pre_key: bytes = field(repr=False)
    signed_pre_key_sig: bytes
    adv_details: bytes
    adv_account_sig: bytes
    adv_account_sig_key: bytes
    adv_device_sig: bytes

    @property
    def account(self) -> Account:
        """The account, with this device's number."""
        _, number = _split(self.jid)
        return Account(
            jid=plain_jid(self.jid),
            lid=plain_jid(self.lid) if self.lid else "",
            push_name=self.push_name,
            device=number,
        )

    @property
    def signal_addresses(self) -> tuple[str, ...]:
        """How this device is named in Signal records: by phone number and by LID."""
        user, number = _split(self.jid)
        addresses = [f"{user}:{number}"]
        if self.lid:
            user, number = _split(self.lid)
            addresses.append(f"{user}_1:{number}")
        return tuple(addresses)

    @property
    def fingerprint(self) -> str:
        """Which device this is: stays the same until it is paired anew."""
        return hashlib.sha256(_public(self.identity_key) + self.jid.encode()).hexdigest()

    @property
    def jid_sha256(self) -> str:
        """The JID, to compare without telling it."""
        return hash_jid(self.account)


def hash_jid(account: Account) -> str:
    """Hash of account and device number."""
    return hashlib.sha256(f"{account.jid}:{account.device}".encode()).hexdigest()


def read_devices(connection: sqlite3.Connection) -> list[Device]:
    """All device rows; a healthy store of a paired session has exactly one."""
    cursor = connection.execute(f"SELECT {COLUMNS} FROM whatsmeow_device")  # noqa: S608
    names = [column[0] for column in cursor.description]
    return [Device(**dict(zip(names, row, strict=True))) for row in cursor]


def self_test(device: Device) -> list[str]:
    """What is wrong with the device's keys; empty when they are whole and belong together."""
    secret_keys = {
        "identity key": device.identity_key,
        "noise key": device.noise_key,
        "signed prekey": device.signed_pre_key,
    }
    problems = [
        f"the {name} is not a private key"
        for name, value in secret_keys.items()
        if len(value) != KEY_BYTES or not any(value)
    ]
    if problems:
        return problems
    identity = _public(device.identity_key)
    details, phone = device.adv_details, device.adv_account_sig_key
    if not verify(identity, DJB_TYPE + _public(device.signed_pre_key), device.signed_pre_key_sig):
        problems.append("the identity key has not signed the prekey")
    if not any(
        verify(phone, prefix + details + identity, device.adv_account_sig)
        for prefix in ACCOUNT_PREFIXES
    ):
        problems.append("the phone has not signed this identity")
    if not any(
        verify(identity, prefix + details + identity + phone, device.adv_device_sig)
        for prefix in DEVICE_PREFIXES
    ):
        problems.append("this identity has not signed the phone's")
    return problems


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Checks an XEdDSA signature under an X25519 public key; malformed is not valid."""
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    u = int.from_bytes(public_key, "little") & (2**255 - 1)
    if u >= P or u == P - 1:
        return False
    y = (u - 1) * pow(u + 1, -1, P) % P
    # The sign of the Edwards point travels in the signature's top bit, which Ed25519 leaves unused.
    point = bytearray(y.to_bytes(KEY_BYTES, "little"))
    point[-1] |= signature[-1] & SIGN_BIT
    plain = signature[:-1] + bytes([signature[-1] & ~SIGN_BIT])
    try:
        Ed25519PublicKey.from_public_bytes(bytes(point)).verify(plain, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def new_private_key() -> bytes:
    """A fresh X25519 private key as the store keeps it."""
    return X25519PrivateKey.generate().private_bytes(
        Encoding.Raw, PrivateFormat.Raw, NoEncryption()
    )


def plain_jid(jid: str) -> str:
    """`user.agent:device@server` without agent and device."""
    user, _, server = jid.partition("@")
    return f"{user.partition(':')[0].partition('.')[0]}@{server}"


def _split(jid: str) -> tuple[str, int]:
    user, _, number = jid.partition("@")[0].partition(":")
    return user.partition(".")[0], int(number) if number.isdigit() else 0


def _public(private: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
