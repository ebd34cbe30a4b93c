"""XEdDSA: signatures made and checked with X25519 keys.

Source: https://signal.org/docs/specifications/xeddsa/ , and libsignal's habit of carrying the
sign of the public key's Edwards form in the top bit of the signature.
"""

import hashlib
import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import edwards

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_HASH1_PREFIX = (2**256 - 2).to_bytes(32, "little")
_SIGN_BIT = 0x80


def sign(private_key: bytes, message: bytes, *, random: bytes | None = None) -> bytes:
    """Return the 64 byte signature of a message under an X25519 private key.

    Args:
        private_key: 32 bytes; clamped here if they are not yet.
        message: What is signed.
        random: 64 bytes that make the signature unique; fresh ones by default. Only tests that
            need the same signature twice pass them.

    Raises:
        ValueError: The private key is not 32 bytes long.
    """
    if len(private_key) != KEY_BYTES:
        raise ValueError("a private key has 32 bytes")
    scalar = _clamp(private_key)
    x, y = edwards.multiply_base(scalar)
    if x & 1:
        scalar = edwards.ORDER - scalar % edwards.ORDER
    public = edwards.encode(0, y)
    secret = (scalar % edwards.ORDER).to_bytes(32, "little")
    nonce = _hash_to_scalar(_HASH1_PREFIX, secret, message, random or secrets.token_bytes(64))
    commitment = edwards.encode(*edwards.multiply_base(nonce))
    challenge = _hash_to_scalar(commitment, public, message)
    return commitment + ((nonce + challenge * scalar) % edwards.ORDER).to_bytes(32, "little")


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature fits a message and a 32 byte X25519 public key.

    Anything malformed is simply not a valid signature.
    """
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    u = int.from_bytes(public_key, "little") & (2**255 - 1)
    if u >= edwards.P:
        return False
    sign_bit = signature[63] & _SIGN_BIT
    plain = signature[:63] + bytes([signature[63] & ~_SIGN_BIT])
    try:
        key = Ed25519PublicKey.from_public_bytes(
            edwards.encode(sign_bit >> 7, edwards.edwards_y(u))
        )
        key.verify(plain, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _clamp(private_key: bytes) -> int:
    scalar = int.from_bytes(private_key, "little")
    return scalar & ~7 & (2**255 - 1) | 2**254


def _hash_to_scalar(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % edwards.ORDER
