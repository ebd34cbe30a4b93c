"""The app state (contacts' names, mutes, labels): its keys, and how far it was read."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .encodings import (
    KEY_BYTES,
    Unusable,
    as_bytes,
    as_int,
    as_list,
    as_object,
    as_sized,
)

HASH_BYTES = 128
_WORDS = struct.Struct(f"<{HASH_BYTES // 2}H")
_UINT32 = 2**32
_UINT64 = 2**64
_INT64 = 2**63
_VARINT_BITS = 7
_PACKED = 0x1A  # field 3, length-delimited


@dataclass(frozen=True, slots=True)
class SyncKey:
    """A key of the app state."""

    data: bytes = field(repr=False)
    fingerprint: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far one collection was read, with what the next patch is checked against."""

    version: int
    hash: bytes
    macs: Mapping[bytes, bytes]


def convert_key(value: object) -> SyncKey:
    """Raises Unusable."""
    key = as_object(value)
    return SyncKey(
        as_bytes(key.get("keyData")),
        _fingerprint(as_object(key.get("fingerprint") or {})),
        as_int(key.get("timestamp") or 0, _INT64),
    )


def convert_position(value: object) -> Position | None:
    """None if nothing was read. Raises Unusable, also when hash and entries disagree.

    The engine would refuse the next patch of such a collection; without a position it reads the
    whole collection again.
    """
    state = as_object(value)
    version = as_int(state.get("version") or 0, _UINT64)
    if version == 0:
        return None
    macs = {
        as_sized(index, KEY_BYTES): as_sized(as_object(entry).get("valueMac"), KEY_BYTES)
        for index, entry in as_object(state.get("indexValueMap")).items()
    }
    position = Position(version, as_sized(state.get("hash"), HASH_BYTES), macs)
    if lt_hash(macs.values()) != position.hash:
        raise Unusable
    return position


def lt_hash(macs: Iterable[bytes]) -> bytes:
    """The sum that a collection with these entries has."""
    total = [0] * (HASH_BYTES // 2)
    for mac in macs:
        kdf = HKDF(hashes.SHA256(), HASH_BYTES, salt=None, info=b"WhatsApp Patch Integrity")
        words = _WORDS.unpack(kdf.derive(mac))
        total = [(a + b) & 0xFFFF for a, b in zip(total, words, strict=True)]
    return _WORDS.pack(*total)


def _fingerprint(value: Mapping[str, object]) -> bytes:
    """As protobuf, which is how the engine keeps it."""
    out = b""
    for number, name in ((1, "rawId"), (2, "currentIndex")):
        if value.get(name) is not None:
            out += _varint(number << 3) + _varint(as_int(value[name], _UINT32))
    indexes = b"".join(
        _varint(as_int(index, _UINT32)) for index in as_list(value.get("deviceIndexes") or [])
    )
    return out + (bytes([_PACKED]) + _varint(len(indexes)) + indexes if indexes else b"")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >> _VARINT_BITS:
        out.append(number & 0x7F | 0x80)
        number >>= _VARINT_BITS
    out.append(number)
    return bytes(out)
