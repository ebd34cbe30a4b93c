"""Signal's messages on the wire: a version byte, protobuf, and a MAC.

Source: libsignal's wire.proto; https://signal.org/docs/specifications/doubleratchet/ section 5.2
"""

import hmac
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from . import fields
from .errors import MalformedMessage
from .keys import KEY_TYPE

Type = Literal["pkmsg", "msg", "skmsg"]
"""How WhatsApp calls a first message of a session, a later one, and a group text."""

VERSION = b"\x33"
_MAC_BYTES = 8
_PUBLIC_BYTES = 33


class Ciphertext(NamedTuple):
    """An encrypted message with the type that belongs beside it."""

    type: Type
    data: bytes


@dataclass(frozen=True)
class SignalMessage:
    """One message of a session."""

    ratchet_key: bytes
    counter: int
    previous_counter: int
    ciphertext: bytes
    signed: bytes
    mac: bytes

    @classmethod
    def make(
        cls,
        *,
        ratchet_key: bytes,
        counter: int,
        previous_counter: int,
        ciphertext: bytes,
        mac_key: bytes,
        sender: bytes,
        receiver: bytes,
    ) -> Self:
        """Return a message with its MAC; sender and receiver are identity keys."""
        signed = VERSION + fields.encode(
            [
                (1, KEY_TYPE + ratchet_key),
                (2, counter),
                (3, previous_counter),
                (4, ciphertext),
            ]
        )
        mac = _mac(mac_key, sender, receiver, signed)
        return cls(ratchet_key, counter, previous_counter, ciphertext, signed, mac)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a message; its MAC is not checked yet.

        Raises:
            MalformedMessage: It is not one, or of another version.
        """
        signed, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        found = fields.decode(after_version(signed))
        return cls(
            ratchet_key=public_key(found, 1),
            counter=fields.number(found, 2, 0),
            previous_counter=fields.number(found, 3, 0),
            ciphertext=fields.octets(found, 4),
            signed=signed,
            mac=mac,
        )

    def encode(self) -> bytes:
        """Return the message as it travels."""
        return self.signed + self.mac

    def fits(self, mac_key: bytes, *, sender: bytes, receiver: bytes) -> bool:
        """Tell whether the MAC was made with that key between those two identities."""
        return hmac.compare_digest(self.mac, _mac(mac_key, sender, receiver, self.signed))


@dataclass(frozen=True)
class PreKeySignalMessage:
    """A message of a session that its receiver may not know yet, with what it needs to start."""

    registration_id: int
    prekey_id: int | None
    signed_prekey_id: int
    base_key: bytes
    identity_key: bytes
    message: SignalMessage

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a message.

        Raises:
            MalformedMessage: It is not one, or of another version.
        """
        found = fields.decode(after_version(data))
        return cls(
            registration_id=fields.number(found, 5, 0),
            prekey_id=fields.number(found, 1, 0) or None,
            signed_prekey_id=fields.number(found, 6, 0),
            base_key=public_key(found, 2),
            identity_key=public_key(found, 3),
            message=SignalMessage.decode(fields.octets(found, 4)),
        )

    def encode(self) -> bytes:
        """Return the message as it travels."""
        return VERSION + fields.encode(
            [
                (1, self.prekey_id),
                (2, KEY_TYPE + self.base_key),
                (3, KEY_TYPE + self.identity_key),
                (4, self.message.encode()),
                (5, self.registration_id),
                (6, self.signed_prekey_id),
            ]
        )


def after_version(data: bytes) -> bytes:
    """Return what follows the version byte.

    Raises:
        MalformedMessage: The version is not ours.
    """
    if not data or data[0] >> 4 != VERSION[0] >> 4:
        raise MalformedMessage("not a message of version 3")
    return data[1:]


def public_key(found: dict[int, fields.Value], number: int) -> bytes:
    """Return a field that must be a public key, without its type byte."""
    key = fields.octets(found, number, _PUBLIC_BYTES)
    if not key.startswith(KEY_TYPE):
        raise MalformedMessage("not a public key of this curve")
    return key[1:]


def _mac(key: bytes, sender: bytes, receiver: bytes, signed: bytes) -> bytes:
    message = KEY_TYPE + sender + KEY_TYPE + receiver + signed
    return hmac.digest(key, message, "sha256")[:_MAC_BYTES]
