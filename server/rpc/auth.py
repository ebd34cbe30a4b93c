"""Who may call: the holder of the admin key."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

HEADER = "authorization"
SCHEME = "bearer "
PREFIX = "roost_"
_OPEN_SERVICE = "/grpc.health.v1.Health/"
_SHORTEST_KEY = 16


class AdminKeyUnusable(Exception):
    """The admin key file cannot be used; says why, never the key."""


class AdminKey:
    """One shared secret. Comparing takes the same time for every wrong key of the same length."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @classmethod
    def load_or_create(cls, path: Path) -> "AdminKey":
        """Reads the key file; makes it (0600) when there is none.

        Raises:
            AdminKeyUnusable: it cannot be read or written, or holds no key.
        """
        try:
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _create(path)
            secret = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not plain text"
            raise AdminKeyUnusable(f"admin key file {path}: {reason}") from None
        if len(secret) < _SHORTEST_KEY:
            raise AdminKeyUnusable(
                f"admin key file {path}: a key has at least {_SHORTEST_KEY} characters"
            )
        return cls(secret)

    def derive(self, text: str) -> bytes:
        """32 bytes that follow from `text` and that only this key's holder can know."""
        return hashlib.blake2b(
            text.encode(), key=hashlib.sha256(self._secret).digest(), digest_size=32
        ).digest()

    def opens(self, method: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> bool:
        """True if a call of `method` with this metadata may go on. Health checks always may."""
        for key, value in metadata or ():
            if key == HEADER:
                given = value.encode() if isinstance(value, str) else value
                scheme, token = given[: len(SCHEME)], given[len(SCHEME) :]
                if scheme.lower() != SCHEME.encode():
                    break
                return hmac.compare_digest(token, self._secret) or is_open(method)
        return is_open(method)


def is_open(method: str) -> bool:
    """True for the methods that need no key."""
    return method.startswith(_OPEN_SERVICE)


def _create(path: Path) -> None:
    """In one step: nobody ever sees a file without its key."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(PREFIX + secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):  # another process was faster: its key counts
        path.hardlink_to(draft)
    draft.unlink()
