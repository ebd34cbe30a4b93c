"""Device identities: how a phone vouches for a companion, and a companion for itself.

Signatures are over: two bytes that say whose it is, the details, the companion's identity key
(and, for the companion's own, the account's key).

Source: ADVSignedDeviceIdentity in WhatsApp's protobufs; whatsmeow pair.go.
"""

import hmac
import time
from dataclasses import dataclass, replace
from typing import Self

from . import fields, xeddsa
from .errors import BadSignature
from .keys import KeyPair

_ACCOUNT_PREFIX = b"\x06\x00"
_DEVICE_PREFIX = b"\x06\x01"


@dataclass(frozen=True)
class DeviceIdentity:
    """A companion's identity with the account's signature and, once accepted, its own."""

    details: bytes
    account_key: bytes
    account_signature: bytes
    device_signature: bytes | None = None

    @classmethod
    def issue(
        cls,
        account: KeyPair,
        companion_identity: bytes,
        *,
        key_index: int,
        raw_id: int,
        timestamp: int | None = None,
    ) -> Self:
        """Vouch for a companion, as the phone with the account's identity key.

        Args:
            account: The identity of the phone.
            companion_identity: The companion's public identity key.
            key_index: The companion's place among the companions ever linked, from 1.
            raw_id: A number that stays the same for all companions of the account.
            timestamp: Unix seconds; now by default.
        """
        when = int(time.time()) if timestamp is None else timestamp
        details = fields.encode([(1, raw_id), (2, when), (3, key_index), (4, 0), (5, 0)])
        signature = account.sign(_ACCOUNT_PREFIX + details + companion_identity)
        return cls(details=details, account_key=account.public, account_signature=signature)

    @classmethod
    def decode(cls, data: bytes, *, account_key: bytes | None = None) -> Self:
        """Read an ADVSignedDeviceIdentity.

        Args:
            data: The encoded message.
            account_key: Put in its place where the message leaves it out, as a companion does
                that confirms its pairing.
        """
        found = {2: account_key or b"", 4: b""} | fields.decode(data)
        return cls(
            details=fields.octets(found, 1),
            account_key=fields.octets(found, 2, xeddsa.KEY_BYTES),
            account_signature=fields.octets(found, 3, xeddsa.SIGNATURE_BYTES),
            device_signature=fields.octets(found, 4) or None,
        )

    def encode(self) -> bytes:
        """Return the ADVSignedDeviceIdentity."""
        return fields.encode(
            [
                (1, self.details),
                (2, self.account_key),
                (3, self.account_signature),
                (4, self.device_signature),
            ]
        )

    def sealed(self, adv_secret: bytes) -> bytes:
        """Return the ADVSignedDeviceIdentityHMAC that pair-success carries to the companion."""
        signed = self.encode()
        mac = hmac.digest(adv_secret, signed, "sha256")
        return fields.encode([(1, signed), (2, mac)])

    def accepted(self, companion: KeyPair) -> Self:
        """Return this identity with the companion's own signature."""
        return replace(
            self, device_signature=companion.sign(self._device_message(companion.public))
        )

    def check(self, companion_identity: bytes) -> None:
        """Make sure that account and companion both signed for the companion's key.

        Raises:
            BadSignature: One of the two did not.
        """
        message = _ACCOUNT_PREFIX + self.details + companion_identity
        if not xeddsa.verify(self.account_key, message, self.account_signature):
            raise BadSignature("the account did not sign this device")
        message = self._device_message(companion_identity)
        if not xeddsa.verify(companion_identity, message, self.device_signature or b""):
            raise BadSignature("the device did not sign for itself")

    def _device_message(self, companion_identity: bytes) -> bytes:
        return _DEVICE_PREFIX + self.details + companion_identity + self.account_key
