"""A master key that never leaves the place where it is kept, a KMS or HSM, behind a program.

The program is asked with one JSON line on stdin and answers with one on stdout, see
`docs/vault-keys.md`::

    {"version": 1, "operation": "wrap", "context": "roost/<repository id>", "data": "<base64>"}
    {"data": "<base64>"}            or {"refused": true}: this key did not wrap that

What it wraps is a random key of this process, and that one wraps data keys. So the program runs
once for many sessions, and a program that forgets the context weakens nothing.
"""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from .base import MasterKeyBroken, MasterKeyUnavailable, WrapBroken
from .command import CommandFailed, ask
from .wrapping import ID_BYTES, KEY_BYTES, MAX_HINT_BYTES, Header, seal, unseal

VERSION = "1"
REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class ExternalKey:
    """A program as a configured master key."""

    command: tuple[str, ...]
    timeout: timedelta = timedelta(seconds=10)
    pause: timedelta = timedelta(seconds=15)
    """After a failure it counts as away for so long without being asked."""

    @property
    def kind(self) -> str:
        """As in the port."""
        return "external"

    def for_repository(self, repository_id: str) -> "ExternalRecipient":
        """As in the port; does not run the program."""
        return ExternalRecipient(self, f"roost/{repository_id}")


class ExternalRecipient:
    """A program in one repository."""

    def __init__(self, master: ExternalKey, context: str) -> None:
        self._master = master
        self._context = context
        self._lock = threading.Lock()
        self._wrapper: tuple[bytes, bytes] | None = None
        self._known: dict[bytes, bytes] = {}
        self._away_until = 0.0

    @property
    def kind(self) -> str:
        """As in the port."""
        return self._master.kind

    @property
    def id(self) -> str:
        """As in the port: a hash of the command, so that it is known while the key is away."""
        return _command_id(self._master.command)

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """As in the port."""
        with self._lock:
            if self._wrapper is None:
                self._wrapper = self._new_wrapper()
            key, blob = self._wrapper
        return seal(key, Header.new(self.kind, self.id, blob), secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """As in the port."""
        header = Header.parse(wrapped)
        if header.kind != self.kind:
            raise WrapBroken
        with self._lock:
            key = self._unwrapped(header.hint)
            secret = unseal(key, header, wrapped, context)
            if self._wrapper is None:
                self._wrapper = key, header.hint
        return secret

    def _new_wrapper(self) -> tuple[bytes, bytes]:
        key = secrets.token_bytes(KEY_BYTES)
        blob = self._ask("wrap", key)
        if blob is None or not 0 < len(blob) <= MAX_HINT_BYTES:
            raise MasterKeyBroken("the external key's program did not wrap a key")
        if key in blob:
            raise MasterKeyBroken("the external key's program did not encrypt a key")
        if self._ask("unwrap", blob) != key:
            raise MasterKeyBroken("the external key's program did not give back the key it wrapped")
        self._known[blob] = key
        return key, blob

    def _unwrapped(self, blob: bytes) -> bytes:
        known = self._known.get(blob)
        if known is not None:
            return known
        key = self._ask("unwrap", blob)
        if key is None or len(key) != KEY_BYTES:
            raise WrapBroken
        if len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[blob] = key
        return key

    def _ask(self, operation: str, data: bytes) -> bytes | None:
        """What the program makes of it; None: it refuses."""
        if time.monotonic() < self._away_until:
            raise MasterKeyUnavailable("the external key's program failed a moment ago")
        request = {
            "version": VERSION,
            "operation": operation,
            "context": self._context,
            "data": base64.b64encode(data).decode("ascii"),
        }
        try:
            answer = ask(self._master.command, request, self._master.timeout)
            if answer.get("refused") is True:
                return None
            return base64.b64decode(answer["data"], validate=True)
        except (CommandFailed, KeyError, TypeError, ValueError) as error:
            self._away_until = time.monotonic() + self._master.pause.total_seconds()
            how = str(error) if isinstance(error, CommandFailed) else "gave no data"
            raise MasterKeyUnavailable(f"the external key's program {how}") from None


def _command_id(command: Sequence[str]) -> str:
    digest = hashlib.sha256(b"roost external key id\0" + "\0".join(command).encode())
    return digest.digest()[:ID_BYTES].hex()
