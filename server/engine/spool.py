"""What a host has received and the server has not yet recorded: an append-only file of events.

WhatsApp deletes a message once the engine has acknowledged it, and the engine does that before
Python sees the message. From then on the spool is the only place that knows it, until the server
has committed it to its log and acknowledged the position.

**Layout.** `spool_dir` holds segments named by the position of their first record, 20 digits. A
record is `length, crc32 of position and body, body`; positions are not written, they count up
from the segment's name. The CRC covers the position, so a record can never pass for another one.

**Crashes.** Each record is one `write()`. That is enough to survive the death of any process, also
by SIGKILL: the page cache belongs to the kernel. There is no fsync: a machine that loses power
loses what the engine held in memory anyway, and 0.4-10 ms per message would buy only the few
milliseconds until the server's own commit. A torn record can only be the last one; it was never
handed over, so it is cut off when the spool is opened.

**Positions** grow by one and are never reused: they go on after the last record, or after
`acked` if the server knows more (the spool of a lost disk, a restored database). An empty segment
at the next position stays behind when everything is acknowledged, so that the count survives.

Appended by one thread, acknowledged by another: a lock guards the list of segments.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RECORD: Final = struct.Struct(">II")
POSITION: Final = struct.Struct(">Q")
ROTATE_BYTES: Final = 1024 * 1024
TIDY_BYTES: Final = 64 * 1024
SUFFIX: Final = ".spool"


@dataclass(slots=True)
class _Segment:
    path: Path
    first: int
    count: int

    @property
    def next(self) -> int:
        return self.first + self.count


def _checksum(position: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(POSITION.pack(position)))


def _records(path: Path, first: int) -> Iterator[tuple[int, bytes, int]]:
    """Gives position, body and end offset of each whole record; stops at the first broken one."""
    data = path.read_bytes()
    offset, position = 0, first
    while offset + RECORD.size <= len(data):
        size, checksum = RECORD.unpack_from(data, offset)
        end = offset + RECORD.size + size
        body = data[offset + RECORD.size : end]
        if end > len(data) or _checksum(position, body) != checksum:
            return
        yield position, body, end
        offset, position = end, position + 1


class Spool:
    """The spool of one session, held open by its host. Only one process may open it at a time."""

    def __init__(self, folder: Path, *, acked: int) -> None:
        """Opens or creates the spool.

        Args:
            folder: Where the segments are; created when missing.
            acked: Everything up to this position is safe with the server.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._acked = acked
        self._segments = self._recover()
        last = self._segments[-1].next if self._segments else 1
        if not self._segments or last <= acked:
            self._fd, self._size = -1, 0
            self._begin(max(last, acked + 1))
        else:
            self._fd = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._fd).st_size
        self._tidy()

    @property
    def next(self) -> int:
        """The position that the next record will have."""
        return self._segments[-1].next

    @property
    def acked(self) -> int:
        """Everything up to here is safe with the server."""
        return self._acked

    def append(self, body: bytes) -> int:
        """Keeps a record and gives its position. Raises OSError, and then keeps nothing of it."""
        with self._lock:
            segment = self._segments[-1]
            if self._size >= ROTATE_BYTES:
                segment = self._begin(segment.next)
            position = segment.next
            record = RECORD.pack(len(body), _checksum(position, body)) + body
            try:
                written = os.write(self._fd, record)
                while written < len(record):
                    written += os.write(self._fd, record[written:])
            except OSError:
                os.ftruncate(self._fd, self._size)
                raise
            self._size += len(record)
            segment.count += 1
            return position

    def acknowledge(self, position: int) -> None:
        """Forgets everything up to `position`, if not now then soon. Later ones win."""
        with self._lock:
            self._acked = max(self._acked, min(position, self._segments[-1].next - 1))
            self._tidy()

    def unacknowledged(self) -> Iterator[tuple[int, bytes]]:
        """Gives what the server does not have, oldest first, up to what was kept at the call."""
        with self._lock:
            segments = [(segment.path, segment.first) for segment in self._segments]
            return self._read(segments, self.next)

    def close(self) -> None:
        """Leaves nothing behind but what the server does not have."""
        with self._lock:
            if self._size and self._acked >= self._segments[-1].next - 1:
                self._begin(self._segments[-1].next)
                self._tidy()
            os.close(self._fd)
            self._fd = -1

    def _read(self, segments: list[tuple[Path, int]], end: int) -> Iterator[tuple[int, bytes]]:
        for path, first in segments:
            if not path.exists():  # acknowledged meanwhile
                continue
            for position, body, _ in _records(path, first):
                if self._acked < position < end:
                    yield position, body

    def _recover(self) -> list[_Segment]:
        """Reads the segments; cuts the torn end of the last one off."""
        segments: list[_Segment] = []
        paths = sorted(self._folder.glob("*" + SUFFIX))
        for path in paths:
            first, count, end = int(path.name.removesuffix(SUFFIX)), 0, 0
            for _, _, offset in _records(path, first):
                count, end = count + 1, offset
            if path is paths[-1] and path.stat().st_size > end:
                os.truncate(path, end)
            segments.append(_Segment(path, first, count))
        return segments

    def _begin(self, position: int) -> _Segment:
        """Opens a new last segment."""
        path = self._folder / f"{position:020d}{SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        segment = _Segment(path, position, 0)
        self._fd, self._size = fd, 0
        self._segments.append(segment)
        return segment

    def _tidy(self) -> None:
        """Removes segments that hold nothing new; begins another when the last is only ballast."""
        last = self._segments[-1]
        if self._size > TIDY_BYTES and self._acked >= last.next - 1:
            last = self._begin(last.next)
        while self._segments[0] is not last and self._segments[0].next <= self._acked + 1:
            self._segments.pop(0).path.unlink()
