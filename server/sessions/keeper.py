"""Keeps one session's engine in the condition that is wanted."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from typing import Any

import structlog

from server.core.errors import (
    ClientOutdated,
    DomainError,
    EngineUnavailable,
    PairingExpired,
    PairingRejected,
    Precondition,
    ServerDraining,
    SessionWrongState,
)
from server.core.names import SessionName
from server.engine.base import (
    Account,
    Connected,
    Disconnected,
    DurableEvent,
    Ended,
    EndReason,
    EngineEvent,
    KeepAliveRestored,
    KeepAliveTimeout,
    Paired,
    QrCode,
    StartSpec,
    StreamFailed,
)

from . import conditions
from .actor import Actor, Timer
from .machine import Trigger
from .model import Condition, DesiredState, Session, State
from .pairing import PairingAttempt, PairingCompleted
from .recorder import Recorder
from .restarts import (
    RETRIED_BY_A_NEW_SERVER,
    TABLE,
    Cure,
    GiveUp,
    History,
    condition_of,
    decide,
)
from .run import EngineRun
from .services import Services

logger = structlog.get_logger(__name__)

TRANSIENT = frozenset(
    {State.CONNECTING, State.PAIRING, State.ACTIVE, State.BACKING_OFF, State.STOPPING}
)


class Exit(Enum):
    """How a session can leave."""

    DELETE = auto()
    UNLINK = auto()


@dataclass(slots=True, kw_only=True, eq=False)
class Leaving:
    """A DeleteSession or UnlinkSession that waits for the engine's end."""

    exit: Exit
    done: asyncio.Future[Session]
    deadline: Timer | None = None
    is_told: bool = False  # WhatsApp has removed the device

    def succeed(self, session: Session) -> None:
        """It has left."""
        if self.deadline is not None:
            self.deadline.cancel()
        if not self.done.done():
            self.done.set_result(session)

    def fail(self, error: Exception) -> None:
        """Nothing has left."""
        if self.deadline is not None:
            self.deadline.cancel()
        if not self.done.done():
            self.done.set_exception(error)


class Keeper(Actor):
    """Starts, follows and ends engines, one at a time; decides what follows each end.

    What callers can ask for is in `supervisor.Supervisor`.
    """

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
        self._attempt: PairingAttempt | None = None
        self._recovering_epoch = 0  # a pairing that a killed server may have completed
        self._restart_because: EndReason | None = None
        self._leaving: Leaving | None = None
        self._is_draining = False
        self._went_down = asyncio.Event()
        self._went_down.set()

    @property
    def session(self) -> Session:
        """As committed."""
        return self._recorder.session

    # --- starting

    async def _boot(self) -> None:
        """Goes on where the server before this one ended, however it ended."""
        session = self.session
        if session.state is State.DELETED:
            await self._files.discard_session(self._name)
            return
        if await self._was_pairing(session):
            await self._recover_pairing(session)
            return
        await self._files.discard_others(self._name, keep=session.store_epoch)
        if not session.is_paired or session.desired is DesiredState.STOPPED:
            if session.state in TRANSIENT:
                await self._recorder.move(
                    Trigger.ENDED, desired=DesiredState.STOPPED, condition=None
                )
        elif session.state in TRANSIENT or session.state is State.STOPPED:
            await self._resume(session)
        elif session.state is State.FAILED and _may_be_cured(session.condition):
            await self._begin(session.store_epoch)

    async def _resume(self, session: Session) -> None:
        until = session.next_attempt_time
        if until is not None and session.condition and is_ban(session.condition):
            seconds = (until - self._clock.now()).total_seconds()
            self._retry = self._after(max(seconds, 0), self._try_again)
            return
        ended = (Trigger.ENDED,) if session.state in TRANSIENT else ()
        condition = session.condition
        if condition is not None and condition.reason == conditions.SERVER_DRAINING.reason:
            condition = None
        await self._begin(session.store_epoch, *ended, condition=condition)

    async def _was_pairing(self, session: Session) -> bool:
        if session.store_epoch or session.state not in TRANSIENT:
            return False
        return await self._files.has_store(self._name, session.last_store_epoch)

    async def _recover_pairing(self, session: Session) -> None:
        """The phone may have accepted just when the server died: only the store knows."""
        self._recovering_epoch = session.last_store_epoch
        await self._begin(session.last_store_epoch, Trigger.ENDED, desired=DesiredState.RUNNING)

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

    async def _try_again(self) -> None:
        session = self.session
        if self._engine_run is None and session.state is State.BACKING_OFF:
            await self._begin(self._recovering_epoch or session.store_epoch)

    def _wrong_state(self, *allowed_states: State) -> SessionWrongState:
        return SessionWrongState(
            session=str(self._name),
            state=self.session.state.name,
            allowed_states=tuple(state.name for state in allowed_states),
        )

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # --- what the engine reports

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

    async def _on_event(self, run: EngineRun, event: EngineEvent) -> None:
        if run is not self._engine_run:
            return
        match event:
            case QrCode():
                await self._on_qr_code(event)
            case Paired():
                await self._on_paired(event.account)
            case Connected():
                await self._on_connected(event.account)
            case KeepAliveRestored():
                await self._on_restored()
            case Ended():
                await self._on_ended(run, event)
            case _:
                await self._on_lost(_loss(event))

    async def _on_qr_code(self, code: QrCode) -> None:
        attempt = self._attempt
        if attempt is None or self.session.state is State.STOPPING:
            return
        attempt.show_qr(code.payload, self._clock.now(), code.lifetime)
        await self._recorder.move(Trigger.CHALLENGED)
        if attempt.wants_code:
            self._request_code(attempt)

    def _request_code(self, attempt: PairingAttempt) -> None:
        run, phone = self._engine_run, attempt.phone
        if run is None or not attempt.can_request_code:
            return
        attempt.wants_code = False

        async def request() -> None:
            try:
                code = await run.request_pairing_code(phone)
            except DomainError as error:
                self._later(partial(self._end_attempt, attempt, error))
            except Exception as error:
                logger.exception("pairing.code_failed", session=self._name.session_id)
                self._later(partial(self._end_attempt, attempt, error))
            else:
                attempt.show_code(code)

        self._spawn(request())

    async def _end_attempt(self, attempt: PairingAttempt, error: Exception) -> None:
        """Ends an attempt that is still going on; its engine's end tells the watchers."""
        if attempt is self._attempt and not self.session.store_epoch:
            attempt.failure = attempt.failure or error
            if self._engine_run is not None:
                self._engine_run.stop(self._config.grace)

    async def _on_paired(self, account: Account) -> None:
        attempt = self._attempt
        if attempt is not None:
            await self._recorder.change(store_epoch=attempt.epoch, account=account, condition=None)
            seconds = self._config.patience_after_pairing.total_seconds()
            self._be_patient(seconds, EndReason.CRASHED)

    async def _on_connected(self, account: Account) -> None:
        session, recovered = self.session, bool(self._recovering_epoch)
        changes: dict[str, Any] = {"account": _merged(session.account, account)}
        if self._recovering_epoch:
            changes["store_epoch"] = self._recovering_epoch
            self._recovering_epoch = 0
        if session.state is State.STOPPING:
            await self._recorder.change(**changes)
            return
        self._calm()
        self._history = self._history.connected(self._clock.monotonic())
        await self._recorder.move(Trigger.CONNECTED, condition=None, **changes)
        attempt, self._attempt = self._attempt, None
        if attempt is not None or recovered:
            self._spawn(self._after_pairing(attempt, account))
        self._tell_whatsapp()

    async def _after_pairing(self, attempt: PairingAttempt | None, account: Account) -> None:
        """The first backup, before anybody is told that the pairing is complete."""
        end: PairingCompleted | Exception = ServerDraining()
        try:
            async with asyncio.timeout(self._config.first_backup_limit.total_seconds()):
                await self._services.on_paired(self._name)
            end = PairingCompleted(account=account)
        except Exception as error:
            logger.exception("pairing.first_backup_failed", session=self._name.session_id)
            reason = error.reason if isinstance(error, DomainError) else "INTERNAL"
            self._later(partial(self._on_first_backup_failed, reason))
            end = PairingCompleted(account=account)
        finally:
            if attempt is not None:
                attempt.end(end)

    async def _on_first_backup_failed(self, reason: str) -> None:
        session = self.session
        if session.state is State.ACTIVE and session.condition is None:
            await self._recorder.change(condition=conditions.first_backup_failed(reason))

    async def _on_lost(self, condition: Condition) -> None:
        if self.session.state is State.ACTIVE:
            self._history = self._history.lost(self._clock.monotonic(), self._config.policy)
            await self._recorder.move(Trigger.LOST, condition=condition)
            self._be_patient(self._config.patience.total_seconds(), EndReason.CONNECT_FAILED)

    async def _on_restored(self) -> None:
        if self.session.condition == conditions.KEEPALIVE_TIMEOUT:
            self._calm()
            self._history = self._history.connected(self._clock.monotonic())
            await self._recorder.move(Trigger.CONNECTED, condition=None)

    def _tell_whatsapp(self) -> None:
        """For an UnlinkSession that has waited for the connection."""
        run, leaving = self._engine_run, self._leaving
        if run is None or leaving is None or leaving.exit is not Exit.UNLINK:
            return

        async def unlink() -> None:
            try:
                await run.unlink()
                leaving.is_told = True
            except DomainError as error:
                self._later(partial(self._on_unlink_failed, leaving, error))
            except Exception as error:
                logger.exception("session.unlink_failed", session=self._name.session_id)
                self._later(partial(self._on_unlink_failed, leaving, error))
            else:
                run.stop(self._config.grace)

        self._spawn(unlink())

    async def _on_unlink_failed(self, leaving: Leaving, error: Exception) -> None:
        """The session goes on as it was wanted before."""
        if leaving is not self._leaving:
            return
        self._leaving = None
        leaving.fail(error)
        if self._engine_run is not None and self.session.desired is DesiredState.STOPPED:
            await self._recorder.move(Trigger.STOP)
            self._engine_run.stop(self._config.grace)

    # --- what follows an end

    async def _on_ended(self, run: EngineRun, ended: Ended) -> None:
        self._engine_run = None
        self._calm()
        self._history = self._history.lost(self._clock.monotonic(), self._config.policy)
        was_asked = run.is_stopping() and ended.reason is EndReason.STOPPED
        if self._restart_because is not None and was_asked:
            ended, was_asked = replace(ended, reason=self._restart_because), False
        self._restart_because = None
        await self._note_clean_end(run, ended)
        if self._attempt is not None and not self.session.store_epoch:
            await self._on_pairing_failed(self._attempt, ended)
        elif self._recovering_epoch:
            await self._on_recovery_ended(ended)
        else:
            await self._follow_up(ended, was_asked=was_asked)
        if self._leaving is not None and self._leaving.exit is Exit.DELETE:
            await self._finish_delete(self._leaving)
        if self._engine_run is None:
            self._went_down.set()

    async def _note_clean_end(self, run: EngineRun, ended: Ended) -> None:
        """A store whose engine ended cleanly is provably at its last state: see restore EXACT."""
        session = self.session
        untouched = not run.was_started and session.clean_epoch == session.connect_epoch - 1
        if untouched or (run.was_started and ended.clean):
            await self._recorder.change(clean_epoch=session.connect_epoch)

    async def _follow_up(self, ended: Ended, *, was_asked: bool) -> None:
        leaving, revoked = self._leaving, TABLE[ended.reason].cure is Cure.PAIRING
        if leaving is not None and leaving.exit is Exit.UNLINK:
            self._leaving = None
            if leaving.is_told or revoked:
                await self._finish_unlink(leaving, conditions.UNLINKED_BY_USER)
                return
            leaving.fail(EngineUnavailable(session=str(self._name)))
        if revoked:
            await self._revoke(condition_of(ended))
            self._fail_attempt(PairingRejected(session=str(self._name)))
        elif self._is_draining:
            await self._recorder.move(Trigger.ENDED, condition=conditions.SERVER_DRAINING)
            self._fail_attempt(ServerDraining())
        elif self.session.desired is DesiredState.STOPPED:
            await self._recorder.move(Trigger.ENDED, condition=None)
            self._fail_attempt(self._wrong_state(State.PAIRING))
        elif was_asked:  # to stop, and to start again before it had ended
            await self._begin(self.session.store_epoch, Trigger.ENDED, condition=None)
        else:
            await self._decide(ended)

    async def _decide(self, ended: Ended) -> None:
        policy = self._config.policy
        now, uniform = self._clock.monotonic(), self._services.uniform
        decision = decide(self._history, ended, now, uniform, policy)
        if isinstance(decision, GiveUp):
            await self._recorder.move(Trigger.GIVE_UP, condition=decision.condition)
            self._fail_attempt(EngineUnavailable(session=str(self._name)))
            return
        self._history = decision.history
        next_attempt = self._clock.now() + decision.delay
        await self._recorder.move(
            Trigger.RETRY, condition=decision.condition, next_attempt_time=next_attempt
        )
        self._retry = self._after(decision.delay.total_seconds(), self._try_again)

    async def _on_pairing_failed(self, attempt: PairingAttempt, ended: Ended) -> None:
        """Goes back to how the session was; the unused store goes to trash."""
        before, session = attempt.before, self.session
        error = attempt.failure or pairing_error(self._name, ended.reason)
        triggers, condition = [Trigger.ENDED], pairing_condition(attempt.failure, ended)
        if before.state is State.UNLINKED:
            triggers, condition = [Trigger.ENDED, Trigger.REVOKED], before.condition
        was_stopped = session.desired is DesiredState.STOPPED
        desired = DesiredState.STOPPED if was_stopped else before.desired
        await self._recorder.move(*triggers, condition=condition, desired=desired)
        reason = "pairing-" + _slug(condition.reason if condition else "stopped")
        await self._files.discard_epoch(self._name, attempt.epoch, reason)
        self._attempt = None
        attempt.end(error)

    def _fail_attempt(self, error: Exception) -> None:
        """For an attempt that the phone has accepted but that never connected."""
        if self._attempt is not None:
            self._attempt.end(self._attempt.failure or error)
            self._attempt = None

    async def _on_recovery_ended(self, ended: Ended) -> None:
        """Still not known whether the phone had accepted, unless the store holds no device."""
        if self._is_draining:
            await self._recorder.move(Trigger.RETRY, condition=conditions.SERVER_DRAINING)
        elif (
            TABLE[ended.reason].cure in {Cure.PERSON, Cure.PAIRING}
            or self.session.desired is DesiredState.STOPPED
        ):
            epoch, self._recovering_epoch = self._recovering_epoch, 0
            await self._recorder.move(Trigger.ENDED, desired=DesiredState.STOPPED, condition=None)
            await self._files.discard_epoch(self._name, epoch, "pairing-interrupted")
        else:
            await self._decide(ended)

    async def _revoke(self, condition: Condition, **changes: Any) -> Session:
        """The keys stay, in trash: WhatsApp has been seen to change its mind."""
        epoch = self.session.store_epoch
        session = await self._recorder.move(
            Trigger.REVOKED, condition=condition, store_epoch=0, **changes
        )
        await self._files.discard_epoch(self._name, epoch, _slug(condition.reason))
        return session

    async def _finish_unlink(self, leaving: Leaving, condition: Condition) -> None:
        self._cancel_retry()
        leaving.succeed(await self._revoke(condition, desired=DesiredState.STOPPED))

    async def _finish_delete(self, leaving: Leaving) -> None:
        self._leaving = None
        now = self._clock.now()
        session = await self._recorder.move(
            Trigger.DELETE,
            desired=DesiredState.STOPPED,
            condition=None,
            delete_time=now,
            purge_time=now + self._config.trash_time,
        )
        await self._files.discard_session(self._name)
        leaving.succeed(session)

    async def _on_bug(self, error: Exception) -> None:
        """Whatever went wrong, it is this session's problem alone, and a person hears of it."""
        run, self._engine_run = self._engine_run, None
        if run is not None:
            run.stop(timedelta())
        self._calm()
        self._cancel_retry()
        self._recovering_epoch = 0
        if self._attempt is not None:
            self._attempt.end(error)
            self._attempt = None
        if self._leaving is not None:
            self._leaving.fail(error)
            self._leaving = None
        self._went_down.set()
        if self.session.state is not State.DELETED:
            await self._recorder.move(Trigger.GIVE_UP, condition=conditions.INTERNAL)


def pairing_error(name: SessionName, reason: EndReason) -> DomainError:
    """How the end of an engine is told to those who watch a pairing."""
    errors: dict[EndReason, type[Precondition]] = {
        EndReason.PAIRING_EXPIRED: PairingExpired,
        EndReason.CLIENT_OUTDATED: ClientOutdated,
        EndReason.PAIRING_REJECTED: PairingRejected,
        EndReason.LOGIN_REFUSED: PairingRejected,
        EndReason.LOGGED_OUT: PairingRejected,
        EndReason.ACCOUNT_LOCKED: PairingRejected,
        EndReason.ACCOUNT_BANNED: PairingRejected,
        EndReason.TEMPORARY_BAN: PairingRejected,
    }
    error = errors.get(reason)
    return error(session=str(name)) if error else EngineUnavailable(session=str(name))


def pairing_condition(failure: Exception | None, ended: Ended) -> Condition | None:
    """What a session shows after a pairing that failed; None if it was called off."""
    if failure is None:
        return conditions.pairing_failed(condition_of(ended))
    if isinstance(failure, PairingRejected):
        return condition_of(replace(ended, reason=EndReason.PAIRING_REJECTED))
    if isinstance(failure, SessionWrongState | ServerDraining):
        return None
    return conditions.INTERNAL


def _loss(event: EngineEvent) -> Condition:
    match event:
        case KeepAliveTimeout():
            return conditions.KEEPALIVE_TIMEOUT
        case StreamFailed():
            return conditions.stream_error(event.engine_code)
        case Disconnected():
            return conditions.CONNECTION_LOST
        case _:
            message = f"unexpected {type(event).__name__}"
            raise AssertionError(message)


def _merged(known: Account | None, reported: Account) -> Account:
    """The engine does not always know everything again."""
    if known is None or known.jid != reported.jid:
        return reported
    return replace(
        reported,
        lid=reported.lid or known.lid,
        push_name=reported.push_name or known.push_name,
    )


def is_ban(condition: Condition) -> bool:
    """Whether it says to wait until a ban is over."""
    return condition.reason == TABLE[EndReason.TEMPORARY_BAN].reason


def _may_be_cured(condition: Condition | None) -> bool:
    return condition is not None and condition.reason in RETRIED_BY_A_NEW_SERVER


def _slug(reason: str) -> str:
    return reason.lower().replace("_", "-")
