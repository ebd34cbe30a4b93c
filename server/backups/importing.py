"""Carrying out one import of other programs' credentials."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from server.core.clock import Clock
from server.core.errors import CredentialsExist, DomainError, SessionNotFound, SessionWrongState
from server.core.names import SessionName
from server.engine.base import Account
from server.sessions.model import IDLE, Session, State
from server.vault.model import Backup, BackupKind
from server.vault.workers import Workers

from .imports.convert import convert
from .imports.model import Converted, ImportRequest, ImportResult
from .operation import Operation
from .operations import Operations, Report
from .ports import Fence, Sessions, Unfenced
from .scratch import Scratch

logger = structlog.get_logger(__name__)

RUNNING = frozenset(State) - IDLE - {State.DELETED}
TRASH_REASON = "import"
BackUp = Callable[[SessionName, BackupKind], Awaitable[Backup]]


@dataclass(frozen=True, slots=True)
class Importer:
    """Converts in scratch, installs the result, and backs it up before anything connects.

    `template` is the engine's empty store; `back_up` is `BackupService.backup_now`.
    """

    sessions: Sessions
    workers: Workers
    scratch: Scratch
    clock: Clock
    template: Path
    back_up: BackUp
    fence: Fence = field(default_factory=Unfenced)

    def check(self, request: ImportRequest) -> None:
        """What can be refused before an operation is made of it.

        Raises SessionWrongState, CredentialsExist (not with `force`).
        """
        present = self._find(request.target)
        if present is not None:
            _check_idle(present)
            store = self.sessions.store_path(request.target)
            if store is not None and store.exists() and not request.force:
                raise CredentialsExist(session=str(request.target))

    async def run(self, request: ImportRequest, report: Report) -> ImportResult:
        """Imports into a session, which is held meanwhile and left stopped.

        One that this server does not know is made, once the files have turned out to be good.

        Raises as `check`, and CredentialsInvalid, ExactImportUnsafe, OperationInProgress;
        SessionWrongState also when another session is running with the same credentials;
        SessionLeased when another server runs the session.
        """
        target, size = request.target, sum(len(file.data) for file in request.files)
        async with self.fence.claiming(target), AsyncExitStack() as stack:
            held = None
            if self._find(target) is not None:
                hold = self.sessions.hold(target, str(report.operation))
                held = await stack.enter_async_context(hold)
            self.check(request)
            store = stack.enter_context(self.scratch.folder()) / "store.db"
            report("CONVERTING", 0, size)
            converted = await self.workers.run(self._convert, request, store)
            self._check_not_connected(converted.account, target)
            report("INSTALLING", 0, size)
            if held is None:
                await self.sessions.create(
                    session_id=target.session_id,
                    display_name=request.display_name,
                    labels=request.labels,
                    proxy_url=request.proxy_url,
                )
                hold = self.sessions.hold(target, str(report.operation))
                held = await stack.enter_async_context(hold)
            await self._keep_present(target)
            await held.install(store, account=converted.account, reason=TRASH_REASON)
            report("BACKING_UP", size, size)
            backup = await self._back_up(target)
            logger.info(
                "credentials.imported",
                session=str(target),
                format=converted.format.value,
                mode=converted.mode.value,
                counts=dict(converted.counts),
                dropped=dict(converted.dropped),
                trash=held.trash,
            )
            return ImportResult(
                session=target, converted=converted, backup=backup, trash=held.trash
            )

    def _convert(self, request: ImportRequest, store: Path) -> Converted:
        return convert(
            request.files,
            request.format,
            store,
            template=self.template,
            now=self.clock.now(),
            mode=request.mode,
            source_stopped=request.source_stopped,
            device=request.device,
        )

    async def _keep_present(self, target: SessionName) -> None:
        """Backs up what is about to be replaced; trash keeps it in any case."""
        store = self.sessions.store_path(target)
        if store is None:
            return
        try:
            await self.back_up(target, BackupKind.PRE_RESTORE)
        except DomainError as error:
            logger.warning("import.present_not_backed_up", session=str(target), reason=error.reason)

    async def _back_up(self, target: SessionName) -> Backup | None:
        try:
            return await self.back_up(target, BackupKind.IMPORT)
        except DomainError as error:  # the credentials are in place, and the files still exist
            logger.exception("import.not_backed_up", session=str(target), reason=error.reason)
            return None

    def _find(self, name: SessionName) -> Session | None:
        try:
            return self.sessions.get(name)
        except SessionNotFound:
            return None

    def _check_not_connected(self, account: Account, target: SessionName) -> None:
        """The same credentials must not connect twice: WhatsApp would replace one by the other."""
        for session in self.sessions.list(states=RUNNING):
            other = session.account
            if session.name != target and other is not None and _device(other) == _device(account):
                _check_idle(session)


@dataclass(frozen=True, slots=True)
class Imports:
    """Starts imports."""

    importer: Importer
    operations: Operations

    async def start(self, request: ImportRequest) -> Operation:
        """Starts an import; raises as `Importer.check`, OperationInProgress."""
        self.importer.check(request)

        async def work(report: Report) -> ImportResult:
            return await self.importer.run(request, report)

        target = request.target
        return await self.operations.start(target=str(target), session=target, work=work)


def _device(account: Account) -> tuple[str, int]:
    return account.jid, account.device


def _check_idle(session: Session) -> None:
    if session.state not in IDLE:
        raise SessionWrongState(
            session=str(session.name),
            state=session.state.name,
            allowed_states=tuple(sorted(state.name for state in IDLE)),
        )
