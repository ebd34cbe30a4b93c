"""A line to a real server that is cut at a chosen moment: loopback TCP to any stream socket."""

import contextlib
import socket
import threading
from dataclasses import dataclass


@dataclass
class Cut:
    """The one connection whose next request has `request` in it is cut.

    With `answer`: when the server's answer has that in it, and the client never sees it.
    With `after_bytes`: when that much of the request has gone through.
    With `instead`: the server never sees the request, and the client gets this answer.
    """

    request: bytes
    answer: bytes | None = None
    after_bytes: int | None = None
    instead: bytes | None = None


class Relay:
    """Use `Relay.to(...)`; set `cut` to break the next request that fits; it resets itself."""

    def __init__(self, upstream):
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._ends = []
        self._threads = []
        self.port = self._listener.getsockname()[1]
        self.cut = None
        self.cuts = 0

    @classmethod
    @contextlib.contextmanager
    def to(cls, upstream):
        """`upstream()` connects to the server."""
        relay = cls(upstream)
        accepting = threading.Thread(target=relay._accept)
        accepting.start()
        try:
            yield relay
        finally:
            relay._listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            relay._listener.close()
            for end in relay._ends:
                _hang_up(end)
            for thread in relay._threads:
                thread.join()
            for end in relay._ends:
                end.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._upstream()
                self._ends += [client, server]
                line = _Line(self, client, server)
                for pump in (line.requests, line.answers):
                    thread = threading.Thread(target=pump)
                    thread.start()
                    self._threads.append(thread)

    def take(self, data):
        """The cut that this request asks for, once."""
        with self._lock:
            if self.cut is None or self.cut.request not in data:
                return None
            cut, self.cut = self.cut, None
            self.cuts += 1
            return cut


class _Line:
    def __init__(self, relay, client, server):
        self.relay, self.client, self.server = relay, client, server
        self.cut, self.passed = None, 0

    def requests(self):
        with contextlib.suppress(OSError):
            while data := self.client.recv(65536):
                self.cut = self.cut or self.relay.take(data)
                if self.cut and self.cut.instead is not None:
                    self.client.sendall(self.cut.instead)
                    self.client.shutdown(socket.SHUT_WR)
                    while self.client.recv(65536):
                        pass
                    break
                if self.cut and self.cut.after_bytes is not None:
                    data = data[: self.cut.after_bytes - self.passed]
                    self.passed += len(data)
                self.server.sendall(data)
                if self.cut and self.passed == self.cut.after_bytes:
                    break
        self.hang_up()

    def answers(self):
        with contextlib.suppress(OSError):
            while data := self.server.recv(65536):
                if self.cut and self.cut.answer is not None and self.cut.answer in data:
                    break
                self.client.sendall(data)
        self.hang_up()

    def hang_up(self):
        for end in (self.client, self.server):
            _hang_up(end)


def _hang_up(end):
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
