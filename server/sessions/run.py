"""One start of an engine, from the call that starts it to its last event."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import structlog

from server.core.errors import EngineUnavailable, SessionLeased, StorageUnavailable
from server.core.names import SessionName
from server.engine.base import Ended, EndReason, Engine, EngineEvent, EngineSession, Sent, StartSpec

from .permits import Permit

logger = structlog.get_logger(__name__)

# How many of its events a session may have waiting before its engine has to wait.
WAITING_EVENTS = 256
# A start occupies one of the server's start slots until there is news, at most this long.
SLOT_SECONDS = 5.0
# What is left for an orderly disconnect when sends have used up the grace.
LEAST_GRACE = timedelta(seconds=2)


class EngineRun:
    """Runs beside its supervisor and reports what happens, in order, `Ended` last and once.

    Whatever goes wrong here, also by a bug, is reported as an end, so that the supervisor needs to
    know one way only in which an engine can go.
    """

    def __init__(
        self,
        spec: StartSpec,
        *,
        tasks: asyncio.TaskGroup,
        engine: Engine,
        permit: Permit,
        slots: asyncio.Semaphore,
        report: Callable[["EngineRun", EngineEvent], None],
    ) -> None:
        self.spec = spec
        self.was_started = False  # an engine was asked to start: the store may have changed
        self._is_stopping = False
        self._session: EngineSession | None = None
        self._tasks = tasks
        self._engine = engine
        self._permit = permit
        self._entering: asyncio.Timeout | None = None
        self._slots = slots
        self._report = report
        self._room = asyncio.Semaphore(WAITING_EVENTS)
        self._has_news = asyncio.Event()
        self._grace = timedelta()
        self._sends = 0
        self._sends_done = asyncio.Event()
        self._sends_done.set()

    def is_stopping(self) -> bool:
        """Somebody has asked for its end."""
        return self._is_stopping

    async def run(self) -> None:
        """Starts the engine and reports its events until it has ended."""
        ended = Ended(reason=EndReason.CRASHED, clean=False)
        try:
            await self._enter()
            await self._slots.acquire()
            self._tasks.create_task(self._free_slot())
            ended = await self._follow()
        except SessionLeased as error:
            logger.warning(
                "session.leased", session=self.spec.session_id, server=error.metadata()["server"]
            )
            ended = Ended(reason=EndReason.LEASED, clean=False)
        except StorageUnavailable:
            ended = Ended(reason=EndReason.STORAGE_AWAY, clean=False)
        except EngineUnavailable:
            logger.warning("engine.start_failed", session=self.spec.session_id)
        except Exception:
            logger.exception("engine.failed", session=self.spec.session_id)
            await self._stop(timedelta())
        finally:
            self._has_news.set()
        self._report(self, ended)

    async def _enter(self) -> None:
        """Waits for leave to start, unless somebody wants a stop before."""
        if self._is_stopping:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as self._entering:
                session = SessionName(self.spec.session_id)
                await self._permit.enter(session, fresh=self.spec.fresh)
        self._entering = None

    async def _follow(self) -> Ended:
        if self._is_stopping:
            return Ended(reason=EndReason.STOPPED, clean=True)
        self.was_started = True
        self._session = await self._engine.start(self.spec)
        if self.is_stopping():
            self.stop(self._grace)
        async for event in self._session.events():
            if isinstance(event, Ended):
                return event
            self._has_news.set()
            await self._room.acquire()
            self._report(self, event)
        logger.error("engine.events_ended_early", session=self.spec.session_id)
        return Ended(reason=EndReason.CRASHED, clean=False)

    async def _free_slot(self) -> None:
        try:
            async with asyncio.timeout(SLOT_SECONDS):
                await self._has_news.wait()
        except TimeoutError:
            pass
        finally:
            self._slots.release()

    def handled(self, events: int) -> None:
        """The supervisor is done with so many events; as many more may come."""
        for _ in range(events):
            self._room.release()

    async def acknowledge(self, spool: int) -> None:
        """Lets the spool forget; if the engine is gone its successor repeats and is told again."""
        assert self._session is not None
        with suppress(EngineUnavailable):
            await self._session.acknowledge(spool)

    def stop(self, grace: timedelta) -> None:
        """Ends the engine, after the sends in flight or `grace`; `Ended` follows."""
        self._is_stopping = True
        self._grace = grace
        if self._entering is not None:
            self._entering.reschedule(asyncio.get_running_loop().time())
        if self._session is not None:
            self._tasks.create_task(self._stop(grace))

    async def _stop(self, grace: timedelta) -> None:
        if self._session is None:
            return
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace.total_seconds()):
                    await self._sends_done.wait()
            await self._session.stop(max(grace, LEAST_GRACE) if grace else grace)
        except Exception:
            logger.exception("engine.stop_failed", session=self.spec.session_id)

    async def send_text(self, *, recipient: str, text: str, secret: bytes) -> Sent:
        """As `EngineSession.send_text`; a stop waits for it."""
        session = self._connected()
        self._sends += 1
        self._sends_done.clear()
        try:
            return await session.send_text(recipient=recipient, text=text, secret=secret)
        finally:
            self._sends -= 1
            if not self._sends:
                self._sends_done.set()

    async def find_sent(self, secret: bytes) -> str | None:
        """As `EngineSession.find_sent`."""
        return await self._connected().find_sent(secret)

    async def request_pairing_code(self, phone: str) -> str:
        """As `EngineSession.request_pairing_code`."""
        return await self._connected().request_pairing_code(phone)

    async def unlink(self) -> None:
        """As `EngineSession.unlink`."""
        await self._connected().unlink()

    def _connected(self) -> EngineSession:
        if self._session is None or self._is_stopping:
            raise EngineUnavailable(session=f"sessions/{self.spec.session_id}")
        return self._session
