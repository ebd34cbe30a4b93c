"""Keeps one session's engine in the condition that is wanted."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from server.core.errors import EngineUnavailable, PairingRejected, ServerDraining
from server.engine.base import (
    Account,
    Connected,
    Disconnected,
    Ended,
    EndReason,
    EngineEvent,
    KeepAliveRestored,
    KeepAliveTimeout,
    Paired,
    QrCode,
    StreamFailed,
)

from . import conditions
from .linking import Exit, Linking
from .machine import Trigger
from .model import TRANSIENT, Condition, DesiredState, Session, State
from .restarts import RETRIED_BY_A_NEW_SERVER, TABLE, Cure, condition_of
from .run import EngineRun

# What takes precedence over how the engine took its end.
LOSSES = frozenset({EndReason.LEASED, EndReason.STORAGE_AWAY})


class Keeper(Linking):
    """What follows a server's start, each event of the engine, and its end.

    What callers can ask for is in `supervisor.Supervisor`.
    """

    # --- the server starts

    async def _boot(self) -> None:
        """Goes on where the server before this one ended, however it ended."""
        session = self.session
        if conditions.is_about_backups(session.condition):
            self._recorder.backup_condition = session.condition
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

    # --- what the engine reports

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

    # --- what follows an end

    async def _on_ended(self, run: EngineRun, ended: Ended) -> None:
        self._engine_run = None
        self._calm()
        self._history = self._history.lost(self._clock.monotonic(), self._config.policy)
        was_asked = run.is_stopping() and ended.reason is EndReason.STOPPED
        is_lost = self._restart_because in LOSSES and TABLE[ended.reason].cure is not Cure.PAIRING
        if self._restart_because is not None and (was_asked or is_lost):
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
            await self._delete(self._leaving)
        if self._engine_run is None:
            self._tell_that_it_stopped()
            self._went_down.set()

    def _tell_that_it_stopped(self) -> None:
        session = self.session
        if not session.is_paired or session.desired is DesiredState.STOPPED:
            self._services.permit.left(self._name)
        is_over = session.state in {State.STOPPED, State.FAILED} and self._leaving is None
        if is_over and session.is_paired and session.clean_epoch == session.connect_epoch:
            self._services.hooks.stopped(self._name)

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
            if self.session.state is State.FAILED:
                self._fail_attempt(EngineUnavailable(session=str(self._name)))

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

    def _on_over(self) -> None:
        """Whoever waits for something is told."""
        self._fail_attempt(ServerDraining())
        if self._leaving is not None:
            self._leaving.fail(ServerDraining())
        self._went_down.set()


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
