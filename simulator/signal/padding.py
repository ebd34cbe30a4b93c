"""WhatsApp's padding: n bytes of value n behind every plaintext, 1 <= n <= 16."""

import secrets

from .errors import MalformedMessage

_MAX_BYTES = 16


def pad(plaintext: bytes) -> bytes:
    """Return the plaintext with a random amount of padding."""
    size = secrets.randbelow(_MAX_BYTES) + 1
    return plaintext + bytes([size]) * size


def unpad(padded: bytes) -> bytes:
    """Return the plaintext without its padding.

    Raises:
        MalformedMessage: What stands at the end is not padding.
    """
    size = padded[-1] if padded else 0
    if not size or not padded.endswith(bytes([size]) * size):
        raise MalformedMessage("the padding is broken")
    return padded[:-size]
