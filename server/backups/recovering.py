"""Taking over everything that a storage location holds: what a server does that has lost its disk.

Each session gets its newest good copy, with labels, display name and proxy from that copy. What is
here already stays; what another server runs stays there, unless it is taken over. Of several
sessions with one device only the one that used it last is recovered: the device may connect once.
A session that had been deleted stays so. What is not recovered is told, and stops nothing else.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace

import structlog

from server.core.errors import (
    BackupCorrupt,
    BackupKeyMissing,
    BackupNotRestorable,
    BackupRevoked,
    CredentialsExist,
    DomainError,
    ServerDraining,
    SessionLeased,
    SessionNotFound,
    SessionWrongState,
)
from server.core.names import OperationName, SessionName, StorageLocationName
from server.sessions.model import Session
from server.vault.history import History, Standing, read_history
from server.vault.manifest import Manifest
from server.vault.model import BackupKind, BackupState
from server.vault.repository import Repository

from .catalog import Catalog
from .following import Follower
from .model import (
    Outcome,
    RecoveredSession,
    RecoverResult,
    RestoreMode,
    RestorePlan,
    RestoreResult,
)
from .operations import Report
from .planning import refuse_without_force
from .ports import Fence, Sessions
from .restoring import Restorer

logger = structlog.get_logger(__name__)

AT_ONCE = 8  # sessions; how many images are in memory at once is bounded elsewhere
LEFT_ALONE = (SessionLeased, BackupRevoked, SessionWrongState)
Turn = Callable[[SessionName], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is asked for."""

    location: StorageLocationName
    dry_run: bool = False
    start: bool = False
    take_over: bool = False


@dataclass(frozen=True, slots=True)
class Recoverer:
    """Carries out recoveries. `turn` bounds how many restores work at once, and orders them."""

    sessions: Sessions
    catalog: Catalog
    restorer: Restorer
    follower: Follower
    fence: Fence
    turn: Turn

    async def run(self, wanted: Recovery, report: Report) -> RecoverResult:
        """Recovers, or plans to, every session that has a backup in the location.

        Raises StorageUnavailable, StorageMisconfigured, VaultCorrupt: nothing was found out.
        """
        repository = await self.catalog.repository(wanted.location)
        names = sorted({name.session for name in await repository.names(None)})
        slots, done = asyncio.Semaphore(AT_ONCE), 0
        found: dict[SessionName, RecoveredSession] = {}
        users = await self._users(repository, names)

        async def recover(name: SessionName) -> None:
            nonlocal done
            async with slots:
                found[name] = users.left_out(name) or await self._guarded(
                    repository, name, wanted, report.operation
                )
            done += 1
            report("RECOVERING", done, len(names))

        report("RECOVERING", 0, len(names))
        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(recover(name))
        sessions = tuple(found[name] for name in names)
        logger.info(
            "sessions.recovered",
            storage_location=str(wanted.location),
            dry_run=wanted.dry_run,
            **_counts(sessions),
        )
        return RecoverResult(
            storage_location=wanted.location, dry_run=wanted.dry_run, sessions=sessions
        )

    async def _users(self, repository: Repository, names: Sequence[SessionName]) -> "Users":
        """Which sessions have which device by their newest good copies."""
        newest: dict[SessionName, Manifest] = {}
        for name in names:
            with suppress(BackupCorrupt, BackupKeyMissing, BackupRevoked, BackupNotRestorable):
                good = good_ones(name, await read_history(repository, name))
                newest[name] = good[0].manifest
        return Users(newest)

    async def _guarded(
        self, repository: Repository, name: SessionName, wanted: Recovery, operation: OperationName
    ) -> RecoveredSession:
        """One session; whatever goes wrong with it is its own result."""
        try:
            return await self._recover(repository, name, wanted, operation)
        except ServerDraining:
            raise
        except CredentialsExist as error:
            outcome, reason, message = Outcome.PRESENT, error.reason, error.message
        except DomainError as error:
            outcome = Outcome.SKIPPED if isinstance(error, LEFT_ALONE) else Outcome.FAILED
            reason, message = error.reason, error.message
        except Exception:
            logger.exception("session.not_recovered", session=name.session_id)
            outcome, reason, message = Outcome.FAILED, "INTERNAL", "internal error"
        if outcome is not Outcome.PRESENT and not wanted.dry_run:
            logger.warning("session.not_recovered", session=name.session_id, reason=reason)
        return RecoveredSession(session=name, outcome=outcome, reason=reason, message=message)

    async def _recover(
        self, repository: Repository, name: SessionName, wanted: Recovery, operation: OperationName
    ) -> RecoveredSession:
        candidates = good_ones(name, await read_history(repository, name))
        plan = await self._plan(candidates[0], name, wanted)
        if wanted.dry_run:
            return RecoveredSession(session=name, outcome=Outcome.PLANNED, plan=plan)
        before = self._find(name)
        newest = candidates[0].manifest.name
        claim = self.restorer.claiming(newest, name, take_over=wanted.take_over)
        async with claim, self.turn(name):
            restored = await self._restore(repository, candidates, name, operation)
        if not wanted.start:
            return RecoveredSession(session=name, outcome=Outcome.RESTORED, plan=restored.plan)
        plan = replace(restored.plan, start=True)
        result = await self.follower.follow(
            replace(restored, plan=plan), before, Quietly(operation)
        )
        outcome = Outcome.STARTED if result.started else Outcome.RESTORED
        return RecoveredSession(session=name, outcome=outcome, plan=plan)

    async def _plan(self, standing: Standing, name: SessionName, wanted: Recovery) -> RestorePlan:
        """Raises what stands in the way of recovering the session."""
        plan = await self.restorer.plan(standing, name, RestoreMode.AUTO, dry_run=True)
        if plan.replaces_credentials:
            raise CredentialsExist(session=str(name))
        refuse_without_force(plan, force=False)
        await self.restorer.plan(standing, name, RestoreMode.AUTO)  # nothing must be stopped first
        if not wanted.take_over:
            await self.fence.check(name)
        return replace(plan, start=wanted.start)

    async def _restore(
        self,
        repository: Repository,
        candidates: Sequence[Standing],
        name: SessionName,
        operation: OperationName,
    ) -> RestoreResult:
        """The newest copy that turns out to be whole."""
        damage: BackupCorrupt | None = None
        for standing in candidates:
            try:
                return await self.restorer.restore(
                    repository,
                    standing,
                    name,
                    RestoreMode.AUTO,
                    Quietly(operation),
                    force=False,
                )
            except BackupCorrupt as error:
                logger.exception("session.copy_damaged", backup=error.backup, object=error.object)
                damage = damage or error
        assert damage is not None
        raise damage

    def _find(self, name: SessionName) -> Session | None:
        try:
            return self.sessions.get(name)
        except SessionNotFound:
            return None


@dataclass(frozen=True, slots=True)
class Users:
    """The newest good copy of every session that has one."""

    newest: Mapping[SessionName, Manifest]

    def left_out(self, name: SessionName) -> RecoveredSession | None:
        """Why a session is not to be recovered; None: nothing speaks against it."""
        manifest = self.newest.get(name)
        if manifest is None:
            return None  # why, is found out when it is tried
        reason = message = ""
        if manifest.kind is BackupKind.PRE_DELETE:
            reason = SessionNotFound.reason
            message = f"It had been deleted; restore {manifest.name} to have it back."
        elif (user := self._last_user(manifest.device_fingerprint)) != name:
            reason = CredentialsExist.reason
            message = f"{user} has used the same device since, and only one may."
        if not reason:
            return None
        outcome = Outcome.SKIPPED
        return RecoveredSession(session=name, outcome=outcome, reason=reason, message=message)

    def _last_user(self, device: str) -> SessionName:
        """Of the sessions that have run with a device the one with the newest copy."""
        users = [
            (manifest.kind is not BackupKind.IMPORT, manifest.create_time, name)
            for name, manifest in self.newest.items()
            if manifest.device_fingerprint == device and manifest.kind is not BackupKind.PRE_DELETE
        ]
        return max(users)[-1]


class Quietly:
    """The report of one session's part: only the whole operation tells how far it is."""

    def __init__(self, operation: OperationName) -> None:
        self.operation = operation

    def __call__(self, phase: str, bytes_done: int = 0, bytes_total: int = 0) -> None:
        """Tells nobody."""


def good_ones(name: SessionName, history: History) -> list[Standing]:
    """The good copies of a session's present device, newest first. Never empty.

    An older device's copies are no use once a newer one has been backed up.

    Raises BackupRevoked: that device was logged out. BackupCorrupt, BackupKeyMissing,
    BackupNotRestorable: there is no copy that is good.
    """
    newest_first = sorted(
        history.standings, key=lambda each: each.manifest.name.backup_id, reverse=True
    )
    known = [each for each in newest_first if each.manifest.device_fingerprint]
    device = known[0].manifest.device_fingerprint if known else ""
    own = [each for each in known if each.manifest.device_fingerprint == device]
    if good := [each for each in own if each.is_good]:
        return good
    for each in own:
        if each.state is BackupState.REVOKED:
            raise BackupRevoked(backup=str(each.manifest.name), why=each.state_reason)
    if newest_first:
        newest = newest_first[0]
        raise BackupNotRestorable(backup=str(newest.manifest.name), state=newest.state.value)
    errors = history.unreadable.values()
    missing = [error for error in errors if isinstance(error, BackupKeyMissing)]
    raise next(iter([*missing, *errors]), None) or BackupNotRestorable(
        backup=f"{name}/backups/-", state=BackupState.CREATING.value
    )


def _counts(sessions: Sequence[RecoveredSession]) -> dict[str, int]:
    outcomes = [each.outcome for each in sessions]
    return {outcome.value: outcomes.count(outcome) for outcome in Outcome if outcome in outcomes}
