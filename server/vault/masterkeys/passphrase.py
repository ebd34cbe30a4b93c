"""A master key made of a passphrase by scrypt (RFC 7914), which is slow on purpose.

The salt follows from the repository's id, so one derivation serves all data keys of a repository.
Salt and cost stand in every wrapped key as well: a fresh server needs the passphrase and nothing
else, also when the cost was another one then. The id is made of the derived key, not of the
passphrase: guessing it costs as much as guessing from a wrapped key.
"""

import hashlib
import threading
import unicodedata
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from .base import WrapBroken
from .wrapping import ID_BYTES, KEY_BYTES, Header, seal, unseal

SALT_BYTES = 16
HINT_BYTES = SALT_BYTES + 3
MAX_MEMORY_BYTES = 512 << 20
MAX_PARALLEL = 4
REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs: `128 * r * 2**log_n` bytes, `p` times. The default: 128 MiB, 0.3 s."""

    log_n: int = 17
    r: int = 8
    p: int = 1

    @property
    def memory_bytes(self) -> int:
        """What one derivation holds while it runs."""
        return 128 * self.r << self.log_n

    @property
    def is_sane(self) -> bool:
        """Whether to derive with it: a changed object must not take all memory."""
        return (
            1 <= self.log_n < 32  # noqa: PLR2004  (before it is shifted by it)
            and self.r >= 1
            and 1 <= self.p <= MAX_PARALLEL
            and self.memory_bytes <= MAX_MEMORY_BYTES
        )


def derive(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    """The key that a passphrase stands for."""
    kdf = Scrypt(salt=salt, length=KEY_BYTES, n=1 << cost.log_n, r=cost.r, p=cost.p)
    return kdf.derive(unicodedata.normalize("NFC", passphrase).encode())


@dataclass(frozen=True, slots=True)
class PassphraseKey:
    """A passphrase as a configured master key."""

    passphrase: str = field(repr=False)
    cost: Cost = Cost()
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _derived: dict[bytes, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """As in the port."""
        return "passphrase"

    def for_repository(self, repository_id: str) -> "PassphraseRecipient":
        """As in the port; derives the key."""
        digest = hashlib.sha256(b"roost passphrase salt\0" + repository_id.encode("ascii"))
        hint = digest.digest()[:SALT_BYTES] + bytes([self.cost.log_n, self.cost.r, self.cost.p])
        kdf = HKDF(algorithm=SHA256(), length=ID_BYTES, salt=None, info=b"roost passphrase id")
        return PassphraseRecipient(self, kdf.derive(self.key(hint)).hex(), hint)

    def key(self, hint: bytes) -> bytes:
        """The key for a salt and cost, derived once; raises WrapBroken for an absurd cost.

        One derivation at a time: each needs a lot of memory.
        """
        if len(hint) != HINT_BYTES or not (cost := Cost(*hint[SALT_BYTES:])).is_sane:
            raise WrapBroken
        with self._lock:
            if hint not in self._derived:
                if len(self._derived) >= REMEMBERED:
                    self._derived.pop(next(iter(self._derived)))
                self._derived[hint] = derive(self.passphrase, hint[:SALT_BYTES], cost)
            return self._derived[hint]


@dataclass(frozen=True, slots=True)
class PassphraseRecipient:
    """A passphrase in one repository."""

    master: PassphraseKey
    id: str
    hint: bytes

    @property
    def kind(self) -> str:
        """As in the port."""
        return self.master.kind

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """As in the port; never away."""
        header = Header.new(self.kind, self.id, self.hint)
        return seal(self.master.key(self.hint), header, secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """As in the port; never away. Salt and cost are those of the wrapped key."""
        header = Header.parse(wrapped)
        if header.kind != self.kind:
            raise WrapBroken
        return unseal(self.master.key(header.hint), header, wrapped, context)
