"""Frames on a stream: four bytes of length, big-endian, then a protobuf message.

Used at both ends, so nothing here may import asyncio or anything else that a host does without.
"""

import struct
from collections.abc import Iterator
from typing import Final

from google.protobuf.message import Message

LENGTH: Final = struct.Struct(">I")
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024


class FrameCorrupt(Exception):
    """The stream does not consist of frames (any more)."""


def pack(message: Message) -> bytes:
    """One frame."""
    body = message.SerializeToString()
    return LENGTH.pack(len(body)) + body


class FrameReader:
    """Cuts a stream into frames, whatever the pieces it arrives in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Takes a piece of the stream; gives the bodies of the frames that are now whole.

        Raises FrameCorrupt when a length is beyond reason.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= LENGTH.size:
                (size,) = LENGTH.unpack_from(self._buffer, start)
                if size > MAX_FRAME_BYTES:
                    raise FrameCorrupt
                end = start + LENGTH.size + size
                if len(self._buffer) < end:
                    break
                body = bytes(self._buffer[start + LENGTH.size : end])
                start = end
                yield body
        finally:
            del self._buffer[:start]
