"""Sender keys: one chain per device and group, handed to every member through its session.

Source: libsignal's SenderKeyMessage and SenderKeyDistributionMessage (wire.proto).
"""

import secrets
from dataclasses import dataclass, field
from typing import Self

from . import cbc, fields, xeddsa
from .chain import ChainKey, ReadingChain
from .errors import BadSignature, NoSenderKey
from .kdf import hkdf
from .keys import KEY_TYPE, KeyPair
from .messages import VERSION, after_version, public_key

MAX_STATES = 5

_MAX_ID = 2**31


@dataclass
class SenderKey:
    """The chain this device writes to one group with."""

    id: int
    chain: ChainKey
    signing: KeyPair

    @classmethod
    def generate(cls) -> Self:
        """Return a fresh chain."""
        return cls(
            secrets.randbelow(_MAX_ID), ChainKey(secrets.token_bytes(32)), KeyPair.generate()
        )

    def distribution(self) -> bytes:
        """Return the message that lets a member read from the next text on."""
        return VERSION + fields.encode(
            [
                (1, self.id),
                (2, self.chain.index),
                (3, self.chain.key),
                (4, KEY_TYPE + self.signing.public),
            ]
        )

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the next text for the group."""
        key, iv = _message_keys(self.chain.seed)
        ciphertext = cbc.encrypt(key, iv, plaintext)
        message = VERSION + fields.encode([(1, self.id), (2, self.chain.index), (3, ciphertext)])
        self.chain = self.chain.next()
        return message + self.signing.sign(message)


@dataclass
class ForeignChain:
    """One chain of another device, as far as it was read."""

    id: int
    signing_key: bytes
    reading: ReadingChain


@dataclass
class ForeignSenderKey:
    """The chains another device has written to one group with, the newest first."""

    chains: list[ForeignChain] = field(default_factory=list)

    def learn(self, distribution: bytes) -> None:
        """Take a distribution message; a chain that is known already keeps its place.

        Raises:
            MalformedMessage: It is not one.
        """
        found = fields.decode(after_version(distribution))
        chain = ForeignChain(
            id=fields.number(found, 1, 0),
            signing_key=public_key(found, 4),
            reading=ReadingChain(ChainKey(fields.octets(found, 3, 32), fields.number(found, 2, 0))),
        )
        for known in self.chains:
            if (known.id, known.signing_key) == (chain.id, chain.signing_key):
                chain = known
        self.chains = [chain, *(other for other in self.chains if other.id != chain.id)]
        del self.chains[MAX_STATES:]

    def decrypt(self, data: bytes) -> bytes:
        """Return the plaintext of a group text; change nothing if it cannot be read.

        Raises:
            NoSenderKey: Its chain is not known.
            BadSignature: It is not signed by its chain's key.
            OldCounter: Its key was used already.
            TooFarAhead: Too many texts before it are missing.
            MalformedMessage: It is not a group text.
        """
        signed = data[: -xeddsa.SIGNATURE_BYTES]
        found = fields.decode(after_version(signed))
        number = fields.number(found, 1, 0)
        chain = next((chain for chain in self.chains if chain.id == number), None)
        if chain is None:
            raise NoSenderKey("no such sender key")
        if not xeddsa.verify(chain.signing_key, signed, data[len(signed) :]):
            raise BadSignature("the group text is not signed by its sender key")
        seed, reading = chain.reading.at(fields.number(found, 2, 0))
        key, iv = _message_keys(seed)
        plaintext = cbc.decrypt(key, iv, fields.octets(found, 3))
        chain.reading = reading
        return plaintext


def _message_keys(seed: bytes) -> tuple[bytes, bytes]:
    out = hkdf(seed, info=b"WhisperGroup", size=48)
    return out[16:], out[:16]
