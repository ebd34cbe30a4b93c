"""The way back from the local trash, and the only way out of it.

What is purged is gone: so its time in trash must be over, and the vault must have a verified copy
of every device in it. Whatever is in doubt stays.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import structlog

from server.core.clock import Clock
from server.core.errors import (
    CredentialsExist,
    DomainError,
    SessionNotFound,
    SessionWrongState,
    TrashItemKept,
    TrashItemNotFound,
    TrashItemUnusable,
)
from server.core.names import SessionName, TrashItemName
from server.sessions.model import IDLE, Session, State
from server.sessions.trash import Trash, TrashItem
from server.vault.model import BackupKind
from server.vault.workers import Workers

from .identity import Device, read_devices
from .model import TrashRestoreResult
from .operation import Operation
from .operations import Operations, Report
from .ports import Fence, Sessions, Unfenced
from .rekeying import protect, rekey
from .scratch import Scratch
from .snapshot import StoreUnreadable, existing, take
from .verify import drill

logger = structlog.get_logger(__name__)

RUNNING = frozenset(State) - IDLE - {State.DELETED}


class TrashedSessions(Sessions, Protocol):
    """Sessions that can be brought back whole, too."""

    async def undelete(self, name: SessionName) -> Session:
        """Brings a deleted session back, stopped; raises SessionWrongState."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an item may be purged now; `kept_because` is empty if it may."""

    item: TrashItem
    kept_because: str = ""
    purge_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashConfig:
    """How long a thing stays in trash at least."""

    kept: timedelta = timedelta(days=30)


class TrashRoom:
    """Lists, brings back and purges. `async with` after the state, before the sessions.

    `saved_devices` tells the fingerprints of the devices of which the vault has a verified copy;
    `back_up` is `BackupService.backup_now`.
    """

    def __init__(
        self,
        *,
        folder: Path,
        sessions: TrashedSessions,
        operations: Operations,
        scratch: Scratch,
        clock: Clock,
        saved_devices: Callable[[], Awaitable[AbstractSet[str]]],
        back_up: Callable[[SessionName, BackupKind], Awaitable[object]],
        fence: Fence | None = None,
        config: TrashConfig | None = None,
    ) -> None:
        self._trash = Trash(folder)
        self._sessions = sessions
        self._operations = operations
        self._scratch = scratch
        self._clock = clock
        self._saved_devices = saved_devices
        self._back_up = back_up
        self._fence = fence or Unfenced()
        self._config = config or TrashConfig()
        self._workers = Workers(1)

    async def __aenter__(self) -> Self:
        await self._workers.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._workers.__aexit__(kind, error, traceback)

    async def page(self, after: str = "", limit: int = 50) -> list[TrashItem]:
        """Items behind the item id `after`, newest first."""
        found = await self._workers.run(self._trash.items)
        return [item for item in found if not after or item.name.item_id < after][:limit]

    def purge_time(self, item: TrashItem) -> datetime | None:
        """From when on it may be purged; None: never, as nobody knows what it is."""
        return None if item.note is None else item.note.time + self._config.kept

    # --- back

    async def restore(self, name: TrashItemName, *, force: bool = False) -> Operation:
        """Starts to bring an item back; the session is left stopped.

        Raises TrashItemNotFound, TrashItemUnusable, SessionWrongState, CredentialsExist (not with
        `force`), OperationInProgress, SessionLeased.
        """
        item = await self._find(name)
        session = _session_of(item)
        is_deleted = await self._check(item, session, force=force)
        if not is_deleted:
            await self._fence.check(session)

        async def work(report: Report) -> TrashRestoreResult:
            report("INSTALLING", 0, item.size_bytes)
            if is_deleted:
                await self._sessions.undelete(session)
                return TrashRestoreResult(item=name, session=session, is_exact=True, trash="")
            return await self._restore_store(item, session, report, force=force)

        return await self._operations.start(target=str(session), session=session, work=work)

    async def _check(self, item: TrashItem, name: SessionName, *, force: bool) -> bool:
        """Whether the item is a deleted session that comes back as a whole."""
        try:
            session = self._sessions.get(name)
        except SessionNotFound:
            return False
        if session.state is State.DELETED and item.is_session:
            return True
        _check_idle(session)
        store = self._sessions.store_path(name)
        if store is not None and not force and await self._workers.run(store.exists):
            raise CredentialsExist(session=str(name))
        return False

    async def _restore_store(
        self, item: TrashItem, name: SessionName, report: Report, *, force: bool
    ) -> TrashRestoreResult:
        """Installs a copy with fresh ratchets: contacts may have seen newer ones since.

        A session that this server does not know is made last.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._fence.claiming(name))
            held = None
            if not self._is_new(name):
                hold = self._sessions.hold(name, str(report.operation))
                held = await stack.enter_async_context(hold)
                await self._check(item, name, force=force)
            folder = stack.enter_context(self._scratch.folder())
            device = await self._workers.run(_prepare, item, folder)
            self._check_not_connected(device, name)
            await self._save(name)
            if held is None:
                await self._sessions.create(
                    session_id=name.session_id, display_name="", labels={}, proxy_url=""
                )
                hold = self._sessions.hold(name, str(report.operation))
                held = await stack.enter_async_context(hold)
            await held.install(folder / "store.db", account=device.account)
            logger.info("trash.restored", item=str(item.name), session=str(name), trash=held.trash)
            return TrashRestoreResult(
                item=item.name, session=name, is_exact=False, trash=held.trash
            )

    async def _save(self, name: SessionName) -> None:
        """Backs up what is about to be replaced; trash keeps it in any case."""
        if self._is_new(name) or self._sessions.store_path(name) is None:
            return
        try:
            await self._back_up(name, BackupKind.PRE_RESTORE)
        except DomainError as error:
            logger.warning("trash.present_not_saved", session=str(name), reason=error.reason)

    def _is_new(self, name: SessionName) -> bool:
        try:
            self._sessions.get(name)
        except SessionNotFound:
            return True
        return False

    def _check_not_connected(self, device: Device, target: SessionName) -> None:
        """The same credentials must not connect twice: WhatsApp would replace one by the other."""
        wanted = device.account
        for session in self._sessions.list(states=RUNNING):
            other = session.account
            if (
                session.name != target
                and other is not None
                and (other.jid, other.device) == (wanted.jid, wanted.device)
            ):
                _check_idle(session)

    # --- out

    async def plan_purge(self, name: TrashItemName | None = None) -> list[Verdict]:
        """What may be purged of one item or of all; changes nothing. Raises TrashItemNotFound."""
        if name is None:
            items = await self._workers.run(self._trash.items)
        else:
            items = [await self._find(name)]
        now = self._clock.now()
        due = [item for item in items if (time := self.purge_time(item)) and time <= now]
        saved = await self._saved() if due else None
        return [await self._judge(item, saved, is_due=item in due) for item in items]

    async def purge(self, name: TrashItemName) -> Verdict:
        """Removes an item for good. Raises TrashItemNotFound, TrashItemKept."""
        (verdict,) = await self.plan_purge(name)
        if verdict.kept_because:
            raise TrashItemKept(
                name=str(name), why=verdict.kept_because, purge_time=verdict.purge_time
            )
        await self._workers.run(self._trash.purge, verdict.item)
        logger.info("trash.purged", item=str(name), size_bytes=verdict.item.size_bytes)
        return verdict

    async def _judge(
        self, item: TrashItem, saved: AbstractSet[str] | None, *, is_due: bool
    ) -> Verdict:
        time = self.purge_time(item)
        if time is None:
            return Verdict(item=item, kept_because="its note cannot be read")
        if not is_due:
            return Verdict(item=item, kept_because="its time in trash is not over", purge_time=time)
        devices = await self._workers.run(_devices_in, item)
        why = ""
        if devices is None:
            why = "a store in it cannot be read and may hold keys"
        elif devices and saved is None:
            why = "no storage location says whether it has a copy"
        elif devices and saved is not None and not devices <= saved:
            why = "it is the last good copy of a device"
        return Verdict(item=item, kept_because=why)

    async def _saved(self) -> AbstractSet[str] | None:
        try:
            return await self._saved_devices()
        except DomainError as error:
            logger.warning("trash.vault_unknown", reason=error.reason)
            return None

    async def _find(self, name: TrashItemName) -> TrashItem:
        item = await self._workers.run(self._trash.find, name)
        if item is None:
            raise TrashItemNotFound(name=str(name))
        return item


def _session_of(item: TrashItem) -> SessionName:
    if item.note is None:
        raise TrashItemUnusable(name=str(item.name), problem="its note cannot be read")
    return SessionName.parse(item.note.session)


def _check_idle(session: Session) -> None:
    if session.state not in IDLE:
        raise SessionWrongState(
            session=str(session.name),
            state=session.state.name,
            allowed_states=tuple(sorted(state.name for state in IDLE)),
        )


def _prepare(item: TrashItem, folder: Path) -> Device:
    """Makes `store.db` in `folder` of the newest store in the item."""
    stores = item.stores()
    if not stores:
        raise TrashItemUnusable(name=str(item.name), problem="there is no store in it")
    target = folder / "store.db"
    try:
        take(stores[0], target)
    except (StoreUnreadable, sqlite3.Error) as error:
        raise TrashItemUnusable(name=str(item.name), problem="the store is damaged") from error
    _drill(item, target)
    rekey(target)
    protect(target)
    return _drill(item, target)


def _drill(item: TrashItem, store: Path) -> Device:
    findings = drill(store)
    if findings.problems or findings.device is None:
        raise TrashItemUnusable(name=str(item.name), problem="; ".join(findings.problems))
    return findings.device


def _devices_in(item: TrashItem) -> AbstractSet[str] | None:
    """The fingerprints of the devices in an item; None: a store in it cannot be read."""
    found = set()
    for store in item.stores():
        if not store.stat().st_size:
            continue
        try:
            with existing(store) as connection:
                found |= {device.fingerprint for device in read_devices(connection)}
        except (sqlite3.Error, ValueError, TypeError):
            return None
    return found
