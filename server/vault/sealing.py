r"""How every object of a session is sealed: for its own name, with a key of its own.

    sealed = "ROOSTv2\0" | term (16) | salt (32) | AES-256-GCM ciphertext and tag

Key and nonce come from HKDF-SHA256 of the session's data key of that term with the random salt, so
no nonce can repeat however many objects there are. The header, the repository's id and the
object's name are authenticated with it: an object that was moved, swapped, or taken from another
session or repository does not open.
"""

import re
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"ROOSTv2\0"
TERM_BYTES = 16
SALT_BYTES = 32
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
HEADER_BYTES = len(MAGIC) + TERM_BYTES + SALT_BYTES
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
_TERM = re.compile(rb"[0-9a-z]{16}")


class SealBroken(Exception):
    """The object is not what was sealed under this name."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """What a session's objects of one term are sealed with."""

    session_id: str
    term: str
    secret: bytes = field(repr=False)


def seal(key: DataKey, data: bytes, context: bytes) -> bytes:
    """Encrypts and authenticates `data` for one context."""
    header = fresh_header(MAGIC, key)
    cipher, nonce = _derive(key, header)
    return header + cipher.encrypt(nonce, data, header + context)


def unseal(key: DataKey, sealed: bytes, context: bytes) -> bytes:
    """Undoes `seal`; raises SealBroken."""
    header = sealed[:HEADER_BYTES]
    if term_of(sealed) != key.term:
        raise SealBroken
    cipher, nonce = _derive(key, header)
    try:
        return cipher.decrypt(nonce, memoryview(sealed)[HEADER_BYTES:], header + context)
    except InvalidTag as error:
        raise SealBroken from error


def term_of(sealed: bytes) -> str:
    """Which term's key opens an object; raises SealBroken for anything that is not sealed."""
    if len(sealed) < OVERHEAD_BYTES or not sealed.startswith(MAGIC):
        raise SealBroken
    return header_term(sealed)


def context(repository_id: str, name: str) -> bytes:
    """What an object is sealed for: its name in this repository."""
    return f"roost vault v2\0{repository_id}\0{name}".encode("ascii")


def fresh_header(magic: bytes, key: DataKey) -> bytes:
    """The plain start of an object, with a salt that no other has."""
    return magic + key.term.encode("ascii") + secrets.token_bytes(SALT_BYTES)


def header_term(header: bytes) -> str:
    """The term in a header; raises SealBroken."""
    term = header[len(MAGIC) : len(MAGIC) + TERM_BYTES]
    if not _TERM.fullmatch(term):
        raise SealBroken
    return term.decode("ascii")


def derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _derive(key: DataKey, header: bytes) -> tuple[AESGCM, bytes]:
    derived = derive(
        key.secret, header[-SALT_BYTES:], b"roost vault v2 seal", KEY_BYTES + NONCE_BYTES
    )
    return AESGCM(derived[:KEY_BYTES]), derived[KEY_BYTES:]
