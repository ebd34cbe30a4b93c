"""One task and one inbox: how a supervisor runs, apart from what it does."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog

from server.core.clock import Clock
from server.core.errors import DomainError, ServerDraining
from server.engine.base import (
    DurableEvent,
    EngineEvent,
    MessageReceived,
    RawEvent,
    ReceiptReceived,
)

from .inbox import Command, Due, Happened, Inbox
from .run import EngineRun

T = TypeVar("T")
logger = structlog.get_logger(__name__)

# Durable events of one session that are recorded in one go.
TOGETHER = 100


class _Over(Exception):
    """The actor's own end."""


class Timer:
    """A delay after which an actor does something, unless it is cancelled before."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Also when the time is up but the actor has not come to it yet."""
        self.is_cancelled = True
        if self.task is not None:
            self.task.cancel()


class Actor:
    """Does one thing at a time, in the order of its inbox, in one task.

    An exception in one of its actions is a bug of that action: it is given to `_on_bug` and to
    whoever waits for the answer, and the actor goes on. Its children must not raise.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._inbox = Inbox()
        self._tasks = asyncio.TaskGroup()
        self._is_over = False

    async def run(self) -> None:
        """Runs until cancelled, or until nothing can be recorded any more."""
        try:
            async with self._tasks:
                await self._work()
        except* _Over:
            pass
        finally:
            self._is_over = True
            self._on_over()
            for item in self._inbox.drain():
                if isinstance(item, Command):
                    _answer_error(item, ServerDraining())

    async def ask(self, action: Callable[[], Awaitable[T]]) -> T:
        """Lets the actor do something in its turn; its answer or its exception.

        What was asked is done even if the caller is cancelled.
        """
        if self._is_over:
            raise ServerDraining
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._inbox.put(Command(action=action, reply=reply))
        return await reply

    # --- for the actor's own use

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(work)

    def _later(self, action: Callable[[], Awaitable[None]]) -> None:
        """For children: lets the actor do something in its turn."""
        self._inbox.put(Due(action=action))

    def _after(self, seconds: float, action: Callable[[], Awaitable[None]]) -> Timer:
        timer = Timer()

        async def if_wanted() -> None:
            if not timer.is_cancelled:
                await action()

        async def wait() -> None:
            await self._clock.sleep(seconds)
            self._later(if_wanted)

        timer.task = self._spawn(wait())
        return timer

    def _report(self, run: EngineRun, event: EngineEvent) -> None:
        self._inbox.put(Happened(run=run, event=event))

    async def _boot(self) -> None:
        """First thing."""
        raise NotImplementedError

    async def _on_event(self, run: EngineRun, event: EngineEvent) -> None:
        """An engine event that is not durable."""
        raise NotImplementedError

    async def _on_durable(self, run: EngineRun, events: Sequence[DurableEvent]) -> None:
        """Durable events, as many as there are."""
        raise NotImplementedError

    async def _on_bug(self, error: Exception) -> None:
        """An action raised what it should not."""
        raise NotImplementedError

    def _on_over(self) -> None:
        """Last thing: nothing can be recorded any more."""
        raise NotImplementedError

    # --- the loop

    async def _work(self) -> None:
        await self._guard(self._boot)
        while not self._is_over:
            await self._handle(await self._inbox.take())
        raise _Over  # ends the children

    async def _handle(self, item: Command | Happened | Due) -> None:
        if isinstance(item, Command):
            await self._answer(item)
        elif isinstance(item, Due):
            await self._guard(item.action)
        elif isinstance(item.event, MessageReceived | ReceiptReceived | RawEvent):
            events = [item.event, *self._durable_events_of(item.run)]
            await self._guard(lambda: self._on_durable(item.run, events))
            item.run.handled(len(events))
        else:
            await self._guard(lambda: self._on_event(item.run, item.event))
            item.run.handled(1)

    def _durable_events_of(self, run: EngineRun) -> list[DurableEvent]:
        """Those of the same engine that wait next in the inbox."""
        events: list[DurableEvent] = []
        while len(events) < TOGETHER - 1:
            item = self._inbox.peek()
            if not isinstance(item, Happened) or item.run is not run:
                break
            if not isinstance(item.event, MessageReceived | ReceiptReceived | RawEvent):
                break
            events.append(item.event)
            self._inbox.skip()
        return events

    async def _answer(self, command: Command) -> None:
        try:
            answer = await command.action()
        except DomainError as error:
            _answer_error(command, error)
        except Exception as error:  # noqa: BLE001 - a bug of one command ends no sibling
            _answer_error(command, error)
            await self._guard(partial(self._on_bug, error))
        else:
            if not command.reply.done():
                command.reply.set_result(answer)

    async def _guard(self, action: Callable[[], Awaitable[None]]) -> None:
        try:
            await action()
        except ServerDraining:
            self._is_over = True  # the log is closed
        except Exception as error:
            logger.exception("actor.bug")
            try:
                await self._on_bug(error)
            except ServerDraining:
                self._is_over = True
            except Exception:
                logger.exception("actor.bug_not_recorded")


def _answer_error(command: Command, error: Exception) -> None:
    if not command.reply.done():
        command.reply.set_exception(error)
