"""Frames: three bytes of length, then that many bytes."""

from collections.abc import Iterator

_LENGTH_BYTES = 3


def frame(data: bytes) -> bytes:
    """One frame around `data`; send each in a websocket message of its own."""
    return len(data).to_bytes(_LENGTH_BYTES) + data


class FrameReader:
    """Cuts received bytes into frames, wherever the messages were split."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(buffer[:_LENGTH_BYTES])
            if len(buffer) < end:
                return
            found = bytes(buffer[_LENGTH_BYTES:end])
            del buffer[:end]
            yield found
