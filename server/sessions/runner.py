"""Starts a session's engine, waits for it, and takes what it reports into the journal."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from server.core.errors import SessionWrongState
from server.core.names import SessionName
from server.engine.base import DurableEvent, Ended, EndReason, StartSpec

from .actor import Actor, Timer
from .machine import Trigger
from .model import Session, State
from .recorder import Recorder
from .restarts import GiveUp, History, decide
from .run import EngineRun
from .services import Services

logger = structlog.get_logger(__name__)


class Runner(Actor):
    """At most one engine at a time; counts its starts, tries again, replaces it when it hangs."""

    def __init__(self, name: SessionName, services: Services) -> None:
        super().__init__(services.clock)
        self._name = name
        self._services = services
        self._config = services.config
        self._files = services.files
        self._recorder = Recorder(
            name,
            journal=services.journal,
            registry=services.registry,
            clock=services.clock,
            new_etag=services.new_etag,
        )
        self._engine_run: EngineRun | None = None
        self._history = History()
        self._patience: Timer | None = None
        self._retry: Timer | None = None
        self._restart_because: EndReason | None = None
        self._recovering_epoch = 0  # a pairing that a killed server may have completed
        self._is_draining = False
        self._went_down = asyncio.Event()
        self._went_down.set()

    @property
    def session(self) -> Session:
        """As committed."""
        return self._recorder.session

    async def _begin(
        self, epoch: int, *before: Trigger, fresh: bool = False, **changes: Any
    ) -> Session:
        """Starts an engine on the store of `epoch`, after counting the start."""
        connect_epoch = self.session.connect_epoch + 1
        session = await self._recorder.move(
            *before, Trigger.START, connect_epoch=connect_epoch, **changes
        )
        spec = StartSpec(
            session_id=self._name.session_id,
            store=self._files.store(self._name, epoch),
            spool_dir=self._files.spool(self._name),
            fresh=fresh,
            connect_epoch=connect_epoch,
            spool_acked=self._recorder.spool_acked,
            proxy_url=session.proxy_url,
        )
        self._engine_run = EngineRun(
            spec,
            tasks=self._tasks,
            engine=self._services.engine,
            permit=self._services.permit,
            slots=self._services.slots,
            report=self._report,
        )
        self._went_down.clear()
        self._spawn(self._engine_run.run())
        self._be_patient(self._config.patience.total_seconds(), EndReason.CONNECT_FAILED)
        return session

    def _be_patient(self, seconds: float, then: EndReason) -> None:
        """Without a connection until then the engine is replaced."""
        self._calm()

        async def replace_engine() -> None:
            self._replace_engine(then)

        self._patience = self._after(seconds, replace_engine)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _replace_engine(self, because: EndReason) -> None:
        """Ends an engine that is of no use any more; what follows its end is decided as usual."""
        if self._engine_run is not None and not self._engine_run.is_stopping():
            logger.warning("engine.replaced", session=self._name.session_id, because=because.value)
            self._restart_because = because
            self._engine_run.stop(self._config.grace)

    async def _on_durable(self, run: EngineRun, events: Sequence[DurableEvent]) -> None:
        if run is not self._engine_run:
            return  # its successor repeats them
        acked = self._recorder.spool_acked
        new = [event for event in events if event.spool > acked]
        if new:
            if new[0].spool != acked + 1:
                logger.error(
                    "spool.gap", session=self._name.session_id, acked=acked, next=new[0].spool
                )
            await self._recorder.events(new)
        await run.acknowledge(self._recorder.spool_acked)

    async def _note_clean_end(self, run: EngineRun, ended: Ended) -> None:
        """A store whose engine ended cleanly is provably at its last state: see restore EXACT."""
        session = self.session
        untouched = not run.was_started and session.clean_epoch == session.connect_epoch - 1
        if untouched or (run.was_started and ended.clean):
            await self._recorder.change(clean_epoch=session.connect_epoch)

    async def _decide(self, ended: Ended) -> None:
        policy = self._config.policy
        now, uniform = self._clock.monotonic(), self._services.uniform
        decision = decide(self._history, ended, now, uniform, policy)
        if isinstance(decision, GiveUp):
            await self._recorder.move(Trigger.GIVE_UP, condition=decision.condition)
            return
        self._history = decision.history
        next_attempt = self._clock.now() + decision.delay
        await self._recorder.move(
            Trigger.RETRY, condition=decision.condition, next_attempt_time=next_attempt
        )
        self._retry = self._after(decision.delay.total_seconds(), self._try_again)

    async def _try_again(self) -> None:
        session = self.session
        if self._engine_run is None and session.state is State.BACKING_OFF:
            await self._begin(self._recovering_epoch or session.store_epoch)

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _wrong_state(self, *allowed_states: State) -> SessionWrongState:
        return SessionWrongState(
            session=str(self._name),
            state=self.session.state.name,
            allowed_states=tuple(state.name for state in allowed_states),
        )
