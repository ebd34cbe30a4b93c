"""What callers can ask of one session."""

import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from server.core.errors import (
    EngineUnavailable,
    EtagMismatch,
    OperationInProgress,
    SendTimedOut,
    ServerDraining,
    SessionAlreadyPaired,
    SessionNotPaired,
    SessionWrongState,
)
from server.core.names import SessionName
from server.engine.base import Account, Ended, EndReason, Sent
from server.vault.model import Backup, BackupState

from . import conditions
from .keeper import Keeper, is_ban
from .linking import Exit, Leaving
from .machine import Trigger, allowed
from .model import (
    IDLE,
    TRANSIENT,
    BackupChanged,
    DesiredState,
    Session,
    SessionChanges,
    State,
)
from .pairing import PairingAttempt
from .recipient import Recipient
from .restarts import condition_of
from .services import Services

SECRET_BYTES = 32
# For an engine whose credentials another server is about to use.
AT_ONCE = timedelta(seconds=1)


class Supervisor(Keeper):
    """Takes requests, each in its turn, and stores what is wanted before it answers.

    Its coroutine methods are for `ask`, but for `send_text`, which runs in its caller's task: many
    sends go at once.
    """

    def __init__(self, name: SessionName, services: Services) -> None:
        super().__init__(name, services)
        self._holder = ""  # the operation that works on the session's files

    # --- start and stop

    async def start(self) -> Session:
        """Wants it up. Tries at once, unless WhatsApp's ban is not over yet."""
        self._refuse_while_busy()
        session = self.session
        if session.state is State.DELETED:
            raise self._wrong_state(*allowed(Trigger.START))
        if not session.is_paired:
            raise SessionNotPaired(session=str(self._name))
        if self._engine_run is not None or self._waits_for_ban():
            return await self._recorder.change(desired=DesiredState.RUNNING)
        self._refuse_second_user(session)
        self._cancel_retry()
        self._history = replace(self._history, failures=0)  # who asks has seen to the cause
        condition = session.condition if session.state is State.BACKING_OFF else None
        return await self._begin(
            session.store_epoch, desired=DesiredState.RUNNING, condition=condition
        )

    async def stop(self, grace: timedelta) -> Session:
        """Wants it down, and says so before the engine has ended."""
        if self.session.state is State.DELETED:
            raise self._wrong_state(*allowed(Trigger.STOP))
        self._cancel_retry()
        run, attempt = self._engine_run, self._attempt
        if run is None and self._recovering_epoch:
            return await self._abandon_recovery()
        if run is None:
            self._services.permit.left(self._name)
            condition = self.session.condition
            if self.session.state in {State.BACKING_OFF, State.FAILED}:
                condition = None
            return await self._recorder.move(
                Trigger.STOP, desired=DesiredState.STOPPED, condition=condition
            )
        if attempt is not None:
            attempt.failure = attempt.failure or self._wrong_state(State.PAIRING)
        session = await self._recorder.move(Trigger.STOP, desired=DesiredState.STOPPED)
        run.stop(grace)
        return session

    async def lose(self, because: EndReason) -> asyncio.Event:
        """Ends the engine at once; what follows is decided by the reason. The event tells when."""
        run = self._engine_run
        if run is not None:
            self._restart_because = because
            run.stop(AT_ONCE)
        elif self.session.state is State.BACKING_OFF and because is EndReason.LEASED:
            self._cancel_retry()
            ended = Ended(reason=because, clean=False)
            await self._recorder.move(Trigger.GIVE_UP, condition=condition_of(ended))
        return self._went_down

    async def drain(self, grace: timedelta) -> asyncio.Event:
        """Ends the engine for good, without changing what is wanted. The event tells when."""
        self._is_draining = True
        self._cancel_retry()
        if self._attempt is not None:
            self._attempt.failure = self._attempt.failure or ServerDraining()
        if self._engine_run is not None:
            await self._recorder.move(Trigger.STOP)
            self._engine_run.stop(grace)
        return self._went_down

    def _waits_for_ban(self) -> bool:
        condition = self.session.condition
        return self._retry is not None and condition is not None and is_ban(condition)

    # --- the resource

    async def update(self, changes: SessionChanges, etag: str) -> Session:
        """Changes what is the owner's; a new proxy is used from the next start on."""
        session = self.session
        if session.state is State.DELETED:
            raise self._wrong_state(*allowed(Trigger.DELETE))
        self._check_etag(etag)
        fields = {
            "display_name": changes.display_name,
            "labels": None if changes.labels is None else dict(changes.labels),
            "proxy_url": changes.proxy_url,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return await self._recorder.change(**given)

    async def delete(self, etag: str) -> "asyncio.Future[Session]":
        """Moves it to trash once its engine has ended; the future tells when."""
        leaving = self._leaving
        if leaving is not None and leaving.exit is Exit.DELETE:
            return leaving.done
        self._refuse_while_busy()
        if self.session.state is State.DELETED:
            done: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
            done.set_result(self.session)
            return done
        self._check_etag(etag)
        self._cancel_retry()
        leaving = self._leave(Exit.DELETE)
        run = self._engine_run
        if run is None:
            if self._recovering_epoch:
                await self._abandon_recovery()
            await self._delete(leaving)
        else:
            if self._attempt is not None:
                self._attempt.failure = self._attempt.failure or self._wrong_state(State.PAIRING)
            await self._recorder.move(Trigger.STOP, desired=DesiredState.STOPPED)
            run.stop(self._config.grace)
        return leaving.done

    async def undelete(self) -> Session:
        """Moves it back from trash."""
        if self._is_draining:
            raise ServerDraining
        if self.session.state is not State.DELETED:
            raise self._wrong_state(State.DELETED)
        await self._files.bring_back_session(self._name)
        return await self._recorder.move(Trigger.UNDELETE, delete_time=None, purge_time=None)

    # --- pairing

    async def pair(self, phone: str | None) -> PairingAttempt:
        """The running attempt, or a new one in a fresh store."""
        self._refuse_while_busy()
        session, attempt = self.session, self._attempt
        if attempt is None:
            if session.state is State.DELETED:
                raise self._wrong_state(*allowed(Trigger.START))
            if session.is_paired:
                raise SessionAlreadyPaired(session=str(self._name))
            no_engine = self._engine_run is None and not self._recovering_epoch
            if session.state not in allowed(Trigger.START) or not no_engine:
                raise self._wrong_state(*allowed(Trigger.START))
            attempt = await self._new_attempt(session)
        if phone is not None and phone != attempt.phone:
            attempt.phone = phone
            attempt.wants_code = True
            self._request_code(attempt)
        return attempt

    async def _new_attempt(self, session: Session) -> PairingAttempt:
        await self._files.discard_others(self._name, keep=0)
        epoch = await self._files.next_epoch(self._name, session.last_store_epoch)
        attempt = PairingAttempt(before=session, epoch=epoch)
        self._recorder.backup_condition = None
        await self._begin(
            epoch,
            fresh=True,
            last_store_epoch=epoch,
            desired=DesiredState.RUNNING,
            condition=None,
        )
        self._attempt = attempt
        return attempt

    async def unlink(self) -> "asyncio.Future[Session]":
        """Logs the device out on WhatsApp, connecting first if need be; the future tells when.

        A session that has given up cannot connect: it is unlinked on this side only.
        """
        leaving = self._leaving
        if leaving is not None and leaving.exit is Exit.UNLINK:
            return leaving.done
        self._refuse_while_busy()
        session = self.session
        if session.state is State.DELETED:
            raise self._wrong_state(*allowed(Trigger.REVOKED))
        if not session.is_paired:
            raise SessionNotPaired(session=str(self._name))
        if self._engine_run is not None and self._engine_run.is_stopping():
            raise EngineUnavailable(session=str(self._name))
        leaving = self._leave(Exit.UNLINK)
        if session.state is State.FAILED and self._engine_run is None:
            self._leaving = None
            await self._finish_unlink(leaving, conditions.UNLINKED_HERE_ONLY)
            return leaving.done
        error = EngineUnavailable(session=str(self._name))
        seconds = self._config.patience_for_unlink.total_seconds()
        leaving.deadline = self._after(seconds, partial(self._on_unlink_failed, leaving, error))
        if self._engine_run is None:
            self._cancel_retry()
            await self._begin(session.store_epoch)
        elif session.state is State.ACTIVE:
            self._tell_whatsapp()
        return leaving.done

    # --- messages

    async def send_text(
        self, recipient: Recipient, text: str, secret: bytes, *, repeated: bool = False
    ) -> Sent:
        """Sends over the present connection."""
        run, session = self._engine_run, self.session
        if not session.is_paired and session.state is not State.DELETED:
            raise SessionNotPaired(session=str(self._name))
        # ACTIVE without an engine: the server before this one ended so, and this one begins.
        is_starting = run is None and session.state is State.ACTIVE
        if is_starting or session.state in {State.CONNECTING, State.BACKING_OFF}:
            raise EngineUnavailable(session=str(self._name))
        if run is None or session.state is not State.ACTIVE:
            raise self._wrong_state(State.ACTIVE)
        if repeated and (message_id := await run.find_sent(secret)) is not None:
            raise SendTimedOut(session=str(self._name), message_id=message_id)
        try:
            return await run.send_text(recipient=recipient.jid, text=text, secret=secret)
        except SendTimedOut:
            # whatsmeow may hold its send lock for ever now.
            if run is self._engine_run:
                self._replace_engine(EndReason.CRASHED)
            raise

    # --- backups

    async def tell_backup(self, backup: Backup, *, is_newest: bool) -> None:
        """Lets subscribers know of a backup; the newest one decides the session's condition."""
        if is_newest:
            is_suspect = backup.state is BackupState.SUSPECT
            problem = backup.state_reason
            self._recorder.backup_condition = (
                conditions.backup_suspect(problem) if is_suspect else None
            )
        await self._recorder.tell(BackupChanged(backup=backup))

    async def tell_backup_failing(self, reason: str) -> None:
        """Shows that no backup could be made for a while, unless a suspect one says more."""
        shown = self._recorder.backup_condition
        if shown is None or shown.reason != conditions.backup_suspect("").reason:
            self._recorder.backup_condition = conditions.backup_failing(reason)
            await self._recorder.change()

    # --- restores

    @property
    def holder(self) -> str:
        """The operation that holds the session; empty if none does."""
        return self._holder

    def hold(self, operation: str) -> None:
        """Raises OperationInProgress if another operation works on the session."""
        self._refuse_while_busy()
        self._holder = operation

    def release(self) -> None:
        """The operation is over."""
        self._holder = ""

    async def install(self, store: Path, account: Account, reason: str) -> tuple[Session, str]:
        """Puts another store in place of the present one; says where in trash that went."""
        session = self.session
        if self._engine_run is not None or session.state not in allowed(Trigger.INSTALL):
            raise self._wrong_state(*allowed(Trigger.INSTALL))
        epoch = await self._files.next_epoch(self._name, session.last_store_epoch)
        await self._files.install(self._name, epoch, store)
        self._recorder.backup_condition = None
        installed = await self._recorder.move(
            Trigger.INSTALL,
            store_epoch=epoch,
            last_store_epoch=epoch,
            account=account,
            desired=DesiredState.STOPPED,
            condition=None,
        )
        if not session.store_epoch:
            return installed, ""
        return installed, await self._files.discard_epoch(self._name, session.store_epoch, reason)

    async def start_held(self) -> Session:
        """Starts it for the operation that holds it."""
        holder, self._holder = self._holder, ""
        try:
            return await self.start()
        finally:
            self._holder = holder

    async def roll_back(self, before: Session | None, trash: str) -> Session:
        """Undoes `install`: what it put in place goes to trash, the store in `trash` comes back."""
        session = self.session
        if self._engine_run is not None or session.state not in allowed(Trigger.INSTALL):
            raise self._wrong_state(*allowed(Trigger.INSTALL))
        refused, epoch, last = session.store_epoch, 0, session.last_store_epoch
        if trash:
            epoch = last = await self._files.next_epoch(self._name, last)
            await self._files.bring_back_epoch(self._name, trash, epoch)
        then = {State.FAILED: [Trigger.GIVE_UP], State.UNLINKED: [Trigger.REVOKED]}
        rolled_back = await self._recorder.move(
            Trigger.INSTALL,
            *(then.get(before.state, []) if before else []),
            store_epoch=epoch,
            last_store_epoch=last,
            account=before.account if before else None,
            desired=DesiredState.STOPPED,
            condition=before.condition if before else None,
        )
        if refused:
            await self._files.discard_epoch(self._name, refused, "restore-refused")
        return rolled_back

    # --- checks

    def _leave(self, way: Exit) -> Leaving:
        self._leaving = Leaving(exit=way, done=asyncio.get_running_loop().create_future())
        return self._leaving

    def _refuse_while_busy(self) -> None:
        if self._is_draining:
            raise ServerDraining
        if self._leaving is not None:
            raise self._wrong_state(*allowed(Trigger.INSTALL))
        if self._holder:
            raise OperationInProgress(session=str(self._name), operation=self._holder)

    def _refuse_second_user(self, session: Session) -> None:
        """One device connects once: a second session with it would throw the first one out."""
        for other in self._services.registry:
            if other.name != session.name and other.state in TRANSIENT and _is_same(other, session):
                raise SessionWrongState(
                    session=str(other.name),
                    state=other.state.name,
                    allowed_states=tuple(sorted(state.name for state in IDLE)),
                )

    def _check_etag(self, etag: str) -> None:
        if etag and etag != self.session.etag:
            raise EtagMismatch(session=str(self._name))


def _is_same(one: Session, other: Session) -> bool:
    """Whether two sessions have the same device of the same account."""
    left, right = one.account, other.account
    return (
        left is not None
        and right is not None
        and (left.jid, left.device) == (right.jid, right.device)
    )


def fresh_secret() -> bytes:
    """What `send_text` needs from a caller who will not ask for the message later."""
    return secrets.token_bytes(SECRET_BYTES)
