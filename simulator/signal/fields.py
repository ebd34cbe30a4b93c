"""The part of the protobuf encoding that Signal's messages need: varint and bytes fields.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterable, Mapping

from .errors import MalformedMessage

_VARINT = 0
_FIXED64 = 1
_BYTES = 2
_FIXED32 = 5
_MAX_VARINT_BYTES = 10
_LOW_BITS = 0x7F

Value = int | bytes


def encode(fields: Iterable[tuple[int, Value | None]]) -> bytes:
    """Return the encoding of numbered fields, in their order; None is left out, 0 is not."""
    out = bytearray()
    for number, value in fields:
        if value is None:
            continue
        if isinstance(value, bytes):
            out += _varint(number << 3 | _BYTES) + _varint(len(value)) + value
        else:
            out += _varint(number << 3 | _VARINT) + _varint(value)
    return bytes(out)


def decode(data: bytes) -> dict[int, Value]:
    """Return the fields of an encoding; of a repeated field the last.

    Raises:
        MalformedMessage: The bytes do not end where a field ends.
    """
    fields: dict[int, Value] = {}
    offset = 0
    while offset < len(data):
        tag, offset = _read_varint(data, offset)
        kind = tag & 7
        if kind == _VARINT:
            fields[tag >> 3], offset = _read_varint(data, offset)
            continue
        if kind == _BYTES:
            size, offset = _read_varint(data, offset)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise MalformedMessage("unknown field type")
        if offset + size > len(data):
            raise MalformedMessage("a field is cut off")
        fields[tag >> 3] = data[offset : offset + size]
        offset += size
    return fields


def number(fields: Mapping[int, Value], key: int, default: int | None = None) -> int:
    """Return a field that must be a number, or the default where one is given."""
    value = fields.get(key, default)
    if not isinstance(value, int):
        raise MalformedMessage(f"field {key} is not a number")
    return value


def octets(fields: Mapping[int, Value], key: int, size: int | None = None) -> bytes:
    """Return a field that must be bytes, of that size where one is given."""
    value = fields.get(key)
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise MalformedMessage(f"field {key} is not a byte string of the right size")
    return value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > _LOW_BITS:
        out.append(value & _LOW_BITS | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[offset : offset + _MAX_VARINT_BYTES]:
        offset += 1
        value |= (byte & _LOW_BITS) << shift
        if not byte & 0x80:
            return value, offset
        shift += 7
    raise MalformedMessage("a number is cut off")
