"""Child side: what a host has to tell the server, in order and bounded.

Events come from the engine's thread and leave through the host's main thread. Durable ones are in
the spool before they are in the queue. At most `WINDOW` durable events are on the way without
being acknowledged, so neither the socket nor the server's memory fills up; when the queue behind
the window is full, `keep` blocks, the engine's own queue fills, and WhatsApp keeps the rest.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from roost.engine.v1 import frames_pb2 as frames

from .frames import pack
from .spool import Spool

WINDOW: Final = 1000
MAX_QUEUED_BYTES: Final = 2 * 1024 * 1024
RETRY_SECONDS: Final = 1.0  # after a failed write to the spool: most likely a full disk


class Outbox:
    """The queue of one session. `take` is for the main thread, everything else for any."""

    def __init__(self, session_id: str, spool: Spool, wake: Callable[[], None]) -> None:
        """Begins with what an earlier host could not get acknowledged.

        Args:
            session_id: Goes into every frame.
            spool: Where durable events are kept.
            wake: Tells the main thread that there is something to take.
        """
        self._session_id = session_id
        self._spool = spool
        self._wake = wake
        self._changed = threading.Condition()
        self._answers: deque[bytes] = deque()
        self._queue: deque[tuple[int, bytes]] = deque()  # spool position or 0, frame
        self._queued_bytes = 0
        self._repeats = spool.unacknowledged()
        self._repeat: tuple[int, bytes] | None = next(self._repeats, None)
        self._is_draining = False
        self._is_deaf = False
        self._lost = 0

    @property
    def is_empty(self) -> bool:
        """Whether everything was taken."""
        with self._changed:
            return not (self._answers or self._queue or self._repeat)

    @property
    def lost(self) -> int:
        """How many durable events could not be kept."""
        return self._lost

    def answer(self, frame: frames.HostFrame) -> None:
        """Queues a frame that overtakes events."""
        frame.session_id = self._session_id
        with self._changed:
            self._answers.append(pack(frame))
        self._wake()

    def tell(self, event: frames.Event) -> None:
        """Queues an event that means nothing to a later server."""
        with self._changed:
            self._put(event)
        self._wake()

    def keep(self, event: frames.Event) -> None:
        """Spools an event and queues it. Blocks while too much waits, or while the disk is full."""
        with self._changed:
            while self._queued_bytes >= MAX_QUEUED_BYTES and not self._is_draining:
                self._changed.wait()
            event.spool = self._spool.next
            body = event.SerializeToString()
            while not self._append(body):
                if self._is_draining:
                    self._lost += 1
                    return
                self._changed.wait(RETRY_SECONDS)
            self._put(event)
        self._wake()

    def drain(self, *, deaf: bool) -> None:
        """From now on nothing blocks; if nobody listens any more, events go to the spool only."""
        with self._changed:
            self._is_draining = True
            if deaf:
                self._is_deaf = True
                self._queue.clear()
                self._answers.clear()
                self._repeat = None
            self._changed.notify_all()

    def take(self, limit: int) -> bytes:
        """Takes frames to send now, until there are `limit` bytes."""
        taken: list[bytes] = []
        size = 0
        with self._changed:
            while size < limit and (frame := self._next()):
                taken.append(frame)
                size += len(frame)
            self._changed.notify_all()
        return b"".join(taken)

    def _next(self) -> bytes | None:
        if self._answers:
            return self._answers.popleft()
        horizon = self._spool.acked + WINDOW
        if self._repeat:
            position, body = self._repeat
            if position > horizon:
                return None
            self._repeat = next(self._repeats, None)
            return self._framed(frames.Event.FromString(body))
        if self._queue and self._queue[0][0] <= horizon:
            _, frame = self._queue.popleft()
            self._queued_bytes -= len(frame)
            return frame
        return None

    def _append(self, body: bytes) -> bool:
        try:
            self._spool.append(body)
        except OSError:
            return False
        return True

    def _put(self, event: frames.Event) -> None:
        if self._is_deaf:
            return
        frame = self._framed(event)
        self._queue.append((event.spool, frame))
        self._queued_bytes += len(frame)

    def _framed(self, event: frames.Event) -> bytes:
        return pack(frames.HostFrame(session_id=self._session_id, event=event))
