"""Carrying out one restore."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from server.core.clock import Clock
from server.core.errors import (
    BackupCorrupt,
    DomainError,
    SessionNotFound,
    SessionWrongState,
)
from server.core.names import BackupName, SessionName
from server.sessions.model import IDLE, Session, State
from server.vault.history import Standing
from server.vault.manifest import Manifest
from server.vault.repository import Repository
from server.vault.workers import Workers

from .catalog import Catalog
from .identity import Device, hash_jid
from .model import RestoreMode, RestorePlan, RestoreResult
from .operations import Report
from .planning import doubts_about_exact, plan_restore, refuse_without_force
from .ports import Fence, Sessions, Unfenced
from .rekeying import protect, rekey
from .scratch import Scratch
from .verify import drill

logger = structlog.get_logger(__name__)

RUNNING = frozenset(State) - IDLE - {State.DELETED}


@dataclass(frozen=True, slots=True)
class Restorer:
    """Reads a copy into scratch, makes it safe, checks it, and installs it."""

    sessions: Sessions
    catalog: Catalog
    workers: Workers
    scratch: Scratch
    clock: Clock
    save: Callable[[SessionName], Awaitable[object]]
    engine_schema: Callable[[], int]  # the newest that the engine opens; 0: not known
    fence: Fence = field(default_factory=Unfenced)

    async def plan(
        self,
        standing: Standing,
        target: SessionName,
        mode: RestoreMode,
        *,
        dry_run: bool = False,
    ) -> RestorePlan:
        """What a restore would do now; raises as `planning.plan_restore`, SessionWrongState.

        `dry_run`: sessions that would have to be stopped first are no error but told.
        """
        manifest = standing.manifest
        present = self._find(target)
        running = [*self._running(manifest, present, target)]
        if running and (not dry_run or running[0].state is State.DELETED):
            check_idle(running[0])
        newest_epoch: int | None = 0
        if not doubts_about_exact(manifest, target, present, 0):
            newest_epoch = await self.catalog.newest_epoch(manifest.name)
        return plan_restore(
            standing,
            target=target,
            present=present,
            has_store=present is not None and await self._has_store(target),
            mode=mode,
            newest_epoch=newest_epoch,
            engine_schema=await self.workers.run(self.engine_schema),
            must_stop=tuple(session.name for session in running),
            now=self.clock.now(),
        )

    async def _has_store(self, target: SessionName) -> bool:
        """Credentials are really there: a store that was lost is replaced without force."""
        store = self.sessions.store_path(target)
        return store is not None and await self.workers.run(store.exists)

    @asynccontextmanager
    async def claiming(
        self, backup: BackupName, target: SessionName, *, take_over: bool = False
    ) -> AsyncIterator[None]:
        """No other server may run `target`, nor the session that the backup is of.

        Waiting for another server that has to stop it first may take a minute: enter this before
        anything that others wait for. Raises SessionLeased, StorageUnavailable.
        """
        async with AsyncExitStack() as stack:
            for name in dict.fromkeys((backup.session, target)):
                claim = self.fence.claiming(name, take_over=take_over)
                await stack.enter_async_context(claim)
            yield

    async def restore(
        self,
        repository: Repository,
        standing: Standing,
        target: SessionName,
        mode: RestoreMode,
        report: Report,
        *,
        force: bool,
    ) -> RestoreResult:
        """Restores, within `claiming`.

        The session is held meanwhile, so the plan made here is the one carried out. A session that
        this server does not know is made last, so that a failed restore leaves nothing behind.
        """
        manifest = standing.manifest
        total = manifest.layout.image_bytes
        async with AsyncExitStack() as stack:
            held = None
            if self._find(target) is not None:
                hold = self.sessions.hold(target, str(report.operation))
                held = await stack.enter_async_context(hold)
            plan = await self.plan(standing, target, mode)
            refuse_without_force(plan, force=force)
            folder = stack.enter_context(self.scratch.folder())
            store = folder / "store.db"
            report("READING", 0, total)
            try:
                await self.catalog.read_image(repository, manifest, store)
                report("CHECKING", 0, total)
                device = await self.workers.run(_prepare, store, manifest, plan.mode)
            except BackupCorrupt as error:
                good = await self.catalog.newest_good(manifest.name.session, but=manifest.name)
                error.newest_good = str(good or "")
                raise
            if plan.replaces_credentials:
                report("SAVING", 0, total)
                await self._save(target)
            report("INSTALLING", 0, total)
            if held is None:
                await self.sessions.create(
                    session_id=target.session_id,
                    display_name=manifest.display_name,
                    labels=manifest.labels,
                    proxy_url=manifest.proxy_url,
                )
                hold = self.sessions.hold(target, str(report.operation))
                held = await stack.enter_async_context(hold)
            await held.install(store, account=device.account)
            report("INSTALLING", total, total)
            logger.info(
                "backup.restored",
                backup=str(manifest.name),
                session=str(target),
                mode=plan.mode.value,
                trash=held.trash,
            )
            return RestoreResult(plan=plan, trash=held.trash)

    async def _save(self, target: SessionName) -> None:
        """A copy of what is about to be replaced, good or not. It goes to trash in any case."""
        try:
            await self.save(target)
        except DomainError as error:
            logger.warning("restore.not_saved", session=str(target), reason=error.reason)

    def _find(self, name: SessionName) -> Session | None:
        try:
            return self.sessions.get(name)
        except SessionNotFound:
            return None

    def _running(
        self, manifest: Manifest, present: Session | None, target: SessionName
    ) -> Iterator[Session]:
        """What must be down: the target, and whoever uses the same credentials.

        They must not connect twice: WhatsApp would replace one connection by the other.
        """
        if present is not None and present.state not in IDLE:
            yield present
        for session in self.sessions.list(states=RUNNING):
            if (
                session.name != target
                and session.account is not None
                and hash_jid(session.account) == manifest.jid_sha256
            ):
                yield session


def check_idle(session: Session) -> None:
    """Raises SessionWrongState for a session that is running, or deleted."""
    if session.state not in IDLE:
        raise SessionWrongState(
            session=str(session.name),
            state=session.state.name,
            allowed_states=tuple(sorted(state.name for state in IDLE)),
        )


def _prepare(store: Path, manifest: Manifest, mode: RestoreMode) -> Device:
    """Drills the copy, gives it fresh ratchets if needed, and drills it again."""
    _drill(store, manifest)
    if mode is RestoreMode.REKEY:
        rekey(store)
    protect(store)
    return _drill(store, manifest)


def _drill(store: Path, manifest: Manifest) -> Device:
    findings = drill(store)
    device = findings.device
    if findings.problems or device is None:
        raise BackupCorrupt(backup=str(manifest.name), problem="; ".join(findings.problems))
    if device.fingerprint != manifest.device_fingerprint:
        raise BackupCorrupt(backup=str(manifest.name), problem="it holds another device")
    return device
