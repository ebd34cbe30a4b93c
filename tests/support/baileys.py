"""Folders as Baileys writes them, made by hand: every kind of record, in every encoding."""

import base64
import json
import secrets
from datetime import UTC, datetime

from server.backups.imports.model import CredentialsFile
from simulator.signal import xeddsa
from tests.support.stores import public

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
USER, LID, DEVICE = "15550001111", "90000000000001", 7
PEER, PEER_LID, PEER_PN = "91111_1", "91111", "15557777777"
GROUP = "15550001111-1600000000@g.us"
OPEN = -1
SENDING, RECEIVING = 1, 2


def text64(data):
    return base64.b64encode(data).decode()


def as_buffer(data):
    return {"type": "Buffer", "data": text64(data)}


def as_numbers(data):
    return {"type": "Buffer", "data": list(data)}


def as_indexes(data):
    return {str(place): byte for place, byte in enumerate(data)}


ENCODINGS = [text64, as_buffer, as_numbers, as_indexes]


def djb(private):
    return b"\x05" + public(private)


class Identity:
    """The secrets of one paired device."""

    def __init__(self, *, hosted=False):
        self.noise, self.identity, self.signed, self.phone = (
            secrets.token_bytes(32) for _ in range(4)
        )
        self.details = secrets.token_bytes(20)
        account_prefix, device_prefix = (
            (b"\x06\x05", b"\x06\x06") if hosted else (b"\x06\x00", b"\x06\x01")
        )
        signed = self.details + public(self.identity)
        self.account_signature = xeddsa.sign(self.phone, account_prefix + signed)
        self.device_signature = xeddsa.sign(
            self.identity, device_prefix + signed + public(self.phone)
        )
        self.signed_signature = xeddsa.sign(self.identity, djb(self.signed))


def pair(private, encode=as_buffer):
    return {"private": encode(private), "public": encode(public(private))}


def creds(identity, encode=as_buffer, **changes):
    """`creds.json`; a change of None removes the field."""
    found = {
        "noiseKey": pair(identity.noise, encode),
        "signedIdentityKey": pair(identity.identity, encode),
        "signedPreKey": {
            "keyPair": pair(identity.signed, encode),
            "signature": encode(identity.signed_signature),
            "keyId": 3,
        },
        "registrationId": 1234,
        "advSecretKey": text64(b"a" * 32),
        "nextPreKeyId": 31,
        "firstUnuploadedPreKeyId": 31,
        "me": {
            "id": f"{USER}:{DEVICE}@s.whatsapp.net",
            "lid": f"{LID}:{DEVICE}@lid",
            "name": "Ann",
        },
        "account": {
            "details": text64(identity.details),
            "accountSignatureKey": text64(public(identity.phone)),
            "accountSignature": text64(identity.account_signature),
            "deviceSignature": text64(identity.device_signature),
        },
        "signalIdentities": [
            {
                "identifier": {"name": f"{LID}:{DEVICE}@lid", "deviceId": 0},
                "identifierKey": encode(djb(identity.phone)),
            }
        ],
        "platform": "android",
        "registered": False,
        "processedHistoryMessages": [],
        "accountSyncCounter": 1,
        "routingInfo": encode(b"route"),
    }
    found |= changes
    return {name: value for name, value in found.items() if value is not None}


def chain(kind, counter, key=None, skipped=()):
    position = {"counter": counter} | ({} if key is None else {"key": text64(key)})
    return {
        "chainKey": position,
        "chainType": kind,
        "messageKeys": {str(number): text64(seed) for number, seed in skipped},
    }


def entry(*, closed=OPEN, used=1, pending=None, chains=None, our_key=None, last=None, **changes):
    """One session with a peer, as libsignal-node keeps it."""
    ours = our_key or secrets.token_bytes(32)
    remote = last or djb(secrets.token_bytes(32))
    found = {
        "registrationId": 77,
        "currentRatchet": {
            "ephemeralKeyPair": {"pubKey": text64(djb(ours)), "privKey": text64(ours)},
            "lastRemoteEphemeralKey": text64(remote),
            "previousCounter": 2,
            "rootKey": text64(secrets.token_bytes(32)),
        },
        "indexInfo": {
            "baseKey": text64(djb(secrets.token_bytes(32))),
            "baseKeyType": 1,
            "closed": closed,
            "used": used,
            "created": 1,
            "remoteIdentityKey": text64(djb(b"p" * 32)),
        },
        "_chains": {text64(djb(ours)): chain(SENDING, 4, b"s" * 32)}
        | (chains if chains is not None else {text64(remote): chain(RECEIVING, 6, b"r" * 32)}),
    }
    if pending is not None:
        found["pendingPreKey"] = pending
    return found | changes


def session(*entries):
    made = entries or (entry(),)
    return {"_sessions": {one["indexInfo"]["baseKey"]: one for one in made}, "version": "v1"}


def sender_key(*states, encode=as_numbers):
    """A record is kept as the bytes of its JSON."""
    return as_buffer(json.dumps([one or sender_state(encode=encode) for one in states]).encode())


def sender_state(number=5, iteration=3, *, private=None, skipped=(), encode=as_numbers):
    signing = {"public": encode(djb(private or b"g" * 32))}
    signing["private"] = encode(private) if private else {"type": "Buffer", "data": []}
    return {
        "senderKeyId": number,
        "senderChainKey": {"iteration": iteration, "seed": encode(b"c" * 32)},
        "senderSigningKey": signing,
        "senderMessageKeys": [
            {"iteration": place, "seed": encode(seed)} for place, seed in skipped
        ],
    }


def folder(identity=None, encode=as_buffer, **changes):
    """Everything a Baileys folder holds, by name; `changes` are of `creds.json`."""
    identity = identity or Identity()
    prekeys = {
        f"pre-key-{number}.json": pair(secrets.token_bytes(32), encode) for number in range(1, 31)
    }
    return {
        "creds.json": creds(identity, encode, **changes),
        **prekeys,
        f"session-{PEER}.0.json": session(),
        f"session-{LID}_1.0.json": session(),
        "session-15559999999.3.json": session(),
        f"identity-key-{PEER}.0.json": encode(djb(b"p" * 32)),
        f"sender-key-{GROUP}--{PEER}--0.json": sender_key(None),
        f"sender-key-{GROUP}--{LID}_1--{DEVICE}.json": sender_key(
            sender_state(private=b"k" * 32, encode=encode)
        ),
        "sender-key-memory-x.json": {"a": True},
        f"device-list-{USER}.json": ["0", "7"],
        f"lid-mapping-{PEER_PN}.json": PEER_LID,
        f"lid-mapping-{PEER_LID}_reverse.json": PEER_PN,
        f"tctoken-{PEER_LID}@lid.json": {"token": encode(b"token"), "timestamp": "1790000000"},
        "tctoken-__index.json": {"token": encode(b'["x"]')},
        "app-state-sync-key-AAAA__+8=.json": {
            "keyData": text64(b"d" * 32),
            "fingerprint": {"rawId": 300, "currentIndex": 1, "deviceIndexes": [0, 1]},
            "timestamp": "1790000000123",
        },
    }


def written(name, value, time=NOW):
    """A file; `value` may be bytes, for what no program would write."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return CredentialsFile(name=name, data=data, modify_time=time)


def files(content, time=NOW):
    return [written(name, value, time) for name, value in content.items()]
