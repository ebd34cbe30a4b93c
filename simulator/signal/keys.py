"""X25519 keys as devices use them: identity, signed prekey, one-time prekeys, and the bundle."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from . import xeddsa
from .errors import BadSignature, MalformedMessage

KEY_TYPE = b"\x05"
"""The byte that stands before a public key on Signal's wire (Curve25519)."""

MAX_PREKEY_ID = 0xFFFFFF
"""Prekey ids have three bytes; 0 means "none" to some clients and is never used."""


@dataclass(frozen=True)
class KeyPair:
    """An X25519 key pair; both halves are 32 raw bytes."""

    private: bytes = field(repr=False)
    public: bytes

    @classmethod
    def generate(cls) -> Self:
        """Return a fresh pair."""
        return cls._of(X25519PrivateKey.generate())

    @classmethod
    def from_private(cls, private: bytes) -> Self:
        """Return the pair that belongs to a private key."""
        return cls._of(X25519PrivateKey.from_private_bytes(private))

    @classmethod
    def _of(cls, key: X25519PrivateKey) -> Self:
        return cls(private=key.private_bytes_raw(), public=key.public_key().public_bytes_raw())

    @cached_property
    def _key(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.private)

    def agree(self, public: bytes) -> bytes:
        """Return the secret shared with the owner of a public key.

        Raises:
            MalformedMessage: The public key is none, or of low order.
        """
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as exc:
            raise MalformedMessage("not a usable public key") from exc

    def sign(self, message: bytes) -> bytes:
        """Return the XEdDSA signature of a message."""
        return xeddsa.sign(self.private, message)


@dataclass(frozen=True)
class PreKey:
    """A key another device may start one session with while this device is away."""

    id: int
    pair: KeyPair


@dataclass(frozen=True)
class SignedPreKey:
    """The key for many sessions, signed by the identity it belongs to."""

    id: int
    pair: KeyPair
    signature: bytes

    @classmethod
    def generate(cls, prekey_id: int, identity: KeyPair) -> Self:
        """Return a fresh signed prekey of an identity."""
        pair = KeyPair.generate()
        return cls(id=prekey_id, pair=pair, signature=identity.sign(KEY_TYPE + pair.public))


@dataclass(frozen=True)
class PreKeyBundle:
    """The public half of a device, from which another device starts a session with it."""

    registration_id: int
    identity_key: bytes
    signed_prekey_id: int
    signed_prekey: bytes
    signed_prekey_signature: bytes
    prekey_id: int | None = None
    prekey: bytes | None = None

    def check(self) -> None:
        """Make sure the signed prekey is of the identity.

        Raises:
            BadSignature: It is not.
        """
        message = KEY_TYPE + self.signed_prekey
        if not xeddsa.verify(self.identity_key, message, self.signed_prekey_signature):
            raise BadSignature("the signed prekey is not signed by the identity")
