"""Key derivation: HKDF with SHA-256 (RFC 5869)."""

import hmac

_BLOCK_BYTES = 32


def hkdf(secret: bytes, *, info: bytes, size: int, salt: bytes = b"") -> bytes:
    """Return `size` bytes derived from a secret.

    Written out because making and finalising a library object costs more than the hashing.
    """
    key = hmac.digest(salt or bytes(_BLOCK_BYTES), secret, "sha256")
    out = block = b""
    for counter in range(1, -(-size // _BLOCK_BYTES) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out += block
    return out[:size]
