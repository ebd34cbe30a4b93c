"""All sessions: owns their supervisors and is what the rooms above talk to."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from server.core.clock import Clock
from server.core.errors import ServerDraining, SessionExists, SessionNotFound
from server.core.ids import random_id
from server.core.names import SessionName
from server.engine.base import Account, EndReason, Engine, Sent
from server.vault.model import Backup

from .files import SessionFiles
from .hooks import Hooks
from .journal import Journal
from .model import DesiredState, Session, SessionChanged, SessionChanges, State
from .pairing import PairingStep
from .permits import Everything, Permit
from .recipient import Recipient, parse_phone
from .registry import SessionRegistry
from .services import Services, SupervisionConfig
from .supervisor import Supervisor, fresh_secret

logger = structlog.get_logger(__name__)

ETAG_LENGTH = 8
ID_LENGTH = 12


class Held:
    """A session that one operation has for itself."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._trash = ""

    @property
    def trash(self) -> str:
        """Where `install` put the store that was there, below the data directory; empty: none."""
        return self._trash

    async def install(self, store: Path, *, account: Account, reason: str = "restore") -> Session:
        """Moves the single file `store` in as the session's credentials.

        It gets an epoch of its own; the store before it goes to trash, for this reason. The
        session is left STOPPED. Raises SessionWrongState unless it is STOPPED, FAILED or UNLINKED.
        """
        supervisor = self._supervisor
        session, self._trash = await supervisor.ask(
            lambda: supervisor.install(store, account, reason)
        )
        return session

    async def start(self) -> Session:
        """As `SessionManager.start`, which is refused to everybody else meanwhile."""
        return await self._supervisor.ask(self._supervisor.start_held)

    async def roll_back(self, before: Session | None, trash: str) -> Session:
        """Undoes an `install`: `before` is the session before it, `trash` where its store went.

        Raises SessionWrongState unless it is STOPPED, FAILED or UNLINKED.
        """
        supervisor = self._supervisor
        return await supervisor.ask(lambda: supervisor.roll_back(before, trash))


class SessionManager:
    """Every session has a supervisor, from its creation on, which alone changes it.

    Entering it resumes the sessions that are wanted running. Leaving it drains first, unless that
    was done.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        registry: SessionRegistry,
        engine: Engine,
        clock: Clock,
        data_dir: Path,
        on_paired: Callable[[SessionName], Awaitable[None]],
        hooks: Hooks | None = None,
        permit: Permit | None = None,
        config: SupervisionConfig | None = None,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._journal = journal
        self._registry = registry
        self._clock = clock
        self._config = config or SupervisionConfig()
        self._files = SessionFiles(data_dir, clock)
        self._services = Services(
            journal=journal,
            registry=registry,
            engine=engine,
            files=self._files,
            clock=clock,
            slots=asyncio.Semaphore(self._config.concurrent_starts),
            on_paired=on_paired,
            hooks=hooks or Hooks(),
            permit=permit or Everything(),
            uniform=uniform,
            new_etag=lambda: random_id(ETAG_LENGTH),
            config=self._config,
        )
        self._tasks = asyncio.TaskGroup()
        self._supervisors: dict[SessionName, Supervisor] = {}
        self._running: list[asyncio.Task[None]] = []
        self._creating: set[SessionName] = set()
        self._is_draining = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for session in self._registry:
            self._supervise(session.name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self.drain(self._config.grace)
        finally:
            for task in self._running:
                task.cancel()
            await self._tasks.__aexit__(kind, error, traceback)
            self._files.close()

    # --- reading

    def get(self, name: SessionName, *, show_deleted: bool = True) -> Session:
        """As last committed, without I/O. Raises SessionNotFound."""
        return self._registry.get(name, show_deleted=show_deleted)

    def list(
        self,
        *,
        states: frozenset[State] = frozenset(),
        show_deleted: bool = False,
        after: str = "",
        limit: int | None = None,
    ) -> list[Session]:
        """By name, those after the session id `after`; see `SessionRegistry.list`."""
        return self._registry.list(
            states=states, show_deleted=show_deleted, after=after, limit=limit
        )

    async def until(self, name: SessionName, is_so: Callable[[Session], bool]) -> Session:
        """The session once `is_so` of it as committed. Raises SessionNotFound."""
        while not is_so(session := self.get(name)):
            await self._registry.changed.wait()
        return session

    def store_path(self, name: SessionName) -> Path | None:
        """The credential store in use; None if the session has no credentials (or is deleted)."""
        session = self._registry.get(name)
        if not session.is_paired or session.state is State.DELETED:
            return None
        return self._files.store(name, session.store_epoch)

    # --- the resource

    async def create(
        self,
        *,
        session_id: str = "",
        display_name: str = "",
        labels: Mapping[str, str] | None = None,
        proxy_url: str = "",
    ) -> Session:
        """Makes a stopped session; an empty id lets the server choose. Raises SessionExists."""
        if self._is_draining:
            raise ServerDraining
        name = SessionName.from_id(session_id or random_id(ID_LENGTH))
        if name in self._registry or name in self._creating:
            raise SessionExists(session=str(name))
        now = self._clock.now()
        session = Session(
            name=name,
            state=State.STOPPED,
            desired=DesiredState.STOPPED,
            etag=self._services.new_etag(),
            create_time=now,
            state_change_time=now,
            display_name=display_name,
            labels=dict(labels or {}),
            proxy_url=proxy_url,
        )
        self._creating.add(name)
        try:
            await self._journal.record(session, [SessionChanged(session=session)])
        finally:
            self._creating.discard(name)
        logger.info("session.created", session=name.session_id)
        return session

    async def update(self, name: SessionName, changes: SessionChanges, etag: str = "") -> Session:
        """Raises EtagMismatch, SessionWrongState when it is deleted."""
        supervisor = self._find(name)
        return await supervisor.ask(lambda: supervisor.update(changes, etag))

    async def delete(self, name: SessionName, etag: str = "") -> Session:
        """Stops it and moves it to trash; a deleted one is left as it is.

        Raises EtagMismatch, OperationInProgress.
        """
        supervisor = self._find(name)
        return await asyncio.shield(await supervisor.ask(lambda: supervisor.delete(etag)))

    async def undelete(self, name: SessionName) -> Session:
        """Brings a deleted session back, stopped. Raises SessionWrongState."""
        supervisor = self._find(name)
        return await supervisor.ask(supervisor.undelete)

    # --- running

    async def start(self, name: SessionName) -> Session:
        """Wants it running.

        Raises SessionNotPaired, OperationInProgress, SessionWrongState; that of another session
        which is using the same device.
        """
        supervisor = self._find(name)
        return await supervisor.ask(supervisor.start)

    async def stop(self, name: SessionName, grace: timedelta | None = None) -> Session:
        """Wants it stopped; sends in flight have `grace` to finish. Raises SessionWrongState."""
        supervisor = self._find(name)
        time = self._config.grace if grace is None else grace
        return await supervisor.ask(lambda: supervisor.stop(time))

    async def drain(self, grace: timedelta) -> None:
        """Ends all engines without changing what is wanted; returns when they are gone.

        From here on everything that would start or change a session raises ServerDraining.
        """
        self._is_draining = True
        async with asyncio.TaskGroup() as group:
            for supervisor in self._supervisors.values():
                group.create_task(_drain(supervisor, grace))

    async def lose(self, name: SessionName, *, to_other: bool) -> None:
        """Ends a session's engine at once; returns when it is gone. What is wanted stays.

        `to_other`: another server has the session now, and it is not started again by itself.
        Otherwise it is tried again, and `Permit.enter` decides.
        """
        because = EndReason.LEASED if to_other else EndReason.STORAGE_AWAY
        supervisor = self._supervisors.get(name)
        if supervisor is not None:
            with suppress(ServerDraining):
                went_down = await supervisor.ask(lambda: supervisor.lose(because))
                await went_down.wait()

    # --- linking

    async def pair(self, name: SessionName, phone: str | None = None) -> AsyncIterator[PairingStep]:
        """Follows the session's pairing attempt, beginning one if there is none.

        Without `phone` by QR code, with an E.164 number by pairing code. Leaving the iterator does
        not end the attempt. Raises FieldInvalid, SessionAlreadyPaired, SessionWrongState,
        OperationInProgress at once; PairingExpired, PairingRejected, ClientOutdated,
        EngineUnavailable, or SessionWrongState when the session was stopped, at the end.
        """
        digits = None if phone is None else parse_phone(phone, "phone.phone_number")
        supervisor = self._find(name)
        attempt = await supervisor.ask(lambda: supervisor.pair(digits))
        async for step in attempt.follow(by_code=digits is not None):
            yield step

    async def unlink(self, name: SessionName) -> Session:
        """Logs the device out and moves its credentials to trash.

        Raises SessionNotPaired, EngineUnavailable when WhatsApp could not be told,
        OperationInProgress.
        """
        supervisor = self._find(name)
        return await asyncio.shield(await supervisor.ask(supervisor.unlink))

    # --- messages

    async def send_text(
        self,
        name: SessionName,
        recipient: Recipient,
        text: str,
        *,
        secret: bytes = b"",
        repeated: bool = False,
    ) -> Sent:
        """Sends a text; `secret` as in `EngineSession.send_text`, fresh if not given.

        `repeated`: an earlier try with this secret may have got through. If it may, nothing is
        sent and the answer is SendTimedOut with that message's id: better once too few than twice.

        Raises SessionNotPaired, SessionWrongState, EngineUnavailable (certainly not sent),
        RecipientNotFound, SendTimedOut.
        """
        supervisor = self._find(name)
        return await supervisor.send_text(
            recipient, text, secret or fresh_secret(), repeated=repeated
        )

    # --- for backups

    @asynccontextmanager
    async def hold(self, name: SessionName, operation: str) -> AsyncIterator[Held]:
        """Keeps other operations off the session, and start, pair, unlink and delete.

        A running session goes on running. Raises OperationInProgress, SessionNotFound,
        SessionWrongState while it is being deleted or unlinked.
        """
        supervisor = self._find(name)
        supervisor.hold(operation)
        try:
            yield Held(supervisor)
        finally:
            supervisor.release()

    async def tell_backup(
        self, name: SessionName, backup: Backup, *, is_newest: bool = False
    ) -> None:
        """Lets subscribers know of a backup; the newest one decides the session's condition.

        Raises SessionNotFound, ServerDraining.
        """
        supervisor = self._find(name)
        await supervisor.ask(lambda: supervisor.tell_backup(backup, is_newest=is_newest))

    async def tell_backup_failing(self, name: SessionName, reason: str) -> None:
        """Shows that no backup could be made for a while, until one is. Raises SessionNotFound."""
        supervisor = self._find(name)
        await supervisor.ask(lambda: supervisor.tell_backup_failing(reason))

    def _find(self, name: SessionName) -> Supervisor:
        supervisor = self._supervisors.get(name)
        if supervisor is not None:
            return supervisor
        if name not in self._registry:
            raise SessionNotFound(name=str(name))
        return self._supervise(name)

    def _supervise(self, name: SessionName) -> Supervisor:
        supervisor = Supervisor(name, self._services)
        self._supervisors[name] = supervisor
        task_name = f"session/{name.session_id}/supervisor"
        self._running.append(self._tasks.create_task(supervisor.run(), name=task_name))
        return supervisor


async def _drain(supervisor: Supervisor, grace: timedelta) -> None:
    try:
        went_down = await supervisor.ask(lambda: supervisor.drain(grace))
    except ServerDraining:
        return
    await went_down.wait()
