"""What backups need of the sessions; `sessions.manager.SessionManager` is it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from server.core.names import SessionName
from server.engine.base import Account
from server.sessions.model import Session, State
from server.vault.model import Backup


class Held(Protocol):
    """A session that nobody else may start, pair, delete or restore meanwhile."""

    async def install(self, store: Path, *, account: Account, reason: str = "restore") -> Session:
        """Moves `store` into a new store epoch; what was there goes to trash. Left STOPPED."""
        ...

    async def start(self) -> Session:
        """Starts the session, as nobody else can meanwhile."""
        ...

    async def roll_back(self, before: Session | None, trash: str) -> Session:
        """Undoes `install` of a session that is down: `before` is how it was, `trash` its store."""
        ...

    @property
    def trash(self) -> str:
        """Where `install` put the replaced store, below the data directory; empty: none."""
        ...


class Sessions(Protocol):
    """The sessions of this server."""

    def get(self, name: SessionName, *, show_deleted: bool = True) -> Session:
        """The session as recorded; raises SessionNotFound."""
        ...

    def list(
        self,
        *,
        states: frozenset[State] = frozenset(),
        show_deleted: bool = False,
        after: str = "",
        limit: int | None = None,
    ) -> list[Session]:
        """Sessions by name; no states: all."""
        ...

    async def until(self, name: SessionName, is_so: Callable[[Session], bool]) -> Session:
        """The session once `is_so` of it."""
        ...

    async def stop(self, name: SessionName, grace: timedelta | None = None) -> Session:
        """Wants it stopped."""
        ...

    async def create(
        self, *, session_id: str, display_name: str, labels: Mapping[str, str], proxy_url: str
    ) -> Session:
        """Makes a session without credentials; raises SessionExists."""
        ...

    def hold(self, name: SessionName, operation: str) -> AbstractAsyncContextManager[Held]:
        """Takes a session that is not running; raises OperationInProgress, SessionWrongState."""
        ...

    async def tell_backup(
        self, name: SessionName, backup: Backup, *, is_newest: bool = False
    ) -> None:
        """Lets subscribers know of a backup; the newest one decides the session's condition.

        Raises SessionNotFound, ServerDraining.
        """
        ...

    def store_path(self, name: SessionName) -> Path | None:
        """The store of a session that has credentials; None if it has none."""
        ...


class Fence(Protocol):
    """Keeps two servers from using one session's credentials; `vault.fencing.Fencing` is it."""

    async def check(self, session: SessionName) -> None:
        """Raises SessionLeased if `claiming` would be refused now; StorageUnavailable."""
        ...

    def claiming(
        self, session: SessionName, *, take_over: bool = False
    ) -> AbstractAsyncContextManager[None]:
        """Around putting credentials in place; raises SessionLeased, StorageUnavailable."""
        ...


class Unfenced:
    """For a server that shares its sessions with nobody."""

    async def check(self, session: SessionName) -> None:
        """Nobody has it."""

    def claiming(
        self, session: SessionName, *, take_over: bool = False
    ) -> AbstractAsyncContextManager[None]:
        """Always."""
        del session, take_over
        return nullcontext()
