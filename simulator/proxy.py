"""The only door: an HTTP CONNECT proxy that ends TLS itself and lets nothing out.

A client asks for a tunnel to one of WhatsApp's names; the proxy then speaks TLS on the same
connection and hands it to the web server in this process. Any other host is refused and
remembered, so that a test can assert that nobody asked for one.
"""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable

from .tls import is_served

_MAX_REQUEST_BYTES = 16 * 1024
_HTTPS = "443"
_TASK = "proxy/tls"


class Door(asyncio.Protocol):
    """One accepted connection, until TLS takes it over."""

    def __init__(self, gate: "Gate") -> None:
        self._gate = gate
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport was expected")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop with the request of the client."""
        self._received += data
        if b"\r\n\r\n" in self._received:
            self._answer(self._received)
        elif len(self._received) > _MAX_REQUEST_BYTES:
            self._refuse(431, "Request Header Fields Too Large")

    def _answer(self, request: bytes) -> None:
        head, _, rest = request.partition(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        method, _, target = line.partition(" ")
        target = target.partition(" ")[0]
        host, _, port = target.rpartition(":")
        if method != "CONNECT" or rest:
            self._gate.refused.append(target)
            self._refuse(405, "Method Not Allowed")
        elif not is_served(host) or port != _HTTPS:
            self._gate.refused.append(target)
            self._refuse(403, "Forbidden")
        else:
            status = self._gate.verdict(_user(headers))
            if status is not None:
                self._refuse(status, "Refused")
            elif self._transport is not None:
                self._gate.admit(self._transport)

    def _refuse(self, status: int, reason: str) -> None:
        if self._transport is None:
            return
        if status:
            self._transport.write(
                f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            self._transport.close()
        else:
            self._transport.abort()


class Gate:
    """Accepts connections and hands the tunnels to the web server's protocol."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        context: ssl.SSLContext,
        protocol: Callable[[], asyncio.Protocol],
        verdict: Callable[[str], int | None],
    ) -> None:
        """Serve tunnels.

        Args:
            tasks: Owns the TLS handshakes.
            context: TLS for WhatsApp's names.
            protocol: Makes what speaks HTTP inside a tunnel.
            verdict: Asked per tunnel with the proxy user name; None admits it, a number is
                the status to refuse it with, 0 drops the connection without a word.
        """
        self.refused: list[str] = []
        """Every target that was asked for and is not WhatsApp's."""
        self.verdict = verdict
        self._tasks = tasks
        self._context = context
        self._protocol = protocol
        self._server: asyncio.Server | None = None
        self._unfinished: set[asyncio.Task[None]] = set()

    async def open(self, port: int) -> int:
        """Listen on loopback; the port that was taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Door(self), "127.0.0.1", port, backlog=1024)
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    def close(self) -> None:
        """Accept no more, and give up on those who have not finished their TLS handshake."""
        if self._server is not None:
            self._server.close()
        for task in self._unfinished:
            task.cancel()

    def admit(self, transport: asyncio.Transport) -> None:
        """Tell the client that its tunnel stands, and be the other end of it."""
        transport.pause_reading()  # the client's next bytes belong to TLS
        transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        task = self._tasks.create_task(self._start_tls(transport), name=_TASK)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)

    async def _start_tls(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        protocol = self._protocol()
        try:
            secure = await loop.start_tls(transport, protocol, self._context, server_side=True)
        except (OSError, ssl.SSLError):  # the client left, or does not trust us
            transport.abort()
            return
        if secure is not None:
            protocol.connection_made(secure)


def _user(headers: list[str]) -> str:
    """The user name of the request's proxy credentials; empty without them."""
    for header in headers:
        name, _, value = header.partition(":")
        scheme, _, token = value.strip().partition(" ")
        if name.lower() == "proxy-authorization" and scheme.lower() == "basic":
            try:
                return base64.b64decode(token, validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""
