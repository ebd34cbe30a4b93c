"""A small HTTP CONNECT proxy on loopback that passes everything on to another one."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


class Tunnel:
    """Counts what goes through it. Use as a context manager."""

    def __init__(self, upstream_url: str) -> None:
        parts = urlsplit(upstream_url)
        self._upstream = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0

    @classmethod
    @contextlib.contextmanager
    def to(cls, upstream_url: str) -> Iterator["Tunnel"]:
        """Runs one until the block ends."""
        tunnel = cls(upstream_url)
        accepting = threading.Thread(target=tunnel._accept)
        accepting.start()
        try:
            yield tunnel
        finally:
            tunnel._listener.shutdown(socket.SHUT_RDWR)
            tunnel._listener.close()
            for each in tunnel._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            accepting.join()

    def _accept(self) -> None:
        workers = []
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(self._upstream)
                self._open += [client, server]
                for ends in ((client, server), (server, client)):
                    workers.append(threading.Thread(target=_pump, args=ends))
                    workers[-1].start()
        for worker in workers:
            worker.join()
        for each in self._open:
            each.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
