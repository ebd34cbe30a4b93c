"""Bytes and keys as Baileys writes them: one folder has up to four encodings of the same thing.

`{"type": "Buffer", "data": "<base64>"}`, a bare base64 string, `{"type": "Buffer", "data": [1]}`
and `{"0": 1}`, which is what an array of bytes becomes in JSON.
"""

import base64
import binascii
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY_BYTES = 32
DJB_TYPE = b"\x05"
_DEEPEST = 2
_URL_SAFE = str.maketrans("-_", "+/")


class Unusable(Exception):
    """A record that cannot be mapped. It is dropped and counted, never guessed."""


class Torn(Exception):
    """A file that is not whole: cut short, or written over while it was read."""


def parse(data: bytes) -> object:
    """What is in a JSON file; raises Torn."""
    try:
        return msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Torn from error


def as_bytes(value: object, depth: int = 0) -> bytes:
    """Bytes in any of the encodings; raises Unusable."""
    if isinstance(value, str):
        return _from_base64(value)
    if isinstance(value, list):
        return _from_numbers(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        if value.get("type") == "Buffer" and "data" in value:
            return as_bytes(value["data"], depth + 1)
        if value and all(isinstance(key, str) and key.isdecimal() for key in value):
            places = sorted(value, key=int)
            if [int(place) for place in places] == list(range(len(places))):
                return _from_numbers([value[place] for place in places])
    raise Unusable


def as_object(value: object) -> Mapping[str, object]:
    """A JSON object, also one that is kept as bytes of JSON; raises Unusable."""
    found = _from_json_bytes(value)
    if not isinstance(found, Mapping):
        raise Unusable
    return found


def as_list(value: object) -> list[object]:
    """A JSON list, also one that is kept as bytes of JSON; raises Unusable."""
    found = _from_json_bytes(value)
    if not isinstance(found, list):
        raise Unusable
    return found


def as_int(value: object, limit: int, *, least: int = 0) -> int:
    """A number, also one written as a string; raises Unusable unless least <= number < limit."""
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < limit:
        raise Unusable
    return value


def as_sized(value: object, size: int) -> bytes:
    """Exactly so many bytes; raises Unusable."""
    data = as_bytes(value)
    if len(data) != size:
        raise Unusable
    return data


def as_public(value: object) -> bytes:
    """A public key, 32 bytes, whether or not it comes with its type in front."""
    data = as_bytes(value)
    if len(data) == KEY_BYTES + 1 and data.startswith(DJB_TYPE):
        return data[1:]
    if len(data) != KEY_BYTES:
        raise Unusable
    return data


def as_private(private: object, public: object) -> bytes:
    """A private key, 32 bytes, that its public half belongs to; raises Unusable."""
    key = as_sized(private, KEY_BYTES)
    if public_of(key) != as_public(public):
        raise Unusable
    return key


def public_of(private: bytes) -> bytes:
    """The public half of a private key."""
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _from_base64(text: str) -> bytes:
    plain = text.rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unusable from error


def _from_numbers(numbers: list[object]) -> bytes:
    checked = [as_int(number, 256) for number in numbers]
    return bytes(checked)


def _from_json_bytes(value: object) -> object:
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and value.get("type") != "Buffer":
        return value
    try:
        return parse(as_bytes(value))
    except Torn as error:
        raise Unusable from error
