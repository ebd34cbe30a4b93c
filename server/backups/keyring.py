r"""The keys that seal backups, kept in one private file.

The file has one key per line, `roost-backup-key-1 <id> <64 hex digits>`. The first one seals, all
of them open: a new key goes on top and old backups stay readable. The id is a hash of the key, so
that a line that was damaged or cut is found at the start of the server, not at the restore.

A sealed object is `ROOSTv1\0 | key id (8) | salt (32) | AES-256-GCM ciphertext and tag`. Key and
nonce of the object come from HKDF-SHA256 of the file's key with the random salt, so that no nonce
can repeat however many objects there are. The header and the caller's context (which object of
which backup this is) are authenticated with it.
"""

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"ROOSTv1\0"
LINE = "roost-backup-key-1"
KEY_BYTES = 32
ID_BYTES = 8
SALT_BYTES = 32
NONCE_BYTES = 12
HEADER_BYTES = len(MAGIC) + ID_BYTES + SALT_BYTES
OVERHEAD_BYTES = HEADER_BYTES + 16
OTHERS = 0o077


class KeyFileError(Exception):
    """The key file cannot be used; says why, for the operator. Holds no key."""


class KeyUnknown(Exception):
    """The object was sealed with a key that is not in the file."""


class SealBroken(Exception):
    """The object is not what was sealed in this context."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file."""

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A fresh random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, line: str) -> Self:
        """Reads a line; raises ValueError when it is not whole."""
        label, key_id, digits = line.split()
        key = cls(bytes.fromhex(digits))
        if label != LINE or len(key.secret) != KEY_BYTES or key.id.hex() != key_id:
            raise ValueError("not a whole key")
        return key

    @property
    def id(self) -> bytes:
        """Names the key without telling it."""
        return hashlib.sha256(b"roost backup key id\0" + self.secret).digest()[:ID_BYTES]

    def line(self) -> str:
        """As it stands in the file."""
        return f"{LINE} {self.id.hex()} {self.secret.hex()}"


class Keyring:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = {key.id: key for key in keys}
        self._first = keys[0]

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Reads the key file, or makes it with one fresh key if it does not exist; then tests it.

        Raises:
            KeyFileError: others may read it, it is damaged, or it cannot be made.
        """
        try:
            if not path.exists():
                _create(path)
            if path.stat().st_mode & OTHERS:
                raise KeyFileError(f"{path} can be read by others; chmod 600 it")
            lines = [line for line in path.read_text("ascii").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"{path} cannot be read or made: {type(error).__name__}") from error
        try:
            keyring = cls([Key.parse(line) for line in lines])
        except (ValueError, IndexError) as error:
            raise KeyFileError(f"{path} is damaged; put a copy of it back") from error
        keyring.self_test()
        return keyring

    @property
    def key_id(self) -> str:
        """Which key seals, as hex."""
        return self._first.id.hex()

    def self_test(self) -> None:
        """Proves that what is sealed can be opened, and that a changed bit is found."""
        sealed = self.seal(b"self-test", b"context")
        if self.open(sealed, b"context") != b"self-test":
            raise KeyFileError("the backup key does not open what it sealed")
        try:
            self.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"context")
        except SealBroken:
            return
        raise KeyFileError("the backup key opens what it did not seal")

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Encrypts and authenticates `data`; it opens in the same `context` only."""
        header = MAGIC + self._first.id + secrets.token_bytes(SALT_BYTES)
        cipher, nonce = _derive(self._first, header)
        return header + cipher.encrypt(nonce, data, header + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Undoes `seal`.

        Raises:
            KeyUnknown: another keyring sealed it.
            SealBroken: it was changed, cut, or belongs into another context.
        """
        header = sealed[:HEADER_BYTES]
        if len(sealed) < OVERHEAD_BYTES or not header.startswith(MAGIC):
            raise SealBroken
        key = self._keys.get(header[len(MAGIC) : len(MAGIC) + ID_BYTES])
        if key is None:
            raise KeyUnknown
        cipher, nonce = _derive(key, header)
        try:
            return cipher.decrypt(nonce, memoryview(sealed)[HEADER_BYTES:], header + context)
        except InvalidTag as error:
            raise SealBroken from error


def _derive(key: Key, header: bytes) -> tuple[AESGCM, bytes]:
    derived = HKDF(
        algorithm=SHA256(),
        length=KEY_BYTES + NONCE_BYTES,
        salt=header[-SALT_BYTES:],
        info=b"roost seal v1",
    ).derive(key.secret)
    return AESGCM(derived[:KEY_BYTES]), derived[KEY_BYTES:]


def _create(path: Path) -> None:
    """Makes the file in one step, durable, never replacing one that appeared meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(Key.generate().line() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
