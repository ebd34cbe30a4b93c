"""Sessions between two devices: X3DH to start one, the Double Ratchet to keep it.

Source: https://signal.org/docs/specifications/x3dh/ and .../doubleratchet/ ; the labels and the
order of keys are those of libsignal's version 3.
"""

from dataclasses import dataclass, field
from typing import Self

from . import cbc
from .chain import ChainKey, ReadingChain
from .errors import BadMac, Duplicate, OldCounter, SignalError
from .kdf import hkdf
from .keys import KeyPair, PreKeyBundle
from .messages import Ciphertext, PreKeySignalMessage, SignalMessage

MAX_RECEIVER_CHAINS = 5
MAX_STATES = 41
MAX_REMEMBERED = 512
"""How many of the last messages are told from others when they come again."""

_DISCONTINUITY = b"\xff" * 32
_KEY_BYTES = 32


@dataclass(frozen=True)
class MessageKeys:
    """What one message is encrypted and authenticated with."""

    cipher: bytes = field(repr=False)
    mac: bytes = field(repr=False)
    iv: bytes = field(repr=False)

    @classmethod
    def of(cls, seed: bytes) -> Self:
        """Derive the keys from a chain's seed."""
        out = hkdf(seed, info=b"WhisperMessageKeys", size=80)
        return cls(cipher=out[:32], mac=out[32:64], iv=out[64:])


@dataclass(frozen=True)
class Pending:
    """What the first messages of a session repeat until the other side has answered."""

    registration_id: int
    prekey_id: int | None
    signed_prekey_id: int


@dataclass(frozen=True)
class Step:
    """A state after the other side's ratchet key changed: new root, new chains both ways."""

    root_key: bytes = field(repr=False)
    reading: ReadingChain
    ratchet: KeyPair
    sending: ChainKey


@dataclass
class SessionState:
    """One session with one device. Keys are public ones where nothing else is said."""

    local_identity: bytes
    remote_identity: bytes
    base_key: bytes
    root_key: bytes = field(repr=False)
    ratchet: KeyPair
    sending: ChainKey
    pending: Pending | None = None
    previous_counter: int = 0
    reading: dict[bytes, ReadingChain] = field(default_factory=dict)

    @classmethod
    def initiate(cls, identity: KeyPair, registration_id: int, bundle: PreKeyBundle) -> Self:
        """Start a session with the device a bundle is of.

        Raises:
            BadSignature: The bundle's signed prekey is not of its identity.
        """
        bundle.check()
        base = KeyPair.generate()
        secret = _DISCONTINUITY + identity.agree(bundle.signed_prekey)
        secret += base.agree(bundle.identity_key) + base.agree(bundle.signed_prekey)
        if bundle.prekey is not None:
            secret += base.agree(bundle.prekey)
        root, chain = _derive(secret, None, b"WhisperText")
        ratchet = KeyPair.generate()
        root_key, sending = _derive(ratchet.agree(bundle.signed_prekey), root, b"WhisperRatchet")
        return cls(
            local_identity=identity.public,
            remote_identity=bundle.identity_key,
            base_key=base.public,
            root_key=root_key,
            ratchet=ratchet,
            sending=ChainKey(sending),
            pending=Pending(registration_id, bundle.prekey_id, bundle.signed_prekey_id),
            reading={bundle.signed_prekey: ReadingChain(ChainKey(chain))},
        )

    @classmethod
    def accept(
        cls,
        identity: KeyPair,
        signed_prekey: KeyPair,
        prekey: KeyPair | None,
        message: PreKeySignalMessage,
    ) -> Self:
        """Start the session another device initiated with our bundle."""
        secret = _DISCONTINUITY + signed_prekey.agree(message.identity_key)
        secret += identity.agree(message.base_key) + signed_prekey.agree(message.base_key)
        if prekey is not None:
            secret += prekey.agree(message.base_key)
        root, chain = _derive(secret, None, b"WhisperText")
        return cls(
            local_identity=identity.public,
            remote_identity=message.identity_key,
            base_key=message.base_key,
            root_key=root,
            ratchet=signed_prekey,
            sending=ChainKey(chain),
        )

    def encrypt(self, plaintext: bytes) -> Ciphertext:
        """Return the next message, a `pkmsg` until the other side has answered."""
        keys = MessageKeys.of(self.sending.seed)
        message = SignalMessage.make(
            ratchet_key=self.ratchet.public,
            counter=self.sending.index,
            previous_counter=self.previous_counter,
            ciphertext=cbc.encrypt(keys.cipher, keys.iv, plaintext),
            mac_key=keys.mac,
            sender=self.local_identity,
            receiver=self.remote_identity,
        )
        self.sending = self.sending.next()
        if self.pending is None:
            return Ciphertext("msg", message.encode())
        first = PreKeySignalMessage(
            registration_id=self.pending.registration_id,
            prekey_id=self.pending.prekey_id,
            signed_prekey_id=self.pending.signed_prekey_id,
            base_key=self.base_key,
            identity_key=self.local_identity,
            message=message,
        )
        return Ciphertext("pkmsg", first.encode())

    def decrypt(self, message: SignalMessage) -> bytes:
        """Return the plaintext of a message of this session; change nothing if it is not one.

        Raises:
            BadMac: It is not of this session.
            OldCounter: Its key was used already.
            TooFarAhead: Too many messages before it are missing.
        """
        known = self.reading.get(message.ratchet_key)
        step = None if known is not None else self._step(message.ratchet_key)
        reading = step.reading if step is not None else known
        assert reading is not None
        seed, reading = reading.at(message.counter)
        keys = MessageKeys.of(seed)
        if not message.fits(keys.mac, sender=self.remote_identity, receiver=self.local_identity):
            raise BadMac("the MAC does not fit")
        plaintext = cbc.decrypt(keys.cipher, keys.iv, message.ciphertext)
        if step is not None:
            self.previous_counter = max(self.sending.index - 1, 0)
            self.root_key, self.ratchet, self.sending = step.root_key, step.ratchet, step.sending
        self.reading[message.ratchet_key] = reading
        while len(self.reading) > MAX_RECEIVER_CHAINS:
            del self.reading[next(iter(self.reading))]
        self.pending = None
        return plaintext

    def _step(self, their_key: bytes) -> Step:
        root, chain = _derive(self.ratchet.agree(their_key), self.root_key, b"WhisperRatchet")
        ratchet = KeyPair.generate()
        root_key, sending = _derive(ratchet.agree(their_key), root, b"WhisperRatchet")
        return Step(root_key, ReadingChain(ChainKey(chain)), ratchet, ChainKey(sending))


@dataclass
class Session:
    """All sessions ever held with one device, the one in use first.

    Older ones still read: both sides may have started one at the same time.
    """

    states: list[SessionState] = field(default_factory=list)
    read: list[bytes] = field(default_factory=list, repr=False)

    def begin(self, state: SessionState) -> None:
        """Use a new session from now on."""
        self.states.insert(0, state)
        del self.states[MAX_STATES:]

    def has(self, base_key: bytes) -> bool:
        """Tell whether a session was started with that base key."""
        return any(state.base_key == base_key for state in self.states)

    def decrypt(self, message: SignalMessage) -> bytes:
        """Return the plaintext, by whichever session fits; that one is used from now on.

        Raises:
            BadMac: No session fits.
            Duplicate: This very message was read before.
            OldCounter: Another message with its counter was read before.
            TooFarAhead: Too many messages before it are missing.
        """
        failure: SignalError = BadMac("no session fits")
        for index, state in enumerate(self.states):
            try:
                plaintext = state.decrypt(message)
            except OldCounter as exc:
                if message.mac in self.read:
                    raise Duplicate("this message was read before") from exc
                raise
            except SignalError as exc:
                failure = failure if message.ratchet_key not in state.reading else exc
            else:
                self.states.insert(0, self.states.pop(index))
                self._remember(message.mac)
                return plaintext
        raise failure

    def _remember(self, mac: bytes) -> None:
        self.read.append(mac)
        if len(self.read) > MAX_REMEMBERED:
            del self.read[: MAX_REMEMBERED // 2]


def _derive(secret: bytes, salt: bytes | None, info: bytes) -> tuple[bytes, bytes]:
    out = hkdf(secret, salt=salt or b"", info=info, size=2 * _KEY_BYTES)
    return out[:_KEY_BYTES], out[_KEY_BYTES:]
