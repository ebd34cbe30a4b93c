r"""The form of a wrapped data key, the same for every kind of master key.

    ROOSTw2\0 | kind (1) | master key id (8) | salt (32) | length of the hint (2) | hint | sealed

`hint` is what the kind needs to find its key-encrypting key: scrypt's salt and cost, or what an
external key made of it. `sealed` is AES-256-GCM under HKDF-SHA256 of that key with the random salt,
so no nonce can repeat. Everything before it and the caller's context are authenticated with it.
"""

import secrets
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .base import WrapBroken

MAGIC = b"ROOSTw2\0"
KINDS = {"file": b"F", "passphrase": b"P", "external": b"E"}
KEY_BYTES = 32
ID_BYTES = 8
SALT_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
LENGTH_BYTES = 2
FIXED_BYTES = len(MAGIC) + 1 + ID_BYTES + SALT_BYTES + LENGTH_BYTES
MAX_HINT_BYTES = 0xFFFF


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in clear before the sealed secret."""

    kind: str
    key_id: str
    salt: bytes
    hint: bytes

    @classmethod
    def new(cls, kind: str, key_id: str, hint: bytes = b"") -> Self:
        """The header of a new wrap."""
        return cls(kind, key_id, secrets.token_bytes(SALT_BYTES), hint)

    @classmethod
    def parse(cls, wrapped: bytes) -> Self:
        """Reads it from the front of a wrapped secret; nothing in it is proven yet."""
        kind = next((name for name, byte in KINDS.items() if byte == wrapped[8:9]), None)
        if kind is None or not wrapped.startswith(MAGIC) or len(wrapped) < FIXED_BYTES:
            raise WrapBroken
        hint_bytes = int.from_bytes(wrapped[FIXED_BYTES - LENGTH_BYTES : FIXED_BYTES])
        if len(wrapped) < FIXED_BYTES + hint_bytes + TAG_BYTES:
            raise WrapBroken
        return cls(
            kind=kind,
            key_id=wrapped[9 : 9 + ID_BYTES].hex(),
            salt=wrapped[9 + ID_BYTES : 9 + ID_BYTES + SALT_BYTES],
            hint=wrapped[FIXED_BYTES : FIXED_BYTES + hint_bytes],
        )

    def encode(self) -> bytes:
        """As it stands in front."""
        length = len(self.hint).to_bytes(LENGTH_BYTES)
        key_id = bytes.fromhex(self.key_id)
        return MAGIC + KINDS[self.kind] + key_id + self.salt + length + self.hint


def seal(key: bytes, header: Header, secret: bytes, context: bytes) -> bytes:
    """The wrapped secret; `key` is the key-encrypting key."""
    front = header.encode()
    cipher, nonce = _derive(key, header.salt)
    return front + cipher.encrypt(nonce, secret, front + context)


def unseal(key: bytes, header: Header, wrapped: bytes, context: bytes) -> bytes:
    """Undoes `seal`; raises WrapBroken."""
    front = header.encode()
    cipher, nonce = _derive(key, header.salt)
    try:
        return cipher.decrypt(nonce, wrapped[len(front) :], front + context)
    except InvalidTag as error:
        raise WrapBroken from error


def _derive(key: bytes, salt: bytes) -> tuple[AESGCM, bytes]:
    derived = HKDF(
        algorithm=SHA256(),
        length=KEY_BYTES + NONCE_BYTES,
        salt=salt,
        info=b"roost vault v2 wrap",
    ).derive(key)
    return AESGCM(derived[:KEY_BYTES]), derived[KEY_BYTES:]
