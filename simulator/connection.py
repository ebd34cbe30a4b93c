"""One client's connection: the handshake, then stanzas in order, both ways."""

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable
from enum import StrEnum

from aiohttp import WSMsgType, web

from .accounts import Device
from .wire.frames import FrameReader, frame
from .wire.jid import SERVER
from .wire.nodes import Codec, MalformedNode, Node
from .wire.noise import (
    HEADER,
    FrameRefused,
    Handshake,
    HandshakeRefused,
    Hello,
    ServerIdentity,
    Transport,
)

_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER that makes the kernel send a reset instead of an orderly end."""
_LEAVE_SECONDS = 0.5
"""How long a client may take to read our last stanza before we hang up."""
_ANSWER_SECONDS = 10.0


class Stage(StrEnum):
    """How far a connection has come."""

    HANDSHAKE = "handshake"
    PAIRING = "pairing"
    LOGIN = "login"
    ACTIVE = "active"
    CLOSED = "closed"


class ConnectionLost(Exception):
    """The client is gone, or does not answer."""


class Connection:
    """Speaks with one client. What its stanzas mean is the handler's business."""

    def __init__(
        self, request: web.Request, web_socket: web.WebSocketResponse, codec: Codec
    ) -> None:
        self.id = secrets.token_hex(4)
        self.stage = Stage.HANDSHAKE
        self.device: Device | None = None
        """Who has logged in."""
        self.muted = False
        """Nothing goes out and what comes in is dropped, while the connection stands."""
        self._request = request
        self._socket = web_socket
        self._codec = codec
        self._transport: Transport | None = None
        self._outbox: asyncio.Queue[Node | None] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[Node]] = {}
        self._gone = asyncio.Event()
        self._leaving = asyncio.Event()
        self._incoming = self._frames()

    async def handshake(self, identity: ServerIdentity) -> Hello:
        """Agree on keys with the client.

        Raises:
            ConnectionLost: it left, or speaks something else.
        """
        try:
            run = Handshake(identity)
            await self._socket.send_bytes(frame(run.answer(await anext(self._incoming))))
            hello = run.finish(await anext(self._incoming))
        except (HandshakeRefused, StopAsyncIteration, ConnectionError) as error:
            raise ConnectionLost from error
        self._transport = hello.transport
        return hello

    async def ignore(self) -> None:
        """Read and never answer, until the client leaves."""
        async for _ in self._incoming:
            pass

    async def serve(self, handle: Callable[[Node], None]) -> None:
        """Pass each stanza to `handle`, one after the other, until the connection ends.

        The handler must not wait for anything: a client that closes its websocket waits for
        our answer before it connects again.
        """
        async with asyncio.TaskGroup() as tasks:
            name = f"connection/{self.id}"
            writer = tasks.create_task(self._write(), name=f"{name}/writer")
            leaver = tasks.create_task(self._hang_up_later(), name=f"{name}/leaver")
            try:
                await self._read(handle)
            finally:
                self.stage = Stage.CLOSED
                self._gone.set()
                writer.cancel()
                leaver.cancel()
                for answer in self._answers.values():
                    answer.cancel()

    def post(self, node: Node) -> None:
        """Send a stanza, after those posted before."""
        if not self.muted:
            self._outbox.put_nowait(node)

    async def ask(self, node: Node) -> Node:
        """Send a request and wait for its result or error.

        Raises:
            ConnectionLost: none came.
        """
        answer: asyncio.Future[Node] = asyncio.get_running_loop().create_future()
        key = node.text("id")
        self._answers[key] = answer
        self.post(node)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await asyncio.shield(answer)
        except (TimeoutError, asyncio.CancelledError) as error:
            if answer.cancelled() or isinstance(error, TimeoutError):
                raise ConnectionLost from None
            raise
        finally:
            self._answers.pop(key, None)

    def hang_up(self) -> None:
        """End the stream and close the websocket, after what was posted before."""
        self._outbox.put_nowait(Node("xmlstreamend"))
        self._outbox.put_nowait(None)

    def leave(self, last: Node | None = None) -> None:
        """Send a last stanza, give the client time to read it and to leave, then hang up."""
        if last is not None:
            self.post(last)
        self._leaving.set()

    async def _hang_up_later(self) -> None:
        await self._leaving.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._gone.wait()
        self.hang_up()

    def reset(self) -> None:
        """Cut the connection as a failing network does."""
        transport = self._request.transport
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        transport.abort()

    async def _frames(self) -> AsyncIterator[bytes]:
        reader = FrameReader()
        expected = HEADER
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data.startswith(expected):
                return
            for found in reader.feed(message.data.removeprefix(expected)):
                yield found
            expected = b""

    async def _read(self, handle: Callable[[Node], None]) -> None:
        if self._transport is None:
            raise ConnectionLost
        async for sealed in self._incoming:
            try:
                node = self._codec.decode(self._transport.open(sealed))
            except (FrameRefused, MalformedNode):
                self.reset()
                return
            if self.muted:
                continue
            answer = self._answers.get(node.text("id"))
            if answer is None or node.tag != "iq" or node.text("type") not in ("result", "error"):
                handle(node)
            elif not answer.done():
                answer.set_result(node)

    async def _write(self) -> None:
        if self._transport is None:
            raise ConnectionLost
        with contextlib.suppress(ConnectionError):
            while (node := await self._outbox.get()) is not None:
                sealed = self._transport.seal(self._codec.encode(node))
                await self._socket.send_bytes(frame(sealed))
        await self._socket.close()


def reply(request: Node, *content: Node) -> Node:
    """The result of a request; iq results need from, id and type."""
    attrs = {"from": request.attrs.get("to", SERVER), "id": request.text("id"), "type": "result"}
    return Node("iq", attrs, list(content) or None)


def refusal(request: Node, code: int, text: str) -> Node:
    """The error that answers a request."""
    attrs = {"from": request.attrs.get("to", SERVER), "id": request.text("id"), "type": "error"}
    return Node("iq", attrs, [Node("error", {"code": str(code), "text": text})])
