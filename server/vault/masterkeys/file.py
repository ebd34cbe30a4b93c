"""Master keys in a private file, one a line: `roost-backup-key-1 <id> <64 hex digits>`.

Every line is a recipient: a key is replaced by putting a new line on top and taking the old one out
when all data keys are wrapped for the new one. The id is a hash of the key, so that a line that was
damaged or cut is found at the start of the server, not at the restore.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .base import MasterKeyUnusable, WrapBroken
from .wrapping import ID_BYTES, KEY_BYTES, Header, seal, unseal

LINE = "roost-backup-key-1"
OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class FileKey:
    """One line of the file."""

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
        if label != LINE or len(key.secret) != KEY_BYTES or key.id != key_id:
            raise ValueError("not a whole key")
        return key

    @classmethod
    def load_or_create(cls, path: Path) -> list[Self]:
        """Reads the key file, or makes it with one fresh key if it does not exist.

        Raises:
            MasterKeyUnusable: others may read it, it is damaged, or it cannot be made.
        """
        try:
            if not path.exists():
                _create(path, cls.generate().line())
            if path.stat().st_mode & OTHERS:
                raise MasterKeyUnusable(f"{path} can be read by others; chmod 600 it")
            lines = [line for line in path.read_text("ascii").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            kind = type(error).__name__
            raise MasterKeyUnusable(f"{path} cannot be read or made: {kind}") from error
        damaged = f"{path} is damaged; put a copy of it back"
        try:
            keys = {key.id: key for key in map(cls.parse, lines)}
        except ValueError as error:
            raise MasterKeyUnusable(damaged) from error
        if not keys:
            raise MasterKeyUnusable(damaged)
        return [*keys.values()]

    @property
    def kind(self) -> str:
        """As in the port."""
        return "file"

    @property
    def id(self) -> str:
        """As in the port: a hash of the key."""
        digest = hashlib.sha256(b"roost backup key id\0" + self.secret)
        return digest.digest()[:ID_BYTES].hex()

    def line(self) -> str:
        """As it stands in the file."""
        return f"{LINE} {self.id} {self.secret.hex()}"

    def for_repository(self, repository_id: str) -> Self:
        """As in the port; a random key is the same for all of them."""
        del repository_id
        return self

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """As in the port; never away."""
        return seal(self.secret, Header.new(self.kind, self.id), secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """As in the port; never away."""
        header = Header.parse(wrapped)
        if (header.kind, header.key_id) != (self.kind, self.id):
            raise WrapBroken
        return unseal(self.secret, header, wrapped, context)


def _create(path: Path, line: str) -> None:
    """Makes the file in one step, durable, never replacing one that appeared meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(line + "\n")
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
