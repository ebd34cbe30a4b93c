"""AES-256-CBC with PKCS #7 padding, as inside every Signal message."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from .errors import MalformedMessage

_BLOCK_BYTES = 16


def encrypt(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    """Return the ciphertext, one to sixteen bytes longer than the plaintext."""
    size = _BLOCK_BYTES - len(plaintext) % _BLOCK_BYTES
    return Cipher(AES(key), CBC(iv)).encryptor().update(plaintext + bytes([size]) * size)


def decrypt(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """Return the plaintext.

    Raises:
        MalformedMessage: The ciphertext is not made of whole blocks, or its padding is broken.
    """
    if not ciphertext or len(ciphertext) % _BLOCK_BYTES:
        raise MalformedMessage("a ciphertext has whole blocks")
    padded = Cipher(AES(key), CBC(iv)).decryptor().update(ciphertext)
    size = padded[-1]
    if not 1 <= size <= _BLOCK_BYTES or not padded.endswith(bytes([size]) * size):
        raise MalformedMessage("the padding of the blocks is broken")
    return padded[:-size]
