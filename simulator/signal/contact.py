"""One device that is not under test: its keys, and its sessions with other devices."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from . import padding
from .errors import NoPreKey, NoSenderKey, NoSession
from .keys import MAX_PREKEY_ID, KeyPair, PreKey, PreKeyBundle, SignedPreKey
from .messages import Ciphertext, PreKeySignalMessage, SignalMessage, Type
from .sender_key import ForeignSenderKey, SenderKey
from .session import Session, SessionState

Address = str
"""How a device is called by those who talk to it, for instance `123456789_1:5`."""

Group = str
"""How a group is called, for instance `120363000000000001@g.us`."""

_MAX_REGISTRATION_ID = 16380


@dataclass
class Contact:
    """A device with keys and sessions of its own: a scripted contact, or the account's phone.

    It encrypts and decrypts and keeps what that changes; it knows nothing of stanzas. Addresses
    are the caller's business as long as one device always has the same.
    """

    identity: KeyPair
    registration_id: int
    signed_prekey: SignedPreKey
    device: int = 0
    prekeys: dict[int, PreKey] = field(default_factory=dict)
    next_prekey_id: int = 1
    sessions: dict[Address, Session] = field(default_factory=dict)
    identities: dict[Address, bytes] = field(default_factory=dict)
    identity_changes: list[Address] = field(default_factory=list)
    """Devices whose identity key became another: their users see "security code changed"."""
    sender_keys: dict[Group, SenderKey] = field(default_factory=dict)
    sender_key_holders: dict[Group, set[Address]] = field(default_factory=dict)
    """Devices that this device's sender keys were handed out to."""
    foreign_sender_keys: dict[Group, dict[Address, ForeignSenderKey]] = field(default_factory=dict)

    @classmethod
    def create(cls, *, device: int = 0, identity: KeyPair | None = None) -> Self:
        """Return a new device; give an identity where the account has one already."""
        identity = identity or KeyPair.generate()
        return cls(
            identity=identity,
            registration_id=secrets.randbelow(_MAX_REGISTRATION_ID) + 1,
            signed_prekey=SignedPreKey.generate(1, identity),
            device=device,
        )

    def bundle(self, *, one_time: bool = True) -> PreKeyBundle:
        """Return what another device needs to start a session, with a one-time key of its own.

        Also what a retry receipt carries as `keys`.
        """
        prekey = self._new_prekey() if one_time else None
        return PreKeyBundle(
            registration_id=self.registration_id,
            identity_key=self.identity.public,
            signed_prekey_id=self.signed_prekey.id,
            signed_prekey=self.signed_prekey.pair.public,
            signed_prekey_signature=self.signed_prekey.signature,
            prekey_id=prekey.id if prekey else None,
            prekey=prekey.pair.public if prekey else None,
        )

    def has_session(self, peer: Address) -> bool:
        """Tell whether a text to that device needs no bundle."""
        return peer in self.sessions

    def forget(self, peer: Address) -> None:
        """Lose the sessions with a device, as a reinstalled client has."""
        self.sessions.pop(peer, None)

    def encrypt(self, peer: Address, bundle: PreKeyBundle | None, plaintext: bytes) -> Ciphertext:
        """Encrypt a serialized message for one device.

        Args:
            peer: The device.
            bundle: Starts a fresh session, the answer to a retry receipt with keys; None goes on
                with the one there is.
            plaintext: Without padding.

        Raises:
            NoSession: There is none, and no bundle to start one from.
            BadSignature: The bundle is not signed by its identity.
        """
        if bundle is not None:
            state = SessionState.initiate(self.identity, self.registration_id, bundle)
            self._trust(peer, bundle.identity_key)
            self.sessions.setdefault(peer, Session()).begin(state)
        return self._session(peer).states[0].encrypt(padding.pad(plaintext))

    def decrypt(self, peer: Address, type_: Type, data: bytes) -> bytes:
        """Decrypt what one device sent, and return it without padding.

        A message that cannot be read changes nothing.

        Raises:
            NoSession: A `msg` of a device no session exists with.
            NoPreKey: A `pkmsg` for a prekey that is not there.
            BadMac: No session with the device fits: ask it to retry.
            Duplicate: This very message was read before.
            OldCounter: Another message with this counter was read before; a WhatsApp client
                throws such a text away and acknowledges it.
            TooFarAhead: Too many messages before it are missing.
            MalformedMessage: It is not a message.
        """
        if type_ == "pkmsg":
            return padding.unpad(self._decrypt_first(peer, PreKeySignalMessage.decode(data)))
        return padding.unpad(self._session(peer).decrypt(SignalMessage.decode(data)))

    def sender_key(self, group: Group) -> bytes:
        """Return the distribution message of this device's sender key of a group.

        Every member device gets it inside a message of its session, before the first group text.
        """
        return self.sender_keys.setdefault(group, SenderKey.generate()).distribution()

    def hand_out_sender_key(self, group: Group, members: Collection[Address]) -> set[Address]:
        """Tell which member devices must get the distribution message, and count them as holders.

        A holder that is no member any more makes it a new key, which all must get.
        """
        holders = self.sender_key_holders.get(group, set())
        if not holders <= set(members):
            self.drop_sender_key(group)
            holders = set()
        self.sender_key_holders[group] = set(members)
        return set(members) - holders

    def drop_sender_key(self, group: Group) -> None:
        """Begin a new sender key with the next text, as is due when a member has left."""
        self.sender_keys.pop(group, None)
        self.sender_key_holders.pop(group, None)

    def learn_sender_key(self, group: Group, peer: Address, distribution: bytes) -> None:
        """Take the sender key another device handed out for a group.

        Raises:
            MalformedMessage: It is not a distribution message.
        """
        keys = self.foreign_sender_keys.setdefault(group, {})
        keys.setdefault(peer, ForeignSenderKey()).learn(distribution)

    def encrypt_for_group(self, group: Group, plaintext: bytes) -> Ciphertext:
        """Encrypt a serialized message once for all who have this device's sender key.

        Raises:
            NoSenderKey: It was never handed out: call `sender_key` first.
        """
        key = self.sender_keys.get(group)
        if key is None:
            raise NoSenderKey("nobody could read this: no sender key was handed out")
        return Ciphertext("skmsg", key.encrypt(padding.pad(plaintext)))

    def decrypt_from_group(self, group: Group, peer: Address, data: bytes) -> bytes:
        """Decrypt a group text (`skmsg`) of one device, and return it without padding.

        Raises:
            NoSenderKey: The device's sender key never came.
            BadSignature: The text is not signed by it.
            OldCounter: A text with this number was read before.
            TooFarAhead: Too many texts before it are missing.
            MalformedMessage: It is not a group text.
        """
        keys = self.foreign_sender_keys.get(group, {}).get(peer)
        if keys is None:
            raise NoSenderKey("no sender key of that device")
        return padding.unpad(keys.decrypt(data))

    def to_dict(self) -> dict[str, Any]:
        """Return everything, secrets too, in JSON's types."""
        state: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Return the device that `to_dict` was called on."""
        return msgspec.convert(state, cls, str_keys=True)

    def _session(self, peer: Address) -> Session:
        session = self.sessions.get(peer)
        if session is None:
            raise NoSession("no session with that device")
        return session

    def _decrypt_first(self, peer: Address, message: PreKeySignalMessage) -> bytes:
        session = self.sessions.get(peer)
        if session is not None and session.has(message.base_key):
            return session.decrypt(message.message)
        fresh = Session()
        fresh.begin(self._accept(message))
        plaintext = fresh.decrypt(message.message)
        session = self.sessions.setdefault(peer, Session())
        session.begin(fresh.states[0])
        session.read += fresh.read
        if message.prekey_id is not None:
            del self.prekeys[message.prekey_id]
        self._trust(peer, message.identity_key)
        return plaintext

    def _accept(self, message: PreKeySignalMessage) -> SessionState:
        if message.signed_prekey_id != self.signed_prekey.id:
            raise NoPreKey("no such signed prekey")
        prekey = None
        if message.prekey_id is not None:
            found = self.prekeys.get(message.prekey_id)
            if found is None:
                raise NoPreKey("no such one-time prekey")
            prekey = found.pair
        return SessionState.accept(self.identity, self.signed_prekey.pair, prekey, message)

    def _trust(self, peer: Address, identity_key: bytes) -> None:
        if self.identities.setdefault(peer, identity_key) != identity_key:
            self.identities[peer] = identity_key
            self.identity_changes.append(peer)

    def _new_prekey(self) -> PreKey:
        prekey = PreKey(self.next_prekey_id, KeyPair.generate())
        self.prekeys[prekey.id] = prekey
        self.next_prekey_id = prekey.id % MAX_PREKEY_ID + 1
        return prekey
