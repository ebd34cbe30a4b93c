"""Signal sessions, from libsignal-node's JSON to the engine's.

Both keep the same Double Ratchet and differ in details: libsignal-node counts a chain by the last
message, the engine by the next one; it keeps the seed of a skipped message where the engine keeps
the keys made of it; and it tells sessions apart by flags where the engine has one current session
and a list of those before it.

Sources: https://github.com/WhiskeySockets/libsignal-node (session_record.js),
https://github.com/tulir/libsignal-protocol-go (state/record).
"""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .encodings import (
    DJB_TYPE,
    KEY_BYTES,
    Unusable,
    as_int,
    as_object,
    as_private,
    as_public,
    as_sized,
)

VERSION = 3
MOST_CHAINS = 5
MOST_PREVIOUS = 40
_OPEN = -1
_SENDING = 1
UINT32 = 2**32
_CLOCK = 2**53
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Session:
    """A converted session record. `lost` archived sessions in it could not be mapped."""

    data: bytes = field(repr=False)
    identity: bytes = field(repr=False)
    lost: int


def convert_session(value: object, *, identity: bytes, registration_id: int) -> Session:
    """A session record as the engine keeps it.

    Args:
        value: libsignal-node's record.
        identity: Our public identity key.
        registration_id: Ours.

    Raises:
        Unusable: there is no open session in it, or the open one cannot be mapped.
    """
    record = as_object(value)
    entries = [as_object(entry) for entry in as_object(record.get("_sessions")).values()]
    entries.sort(key=_last_used, reverse=True)
    opened = [entry for entry in entries if _closed(entry) == _OPEN]
    if not opened:
        raise Unusable
    own = {
        "LocalIdentityPublic": base64_of(DJB_TYPE + identity),
        "LocalRegistrationID": registration_id,
    }
    fallback = record.get("registrationId")  # where the first versions kept it
    current = _state(opened[0], fallback) | own
    previous, lost = [], 0
    for entry in entries:
        if entry is not opened[0]:
            try:
                previous.append(_state(entry, fallback) | own)
            except Unusable:
                lost += 1
    structure = {"SessionState": current, "PreviousStates": previous[:MOST_PREVIOUS]}
    index = as_object(opened[0].get("indexInfo"))
    return Session(_encode(structure), as_public(index.get("remoteIdentityKey")), lost)


def _state(entry: Mapping[str, object], fallback: object) -> dict[str, object]:
    ratchet, index = as_object(entry.get("currentRatchet")), as_object(entry.get("indexInfo"))
    pair = as_object(ratchet.get("ephemeralKeyPair"))
    private = as_private(pair.get("privKey"), pair.get("pubKey"))
    ours, last = as_public(pair.get("pubKey")), as_public(ratchet.get("lastRemoteEphemeralKey"))
    chains = {
        as_public(key): as_object(chain) for key, chain in as_object(entry.get("_chains")).items()
    }
    sending = chains.pop(ours, None)
    if sending is None or sending.get("chainType") != _SENDING:
        raise Unusable
    theirs = {
        key: _chain(key, chain)
        for key, chain in chains.items()
        if chain.get("chainType") != _SENDING
    }
    # The engine forgets the first when it learns a new one: the one in use comes last.
    order = [key for key in theirs if key != last][-MOST_CHAINS:] + [last] * (last in theirs)
    number = entry.get("registrationId", fallback)
    return {
        "NeedsRefresh": False,
        "PendingKeyExchange": None,
        "PendingPreKey": _pending(entry.get("pendingPreKey")),
        "PreviousCounter": max(as_int(ratchet.get("previousCounter"), UINT32, least=-1), 0),
        "ReceiverChains": [theirs[key] for key in order[-MOST_CHAINS:]],
        "RemoteIdentityPublic": base64_of(DJB_TYPE + as_public(index.get("remoteIdentityKey"))),
        "RemoteRegistrationID": as_int(number or 0, UINT32),
        "RootKey": base64_of(as_sized(ratchet.get("rootKey"), KEY_BYTES)),
        "SenderBaseKey": base64_of(DJB_TYPE + as_public(index.get("baseKey"))),
        "SenderChain": _chain(ours, sending, private),
        "SessionVersion": VERSION,
    }


def _chain(
    public: bytes, chain: Mapping[str, object], private: bytes | None = None
) -> dict[str, object]:
    position = as_object(chain.get("chainKey"))
    key = position.get("key")
    if key is None and private is not None:
        raise Unusable
    # A closed chain has no key: only its skipped messages can still be read.
    data = secrets.token_bytes(KEY_BYTES) if key is None else as_sized(key, KEY_BYTES)
    skipped = as_object(chain.get("messageKeys") or {})
    return {
        "SenderRatchetKeyPublic": base64_of(DJB_TYPE + public),
        "SenderRatchetKeyPrivate": None if private is None else base64_of(private),
        "ChainKey": {
            "Key": base64_of(data),
            "Index": as_int(position.get("counter"), UINT32 - 1, least=-1) + 1,
        },
        "MessageKeys": [_message_key(number, seed) for number, seed in skipped.items()],
    }


def _message_key(number: str, seed: object) -> dict[str, object]:
    keys = derive(as_sized(seed, KEY_BYTES), b"WhisperMessageKeys", 80)
    return {
        "CipherKey": base64_of(keys[:32]),
        "MacKey": base64_of(keys[32:64]),
        "IV": base64_of(keys[64:]),
        "Index": as_int(number, UINT32),
    }


def _pending(value: object) -> dict[str, object] | None:
    if value is None:
        return None
    pending = as_object(value)
    prekey = pending.get("preKeyId")
    return {
        "PreKeyID": {
            "Value": 0 if prekey is None else as_int(prekey, UINT32),
            "IsEmpty": prekey is None,
        },
        "SignedPreKeyID": as_int(pending.get("signedKeyId"), UINT32),
        "BaseKey": base64_of(DJB_TYPE + as_public(pending.get("baseKey"))),
    }


def _closed(entry: Mapping[str, object]) -> int:
    return as_int(as_object(entry.get("indexInfo")).get("closed"), _CLOCK, least=_OPEN)


def _last_used(entry: Mapping[str, object]) -> int:
    return as_int(as_object(entry.get("indexInfo")).get("used") or 0, _CLOCK)


def derive(seed: bytes, info: bytes, size: int) -> bytes:
    """The keys of a message, from its seed."""
    return HKDF(hashes.SHA256(), size, salt=None, info=info).derive(seed)


def base64_of(data: bytes) -> str:
    """As the engine's JSON has bytes."""
    return base64.b64encode(data).decode()
