"""An engine without processes, for unit tests of the rooms above.

A test starts what it tests with a `FakeEngine`, waits for the session it expects
(`await engine.started("a")`) and plays the host: `session.emit(Connected(...))`,
`session.end(EndReason.CRASHED)`. What the simulator can show belongs into tests against the
simulator instead.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from server.core.errors import EngineUnavailable

from .base import (
    DurableEvent,
    Ended,
    EndReason,
    EngineEvent,
    EngineSession,
    MessageReceived,
    RawEvent,
    ReceiptReceived,
    Sent,
    StartSpec,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeText:
    """A text that was given to `send_text`."""

    recipient: str
    text: str
    secret: bytes


class FakeSession:
    """One session, played by the test."""

    def __init__(self, spec: StartSpec, *, spool: int, pid: int) -> None:
        self.spec = spec
        self.acknowledged = spec.spool_acked
        self.texts: list[FakeText] = []
        self.pairing_requests: list[str] = []
        self.is_stopped = False
        self.stop_reason = EndReason.STOPPED
        self.pairing_code = "ABCD-2345"
        # Replace these to fail or to wait.
        self.on_send: Callable[[FakeText], Awaitable[Sent]] = self._send
        self.on_unlink: Callable[[], Awaitable[None]] = self._unlink
        self._pid = pid
        self._spool = spool
        self._events: asyncio.Queue[EngineEvent] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._progress = asyncio.Condition()

    @property
    def pid(self) -> int:
        """As `EngineSession.pid`; no such process exists."""
        return self._pid

    @property
    def spool(self) -> int:
        """The position of the last durable event."""
        return self._spool

    @property
    def is_gone(self) -> bool:
        """Whether `end` was called."""
        return self._gone.is_set()

    # --- what the test does

    def emit(self, event: EngineEvent) -> EngineEvent:
        """Lets the session report `event`; a durable one with spool 0 gets the next position."""
        if isinstance(event, MessageReceived | ReceiptReceived | RawEvent):
            event = self._numbered(event)
        self._events.put_nowait(event)
        return event

    def end(
        self,
        reason: EndReason,
        *,
        clean: bool = False,
        engine_code: str = "",
        expire_seconds: int = 0,
    ) -> None:
        """Ends the session; further calls fail. The first one counts."""
        if self._gone.is_set():
            return
        self._gone.set()
        self._events.put_nowait(
            Ended(
                reason=reason, clean=clean, engine_code=engine_code, expire_seconds=expire_seconds
            )
        )

    async def wait_acknowledged(self, spool: int) -> None:
        """Waits until everything up to `spool` is acknowledged."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.acknowledged >= spool)

    async def wait_stopped(self) -> None:
        """Waits until somebody called `stop` or the session ended."""
        await self._gone.wait()

    # --- what the tested code does

    async def events(self) -> AsyncIterator[EngineEvent]:
        """As `EngineSession.events`."""
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Ended):
                return

    async def acknowledge(self, spool: int) -> None:
        """As `EngineSession.acknowledge`."""
        async with self._progress:
            self.acknowledged = max(self.acknowledged, spool)
            self._progress.notify_all()

    async def request_pairing_code(self, phone: str) -> str:
        """As `EngineSession.request_pairing_code`."""
        self._check()
        self.pairing_requests.append(phone)
        return self.pairing_code

    async def send_text(self, *, recipient: str, text: str, secret: bytes) -> Sent:
        """As `EngineSession.send_text`."""
        self._check()
        message = FakeText(recipient=recipient, text=text, secret=secret)
        self.texts.append(message)
        return await self.on_send(message)

    async def find_sent(self, secret: bytes) -> str | None:
        """As `EngineSession.find_sent`: among what this very session was given."""
        self._check()
        found = [number for number, text in enumerate(self.texts, 1) if text.secret == secret]
        return message_id(found[0]) if found else None

    async def unlink(self) -> None:
        """As `EngineSession.unlink`."""
        self._check()
        await self.on_unlink()

    async def stop(self, grace: timedelta) -> None:
        """As `EngineSession.stop`."""
        del grace
        self.is_stopped = True
        self.end(self.stop_reason, clean=True)

    def _check(self) -> None:
        if self._gone.is_set():
            raise EngineUnavailable(session=f"sessions/{self.spec.session_id}")

    def _numbered(self, event: DurableEvent) -> DurableEvent:
        self._spool = event.spool or self._spool + 1
        return replace(event, spool=self._spool)

    async def _send(self, message: FakeText) -> Sent:
        del message
        return Sent(message_id=message_id(len(self.texts)), send_time=datetime.now(UTC))

    async def _unlink(self) -> None:
        self.end(EndReason.LOGGED_OUT, clean=True)


def message_id(number: int) -> str:
    """The id of a session's first, second… text."""
    return f"3EB0{number:018X}"


@dataclass(kw_only=True)
class FakeEngine:
    """Starts `FakeSession`s.

    `on_start` is called with each new session and may play it at once, or raise
    `EngineUnavailable` to let the start fail.
    """

    on_start: Callable[[FakeSession], None] = lambda _: None
    version: str = "fake/1"
    sessions: list[FakeSession] = field(default_factory=list)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self, spec: StartSpec) -> EngineSession:
        """As `Engine.start`."""
        earlier = [one for one in self.sessions if one.spec.session_id == spec.session_id]
        spool = max([spec.spool_acked, *(one.spool for one in earlier)])
        session = FakeSession(spec, spool=spool, pid=10_000_000 + len(self.sessions))
        self.on_start(session)
        async with self._progress:
            self.sessions.append(session)
            self._progress.notify_all()
        return session

    async def started(self, session_id: str, count: int = 1) -> FakeSession:
        """Waits for the `count`-th start of a session and gives it."""

        def found() -> list[FakeSession]:
            return [one for one in self.sessions if one.spec.session_id == session_id]

        async with self._progress:
            await self._progress.wait_for(lambda: len(found()) >= count)
            return found()[count - 1]
