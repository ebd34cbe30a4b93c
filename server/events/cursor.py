"""Cursors: opaque places in the log that a client keeps and hands back."""

import base64
import binascii
import hashlib
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from server.core.errors import FieldInvalid

VERSION = 1
TOKEN_BYTES = 8
_BODY = struct.Struct(f">BB{TOKEN_BYTES}sQ")
_CHECK_BYTES = 4
_IN_SNAPSHOT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Everything up to `position` has been handled.

    `token` names the log epoch in which the position was given out. `in_snapshot`: the snapshot
    at this position was not complete; resuming starts it over.
    """

    token: bytes
    position: int
    in_snapshot: bool = False


def format_cursor(cursor: Cursor) -> str:
    """As text, safe in URLs."""
    flags = _IN_SNAPSHOT if cursor.in_snapshot else 0
    body = _BODY.pack(VERSION, flags, cursor.token, cursor.position)
    return base64.urlsafe_b64encode(body + _check(body)).rstrip(b"=").decode("ascii")


def parse_cursor(text: str, field: str = "after_cursor") -> Cursor:
    """Reads what `format_cursor` wrote; raises FieldInvalid for anything else."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        body, check = data[: _BODY.size], data[_BODY.size :]
        version, flags, token, position = _BODY.unpack(body)
    except (ValueError, binascii.Error, struct.error):
        raise FieldInvalid(field=field, problem="not a cursor of this API") from None
    cursor = Cursor(token=token, position=position, in_snapshot=flags == _IN_SNAPSHOT)
    if version != VERSION or check != _check(body) or format_cursor(cursor) != text:
        raise FieldInvalid(field=field, problem="not a cursor of this API")
    return cursor


def _check(body: bytes) -> bytes:
    """Finds out mistakes, not attacks: a cursor gives no rights."""
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, person=b"roost cursor").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One run of a server: it wrote the positions after `base`."""

    token: bytes
    base: int


class Epochs:
    """Tells whether a position is from this log's history.

    Every server start begins an epoch with a random token. When the database is put back to an
    older state, positions are given out a second time, but not in the same epoch: a cursor from
    the lost time names an epoch that is unknown, or a position beyond that epoch's end.
    """

    def __init__(self, epochs: Sequence[Epoch]) -> None:
        self._epochs = list(epochs)

    def cursor(self, position: int, *, in_snapshot: bool = False) -> Cursor:
        """The cursor for a position of this log."""
        index = bisect_right(self._epochs, position, key=lambda epoch: epoch.base) - 1
        token = self._epochs[max(index, 0)].token
        return Cursor(token=token, position=position, in_snapshot=in_snapshot)

    def know(self, cursor: Cursor, head: int) -> bool:
        """Whether the cursor was given out by this log, whose last position is `head`."""
        ends = [epoch.base for epoch in self._epochs[1:]] + [head]
        return any(
            epoch.token == cursor.token and epoch.base <= cursor.position <= end
            for epoch, end in zip(self._epochs, ends, strict=True)
        )
