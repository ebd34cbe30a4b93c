"""Server side: one host process as an `EngineSession`.

A link lives in one task, `run`, which its engine owns. The socket is read all the time: how many
events can be unread is bounded by the window of unacknowledged ones (`outbox.WINDOW`), so a slow
reader never delays an answer. The end is known when the process is known to be gone: then the
last event is `Ended`, and every waiting and later call fails.
"""

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.message import DecodeError
from roost.engine.v1 import frames_pb2 as frames

from server.core.errors import (
    DomainError,
    EngineUnavailable,
    PairingRejected,
    RecipientNotFound,
    SendTimedOut,
)

from . import codec, outcomes
from .base import Ended, EndReason, EngineEvent, Sent, StartSpec
from .frames import FrameCorrupt, FrameReader, pack
from .process import HostProcess

READ_BYTES: Final = 256 * 1024
MAX_UNSENT_BYTES: Final = 4 * 1024 * 1024
EXIT_SECONDS: Final = 10.0  # from the end of the socket to the end of the process


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """How long a host may take."""

    ready: timedelta = timedelta(seconds=15)
    ping_interval: timedelta = timedelta(seconds=10)
    ping_timeout: timedelta = timedelta(seconds=30)
    send: timedelta = timedelta(seconds=30)
    request: timedelta = timedelta(seconds=20)


class HostLink:
    """The `EngineSession` of one host."""

    def __init__(
        self,
        *,
        spec: StartSpec,
        process: HostProcess,
        sock: socket.socket,
        config: LinkConfig,
        find_sent: Callable[[bytes], Awaitable[str | None]],
    ) -> None:
        """Owns the socket; does nothing before `run`.

        Args:
            spec: What the host was started with.
            process: The host.
            sock: The server's end of its stream.
            config: Deadlines.
            find_sent: Looks a secret up in the session's store.
        """
        sock.setblocking(False)  # noqa: FBT003 -- the socket's own signature
        self._spec = spec
        self._process = process
        self._sock = sock
        self._config = config
        self._find_sent = find_sent
        self._name = f"sessions/{spec.session_id}"
        self._events: asyncio.Queue[EngineEvent] = asyncio.Queue()
        self._unsent = bytearray()
        self._calls: dict[int, asyncio.Future[frames.Reply]] = {}
        self._last_call = 0
        self._heard = asyncio.get_running_loop().time()
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._ending: frames.Ending | None = None
        self._is_stopping = False
        self._kill_code = ""

    @property
    def pid(self) -> int:
        """As `EngineSession.pid`."""
        return self._process.pid

    async def run(self) -> None:
        """Serves the host until it is gone. If cancelled, the host drains by itself."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(
                    self._watch(), name=f"session/{self._spec.session_id}/watch"
                )
                await self._read()
                await self._see_off()
                watch.cancel()
            exit_code = await self._process.wait_exit_code(timedelta(seconds=2))
            self._end(self._judge(exit_code))
        finally:
            asyncio.get_running_loop().remove_writer(self._sock)
            self._sock.close()
            self._end(Ended(reason=EndReason.CRASHED, clean=False, engine_code="server-gone"))

    # --- EngineSession

    async def events(self) -> AsyncIterator[EngineEvent]:
        """As `EngineSession.events`."""
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Ended):
                return

    async def acknowledge(self, spool: int) -> None:
        """As `EngineSession.acknowledge`."""
        with contextlib.suppress(EngineUnavailable):  # the next host is told by its start
            self._send(frames.ServerFrame(acknowledge=frames.Acknowledge(spool=spool)))

    async def request_pairing_code(self, phone: str) -> str:
        """As `EngineSession.request_pairing_code`."""
        reply = await self._request(frames.Call(pair_phone=frames.PairPhone(phone=phone)))
        if reply.outcome == frames.Reply.OUTCOME_REFUSED:
            raise PairingRejected(session=self._name)
        if reply.outcome != frames.Reply.OUTCOME_OK:
            raise EngineUnavailable(session=self._name)
        return reply.pairing_code

    async def send_text(self, *, recipient: str, text: str, secret: bytes) -> Sent:
        """As `EngineSession.send_text`."""
        call = frames.Call(send_text=frames.SendText(recipient=recipient, text=text, secret=secret))
        try:
            reply = await self._call(call, self._config.send)
        except TimeoutError:
            # It may still be waiting for whatsmeow's lock: only the end of the host settles it.
            raise SendTimedOut(session=self._name, message_id="") from None
        except EngineUnavailable:
            if self._process.is_gone:
                raise await self._settle(secret) from None
            raise
        if reply.outcome == frames.Reply.OUTCOME_OK:
            return Sent(
                message_id=reply.message_id,
                send_time=datetime.fromtimestamp(reply.send_time, UTC),
            )
        if reply.outcome == frames.Reply.OUTCOME_NO_RECIPIENT:
            raise RecipientNotFound(session=self._name)
        if reply.outcome == frames.Reply.OUTCOME_UNKNOWN:
            raise await self._settle(secret)
        raise EngineUnavailable(session=self._name)

    async def find_sent(self, secret: bytes) -> str | None:
        """As `EngineSession.find_sent`."""
        try:
            return await self._find_sent(secret)
        except sqlite3.Error as error:
            raise EngineUnavailable(session=self._name) from error

    async def unlink(self) -> None:
        """As `EngineSession.unlink`."""
        reply = await self._request(frames.Call(unlink=frames.Unlink()))
        if reply.outcome != frames.Reply.OUTCOME_OK:
            raise EngineUnavailable(session=self._name)

    async def stop(self, grace: timedelta) -> None:
        """As `EngineSession.stop`."""
        self._is_stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                with contextlib.suppress(EngineUnavailable):
                    self._send(frames.ServerFrame(stop=frames.Stop()))
                await self._ended.wait()
        if not self._ended.is_set():
            self._kill("killed-after-grace")
            await self._ended.wait()

    # --- the host's frames

    async def _read(self) -> None:
        loop, reader = asyncio.get_running_loop(), FrameReader()
        with contextlib.suppress(OSError, FrameCorrupt, DecodeError):
            while data := await loop.sock_recv(self._sock, READ_BYTES):
                self._heard = loop.time()
                for body in reader.feed(data):
                    self._take(frames.HostFrame.FromString(body))

    def _take(self, frame: frames.HostFrame) -> None:
        match frame.WhichOneof("frame"):
            case "event":
                with contextlib.suppress(ValueError):
                    self._events.put_nowait(codec.event(frame.event))
            case "reply":
                waiting = self._calls.pop(frame.reply.id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame.reply)
            case "ready":
                self._ready.set()
            case "ending":
                self._ending = frame.ending
            case _:  # a pong, or something that only a newer host knows
                pass

    async def _watch(self) -> None:
        """Kills a host that does not come up, or does not answer any more."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.ready.total_seconds()):
                await self._ready.wait()
        except TimeoutError:
            self._kill("start-timeout")
            return
        while True:
            with contextlib.suppress(EngineUnavailable):
                self._send(frames.ServerFrame(ping=frames.Ping()))
            await asyncio.sleep(self._config.ping_interval.total_seconds())
            if loop.time() - self._heard > self._config.ping_timeout.total_seconds():
                self._kill("hung")
                return

    # --- the end

    async def _see_off(self) -> None:
        """Waits for the process to end once it has closed the socket."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_SECONDS):
                await self._process.wait_gone()
        if not self._process.is_gone:
            self._kill("hung-at-end")
            await self._process.wait_gone()

    def _kill(self, code: str) -> None:
        self._kill_code = self._kill_code or code
        self._process.kill()

    def _judge(self, exit_code: int | None) -> Ended:
        if ending := self._ending:
            return Ended(
                reason=EndReason(ending.reason),
                clean=ending.drained and exit_code in (0, None),
                engine_code=ending.engine_code,
                expire_seconds=ending.expire_seconds,
            )
        code = self._kill_code or outcomes.from_exit(exit_code)
        reason = EndReason.STOPPED if self._is_stopping else EndReason.CRASHED
        return Ended(reason=reason, clean=False, engine_code=code)

    def _end(self, ended: Ended) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        self._events.put_nowait(ended)
        for waiting in self._calls.values():
            if not waiting.done():
                waiting.set_exception(EngineUnavailable(session=self._name))
        self._calls.clear()

    # --- calls

    async def _request(self, call: frames.Call) -> frames.Reply:
        try:
            return await self._call(call, self._config.request)
        except TimeoutError:
            raise EngineUnavailable(session=self._name) from None

    async def _call(self, call: frames.Call, limit: timedelta) -> frames.Reply:
        """Raises TimeoutError, or EngineUnavailable if the host is or goes away."""
        self._last_call += 1
        call.id = self._last_call
        waiting: asyncio.Future[frames.Reply] = asyncio.get_running_loop().create_future()
        self._calls[call.id] = waiting
        try:
            async with asyncio.timeout(limit.total_seconds()):
                self._send(frames.ServerFrame(call=call))
                return await waiting
        finally:
            self._calls.pop(call.id, None)

    def _send(self, frame: frames.ServerFrame) -> None:
        """Never waits, so that no cancellation can cut a frame in two."""
        frame.session_id = self._spec.session_id
        if self._ended.is_set() or len(self._unsent) > MAX_UNSENT_BYTES:
            raise EngineUnavailable(session=self._name)
        was_idle = not self._unsent
        self._unsent += pack(frame)
        if was_idle:
            self._flush()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:  # gone: reading says so, too
            self._unsent.clear()
            loop.remove_writer(self._sock)
            return
        del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._sock, self._flush)
        else:
            loop.remove_writer(self._sock)

    async def _settle(self, secret: bytes) -> DomainError:
        """What became of a send whose host does not know, or is gone: the store knows."""
        try:
            message_id = await self._find_sent(secret)
        except sqlite3.Error:
            return SendTimedOut(session=self._name, message_id="")
        if message_id is None:
            return EngineUnavailable(session=self._name)
        return SendTimedOut(session=self._name, message_id=message_id)
