"""How a session gets its credentials, and how it leaves them."""

import asyncio
from dataclasses import dataclass, replace
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
    SessionLeased,
    SessionWrongState,
)
from server.core.names import SessionName
from server.engine.base import Account, Ended, EndReason, QrCode

from . import conditions
from .actor import Timer
from .machine import Trigger
from .model import TRANSIENT, Condition, DesiredState, Session, State
from .pairing import PairingAttempt, PairingCompleted
from .restarts import TABLE, Cure, condition_of
from .runner import Runner
from .services import Services

logger = structlog.get_logger(__name__)


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


class Linking(Runner):
    """Pairing attempts, unlinking and deleting, as far as the engine's events drive them."""

    def __init__(self, name: SessionName, services: Services) -> None:
        super().__init__(name, services)
        self._attempt: PairingAttempt | None = None
        self._leaving: Leaving | None = None

    # --- pairing

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
        self._recorder.backup_condition = conditions.first_backup_failed(reason)
        await self._recorder.change()

    async def _on_pairing_failed(self, attempt: PairingAttempt, ended: Ended) -> None:
        """Goes back to how the session was; the unused store goes to trash."""
        before, session = attempt.before, self.session
        error = attempt.failure or pairing_error(self._name, ended.reason)
        triggers, condition = [Trigger.ENDED], pairing_condition(attempt.failure, ended)
        why = "pairing-" + _slug(condition.reason if condition else "stopped")
        why = why.replace("pairing-pairing-", "pairing-")
        if before.state is State.UNLINKED:
            triggers, condition = [Trigger.ENDED, Trigger.REVOKED], before.condition
        was_stopped = session.desired is DesiredState.STOPPED
        desired = DesiredState.STOPPED if was_stopped else before.desired
        await self._recorder.move(*triggers, condition=condition, desired=desired)
        await self._files.discard_epoch(self._name, attempt.epoch, why)
        self._attempt = None
        attempt.end(error)

    def _fail_attempt(self, error: Exception) -> None:
        """For an attempt that the phone has accepted but that never connected."""
        if self._attempt is not None:
            self._attempt.end(self._attempt.failure or error)
            self._attempt = None

    # --- a pairing that was interrupted

    async def _was_pairing(self, session: Session) -> bool:
        if session.store_epoch or session.state not in TRANSIENT:
            return False
        return await self._files.has_store(self._name, session.last_store_epoch)

    async def _recover_pairing(self, session: Session) -> None:
        """The phone may have accepted just when the server died: only the store knows."""
        self._recovering_epoch = session.last_store_epoch
        await self._begin(session.last_store_epoch, Trigger.ENDED, desired=DesiredState.RUNNING)

    async def _on_recovery_ended(self, ended: Ended) -> None:
        """Still not known whether the phone had accepted, unless the store holds no device."""
        if self._is_draining:
            await self._recorder.move(Trigger.RETRY, condition=conditions.SERVER_DRAINING)
        elif (
            TABLE[ended.reason].cure in {Cure.PERSON, Cure.PAIRING}
            or self.session.desired is DesiredState.STOPPED
        ):
            await self._abandon_recovery()
        else:
            await self._decide(ended)

    async def _abandon_recovery(self) -> Session:
        epoch, self._recovering_epoch = self._recovering_epoch, 0
        session = await self._recorder.move(
            Trigger.ENDED, desired=DesiredState.STOPPED, condition=None
        )
        await self._files.discard_epoch(self._name, epoch, "pairing-interrupted")
        return session

    # --- leaving

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

    async def _revoke(self, condition: Condition, **changes: Any) -> Session:
        """The keys stay, in trash: WhatsApp has been seen to change its mind."""
        before = self.session
        session = await self._recorder.move(
            Trigger.REVOKED, condition=condition, store_epoch=0, **changes
        )
        reason = condition.reason
        trash = await self._files.discard_epoch(self._name, before.store_epoch, _slug(reason))
        if trash:
            self._services.hooks.revoked(before, reason, trash)
        return session

    async def _finish_unlink(self, leaving: Leaving, condition: Condition) -> None:
        self._cancel_retry()
        self._services.permit.left(self._name)
        leaving.succeed(await self._revoke(condition, desired=DesiredState.STOPPED))

    async def _delete(self, leaving: Leaving) -> None:
        """The engine has ended: what there is is copied and goes to trash."""
        if self.session.is_paired:
            self._spawn(self._copy_and_delete(leaving))
        else:
            await self._finish_delete(leaving)

    async def _copy_and_delete(self, leaving: Leaving) -> None:
        """Trash has everything too, so that a storage that is away does not prevent it."""
        try:
            async with asyncio.timeout(self._config.last_backup_limit.total_seconds()):
                await self._services.hooks.before_delete(self._name)
        except Exception:
            logger.exception("session.deleted_without_backup", session=self._name.session_id)
        self._later(partial(self._finish_delete, leaving))

    async def _finish_delete(self, leaving: Leaving) -> None:
        if leaving is not self._leaving:
            return  # a bug has failed it
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
        self._services.permit.left(self._name)
        leaving.succeed(session)


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
        EndReason.LEASED: SessionLeased,
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


def _slug(reason: str) -> str:
    return reason.lower().replace("_", "-")
