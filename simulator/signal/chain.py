"""The symmetric half of a ratchet: a key per message, and no way back.

Source: https://signal.org/docs/specifications/doubleratchet/ section 2.2 and 2.6
"""

import hmac
from dataclasses import dataclass, field
from typing import Self

from .errors import OldCounter, TooFarAhead

MAX_SKIPPED = 2000
"""How many missing messages a chain keeps keys for, and how far it jumps ahead."""

_MESSAGE = b"\x01"
_NEXT = b"\x02"


@dataclass(frozen=True)
class ChainKey:
    """The place a chain has reached: the number of the next message and the key it comes from."""

    key: bytes = field(repr=False)
    index: int = 0

    @property
    def seed(self) -> bytes:
        """What the keys of message number `index` are derived from."""
        return hmac.digest(self.key, _MESSAGE, "sha256")

    def next(self) -> Self:
        """Return the place after this one."""
        return type(self)(hmac.digest(self.key, _NEXT, "sha256"), self.index + 1)


@dataclass(frozen=True)
class ReadingChain:
    """A chain another device writes with, as far as it was read, and the seeds passed over."""

    chain: ChainKey
    skipped: dict[int, bytes] = field(default_factory=dict, repr=False)

    def at(self, counter: int) -> tuple[bytes, Self]:
        """Return the seed of a message and this chain as it is once that seed is used.

        Nothing changes here: the caller keeps the new chain only if the message was genuine.

        Raises:
            OldCounter: The seed was used already, or was thrown away.
            TooFarAhead: Too many messages before it are missing.
        """
        chain, skipped = self.chain, dict(self.skipped)
        if counter < chain.index:
            seed = skipped.pop(counter, None)
            if seed is None:
                raise OldCounter(f"message {counter} of a chain that is at {chain.index}")
            return seed, type(self)(chain, skipped)
        if counter - chain.index > MAX_SKIPPED:
            raise TooFarAhead(f"message {counter} of a chain that is at {chain.index}")
        while chain.index < counter:
            skipped[chain.index] = chain.seed
            chain = chain.next()
        while len(skipped) > MAX_SKIPPED:
            del skipped[next(iter(skipped))]
        return chain.seed, type(self)(chain.next(), skipped)
