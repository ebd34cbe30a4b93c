"""How often sessions are backed up, and what is kept: settings, and what callers have set since."""

from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

import msgspec
from sqlalchemy import Connection, delete, insert, select

from server.core.clock import Clock
from server.core.errors import FieldInvalid
from server.core.names import SessionName
from server.sessions.model import Session
from server.state.database import Database
from server.state.tables import backup_policies
from server.vault.retention import RetentionPolicy

from .timing import Timing

ALL = "-"
SHORTEST = timedelta(seconds=1)
NEVER = timedelta()


def default_retention() -> RetentionPolicy:
    """A day of everything, then ever fewer, for a year."""
    return RetentionPolicy(
        keep_within=timedelta(days=1), keep_last=10, hourly=48, daily=30, weekly=12, monthly=12
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPolicy:
    """When backups of a session are made, and which are kept."""

    every: timedelta = timedelta(hours=6)
    """A good backup is not older than this; 0: none by age."""
    debounce: timedelta = timedelta(seconds=30)
    """How long a changed store must be quiet before it is copied; 0: changes are not copied."""
    max_delay: timedelta = timedelta(minutes=5)
    """Or how long after the first change, if it is never quiet."""
    retention: RetentionPolicy = field(default_factory=default_retention)

    def __post_init__(self) -> None:
        for name, zero in (("every", True), ("debounce", True), ("max_delay", False)):
            value: timedelta = getattr(self, name)
            if value < SHORTEST and not (zero and value == NEVER):
                problem = "must be 0 or at least a second" if zero else "must be at least a second"
                raise FieldInvalid(field=name, problem=problem)

    @property
    def timing(self) -> Timing:
        """The part that says when."""
        return Timing(
            on_change=self.debounce > NEVER,
            debounce=self.debounce if self.debounce > NEVER else Timing().debounce,
            max_delay=max(self.max_delay, self.debounce),
            every=self.every if self.every > NEVER else None,
        )


class Sessions(Protocol):
    """What policies need of the sessions."""

    def get(self, name: SessionName, *, show_deleted: bool = True) -> Session:
        """Raises SessionNotFound."""
        ...


class Policies:
    """The policy of each session: its own, else the one set for all, else the settings'.

    `async with` reads those that were set; reading one needs no I/O afterwards.
    """

    def __init__(
        self,
        *,
        database: Database,
        sessions: Sessions,
        clock: Clock,
        default: BackupPolicy | None = None,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._clock = clock
        self._default = default or BackupPolicy()
        self._set: dict[str, BackupPolicy] = {}

    async def __aenter__(self) -> Self:
        self._set = await self._database.read(_load)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def of(self, session: SessionName) -> BackupPolicy:
        """What a session follows, whether or not this server knows it."""
        return self._set.get(session.session_id) or self._for_all

    def get(self, session: SessionName | None) -> tuple[BackupPolicy, bool]:
        """The policy and whether it is inherited; None: the one for all. Raises SessionNotFound."""
        key = self._key(session)
        return self._set.get(key, self._for_all), key not in self._set

    async def set(self, session: SessionName | None, policy: BackupPolicy | None) -> BackupPolicy:
        """Sets a policy; no policy: what is inherited counts again. The one that counts now.

        Raises SessionNotFound, StorageUnavailable.
        """
        key, now = self._key(session), self._clock.now()

        def save(connection: Connection) -> None:
            connection.execute(delete(backup_policies).where(backup_policies.c.session_id == key))
            if policy is not None:
                row = {"session_id": key, "update_time": now, "body": _encode(policy)}
                connection.execute(insert(backup_policies).values(row))

        await self._database.write(save)
        if policy is None:
            self._set.pop(key, None)
        else:
            self._set[key] = policy
        return self._set.get(key, self._for_all)

    @property
    def _for_all(self) -> BackupPolicy:
        return self._set.get(ALL, self._default)

    def _key(self, session: SessionName | None) -> str:
        if session is None:
            return ALL
        return self._sessions.get(session, show_deleted=False).name.session_id


def _load(connection: Connection) -> dict[str, BackupPolicy]:
    rows = connection.execute(select(backup_policies.c.session_id, backup_policies.c.body))
    return {row.session_id: _decode(row.body) for row in rows}


def _encode(policy: BackupPolicy) -> str:
    return msgspec.json.encode(policy).decode()


_decode = msgspec.json.Decoder(BackupPolicy).decode
